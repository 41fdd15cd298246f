"""The compiled graph, called like any LangGraph graph: the result is a run like any other (promises P1, P4, P6)."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from typing_extensions import TypedDict

from durable_rlm import Runner
from durable_rlm.graph.langgraph_ids import server_name
from durable_rlm.state.errors import ModelFailed, RlmError, RunBusy, ThreadExists, UnknownThread, UsageError
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import Asked, repl, write_script

CONFIG: RunnableConfig = {"configurable": {"thread_id": "t"}}
REPLIES = [repl("first = llm_query('a')"), repl("second = llm_query(first + 'b')"), repl("FINAL(second)")]


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_script(tmp_path / "m.py", REPLIES)


@pytest.fixture
def asked(model: str) -> Asked:
    return Asked(model)


def question(model: str, **more: Any) -> Any:
    return {"question": "What?", "settings": {"model": model}, **more}


@contextlib.asynccontextmanager
async def in_mid_cell(runner: Runner, tmp_path: Path) -> AsyncGenerator["asyncio.Task[Any]"]:
    """Start a plain caller's run of the thread `t` and yield its task once its first sub-call waits."""
    replies = [repl("FINAL(llm_query('a'))")]
    model = write_script(tmp_path / "waits.py", replies, sub="import asyncio; return asyncio.sleep(3600)")
    task = asyncio.create_task(runner.graph.ainvoke(question(model), CONFIG))
    try:
        while not task.done() and not (await runner.queries.runs() and await runner.queries.calls("t")):
            await asyncio.sleep(0.01)
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# -- a run like any other


async def test_a_plain_callers_run_is_saved_with_its_steps_calls_and_answer(runner: Runner, model: str) -> None:
    result = await runner.graph.ainvoke(question(model, context="abc"), CONFIG)
    assert (result["status"], result["answer_value"]) == ("answered", "AB")
    [row] = await runner.queries.runs()
    assert (row["thread_id"], row["status"], row["question"]) == ("t", "answered", "What?")
    run = await runner.read("t")
    assert (run.status, run.answer, run.turns) == ("answered", "AB", 3)
    assert [call.prompt for call in await runner.queries.calls("t")] == ["a", "Ab"]
    assert (await runner.verify("t")).problems == []


async def test_the_row_and_the_input_are_saved_before_the_first_step(runner: Runner, model: str) -> None:
    async for _ in runner.graph.astream(question(model, context="abc"), CONFIG, stream_mode="tasks"):
        [row] = await runner.queries.runs()
        assert (row["status"], row["question"]) == ("busy", "What?")
        start = (await runner.stores.threads.get("t")).start
        assert (start["context_ref"]["chars"], start["settings"]["model"]) == (3, model)
        break
    # The stream is left open on purpose: closing the runner must end the run.


@pytest.mark.parametrize("durability", ["exit", "async", "sync"])
async def test_each_step_is_saved_before_the_next_with_any_requested_durability(
    runner: Runner, model: str, durability: Any
) -> None:
    seen = 0
    async for chunk in runner.graph.astream(question(model), CONFIG, stream_mode="tasks", durability=durability):
        if "result" not in chunk:
            saved = await runner.queries.count_steps("t")
            assert saved > seen or chunk["name"] == "sub_call", chunk["name"]
            seen = saved
    assert seen > 8


async def test_a_recursion_limit_does_not_end_a_run(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "long.py", [*[repl(f"x{n} = {n}") for n in range(12)], repl("FINAL(1)")])
    config: RunnableConfig = {**CONFIG, "recursion_limit": 3}
    assert (await runner.graph.ainvoke(question(model), config))["answer_value"] == 1


async def test_credentials_in_a_callers_configuration_are_not_saved(runner: Runner, model: str) -> None:
    place = {"thread_id": "t", "authorization": "Bearer secret", "langgraph_auth_user_id": "u"}
    await runner.graph.ainvoke(question(model), {"configurable": place, "metadata": {"label": "mine"}})
    saved = [one async for one in runner.graph.aget_state_history(CONFIG)]
    assert {str((one.metadata or {}).get("label")) for one in saved} == {"mine"}
    assert "secret" not in str(saved)


async def test_a_failed_run_raises_is_saved_as_failed_and_can_be_resumed(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "none.py", [])
    with pytest.raises(ModelFailed):
        await runner.graph.ainvoke(question(model), CONFIG)
    assert (await runner.read("t")).status == "failed"
    write_script(tmp_path / "none.py", REPLIES)
    assert (await runner.graph.ainvoke(None, CONFIG))["answer_value"] == "AB"


# -- one process a thread


async def test_a_busy_thread_is_refused_to_other_callers(runner: Runner, tmp_path: Path, model: str) -> None:
    async with in_mid_cell(runner, tmp_path):
        async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as other:
            for graph in (runner.graph, other.graph):
                with pytest.raises(RunBusy):
                    await graph.ainvoke(None, CONFIG)
                with pytest.raises(RunBusy):
                    await graph.aupdate_state(CONFIG, {"question": "Mine?"})
            assert (await other.resume("t")).status == "busy"
        assert (await runner.read("t")).status == "busy", "the refusals did not disturb it"


async def test_a_cancelled_caller_stops_its_run(runner: Runner, tmp_path: Path) -> None:
    async with in_mid_cell(runner, tmp_path) as task:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await runner.read("t")).status == "stopped"
    write_script(tmp_path / "waits.py", [repl("FINAL(llm_query('a'))")])
    assert (await runner.graph.ainvoke(None, CONFIG))["answer_value"] == "A"


async def test_a_caller_that_closes_the_stream_stops_its_run(runner: Runner, model: str) -> None:
    stream = runner.graph.astream(question(model), CONFIG)
    async for _ in stream:
        break
    await stream.aclose()  # type: ignore[attr-defined]
    assert (await runner.read("t")).status == "stopped"
    assert (await runner.resume("t")).answer == "AB"


async def test_a_run_stopped_from_outside_raises_that_it_was_stopped(runner: Runner, tmp_path: Path) -> None:
    async with in_mid_cell(runner, tmp_path) as task:
        assert await runner.stop("t")
        with pytest.raises(RlmError, match="was stopped"):
            await task
        assert (await runner.read("t")).status == "stopped"


# -- resuming


async def test_the_same_question_again_resumes_the_run_and_pays_for_nothing_twice(
    runner: Runner, asked: Asked, model: str
) -> None:
    stream = runner.graph.astream(question(model), CONFIG, stream_mode="tasks")
    async for chunk in stream:
        if chunk["name"] == "sub_call" and "result" in chunk:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    again = await runner.graph.ainvoke(question(model), CONFIG)
    assert again["answer_value"] == "AB" and len(asked) == 5
    same: list[Any] = [question(model), {}, None]
    for given in same:
        result = await runner.graph.ainvoke(given, CONFIG)
        assert (result["status"], result["answer_value"], len(asked)) == ("answered", "AB", 5)


async def test_another_question_or_input_is_refused(runner: Runner, model: str) -> None:
    await runner.graph.ainvoke(question(model, context="abc"), CONFIG)
    others: list[Any] = [question(model), question(model, context="abd"), {**question(model), "question": "Why?"}]
    for other in others:
        with pytest.raises(ThreadExists, match="new thread"):
            await runner.graph.ainvoke(other, CONFIG)


async def test_an_input_with_only_limits_raises_the_spent_limits_of_a_run(runner: Runner, model: str) -> None:
    first = await runner.graph.ainvoke(question(model, max_turns=2), CONFIG)
    assert first["status"] == "budget" and "answer_value" not in first
    assert (await runner.graph.ainvoke(None, CONFIG))["status"] == "budget"
    more: Any = {"max_turns": 5}
    assert (await runner.graph.ainvoke(more, CONFIG))["answer_value"] == "AB"
    with pytest.raises(UsageError, match="--max-turns"):
        await runner.graph.ainvoke({"max_turns": 0}, CONFIG)


async def test_a_run_resumed_from_an_earlier_checkpoint_reuses_the_recorded_answers(
    runner: Runner, asked: Asked, model: str
) -> None:
    await runner.graph.ainvoke(question(model), CONFIG)
    history = [one async for one in runner.graph.aget_state_history(CONFIG)]
    for earlier in history:
        result = await runner.graph.ainvoke(None, earlier.config)
        assert (result["status"], result["answer_value"]) == ("answered", "AB"), earlier.next
        assert len(asked) == 5, earlier.next
    assert (await runner.read("t")).status == "answered"
    assert (await runner.verify("t")).problems == []
    with pytest.raises(UsageError, match="no checkpoint"):
        await runner.graph.ainvoke(None, {"configurable": {"thread_id": "t", "checkpoint_id": "none"}})


async def test_a_run_resumes_from_an_edited_state(runner: Runner, asked: Asked, model: str) -> None:
    await runner.graph.ainvoke(question(model), CONFIG)
    history = [one async for one in runner.graph.aget_state_history(CONFIG)]
    before = next(one for one in history if one.next == ("plan",))
    changed = await runner.graph.aupdate_state(before.config, {"question": "Why?"})
    assert (await runner.read("t")).status == "stopped"
    result = await runner.graph.ainvoke(None, changed)
    assert (result["status"], result["answer_value"]) == ("answered", "AB")
    assert len(asked) == 6 and "Why?" in asked.roots[-1]


async def test_an_unknown_run_cannot_be_edited_or_resumed(runner: Runner) -> None:
    with pytest.raises(UnknownThread):
        await runner.graph.ainvoke(None, CONFIG)
    with pytest.raises(UnknownThread):
        await runner.graph.ainvoke(Command(resume=1), CONFIG)
    with pytest.raises(UnknownThread):
        await runner.graph.aupdate_state(CONFIG, {"question": "Why?"}, as_node="plan")
    assert await runner.queries.runs() == []


async def test_a_decision_without_an_approval_request_is_refused(runner: Runner, tmp_path: Path, model: str) -> None:
    async with in_mid_cell(runner, tmp_path):
        pass
    with pytest.raises(UsageError, match="does not wait for approval"):
        await runner.graph.ainvoke(Command(resume={"decisions": [{"type": "approve"}]}), CONFIG)


async def test_a_run_with_any_name_is_found_by_the_uuid_that_a_server_gives_it(runner: Runner, model: str) -> None:
    await runner.run("What?", model=model, thread="contracts")
    called = str(server_name("contracts"))
    config: RunnableConfig = {"configurable": {"thread_id": called}}
    state: Any = await runner.graph.aget_state(config)
    assert state.values["answer_value"] == "AB" and state.config["configurable"]["thread_id"] == called
    history: list[Any] = [one async for one in runner.graph.aget_state_history(config)]
    assert {one.config["configurable"]["thread_id"] for one in history} == {called}
    chunks: list[Any] = [one async for one in runner.graph.astream(None, history[4].config, stream_mode="checkpoints")]
    assert {one["config"]["configurable"]["thread_id"] for one in chunks} == {called}
    planned = next(one for one in history if one.next == ("plan",))
    await runner.graph.aupdate_state(planned.config, {"question": "Why?"})
    [run] = await runner.queries.runs()
    assert (run["thread_id"], run["status"]) == ("contracts", "stopped")


# -- inputs and settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"messages": ["hi"]}, "no messages in the input"),
        ({"question": " "}, "question is empty"),
        ({"question": "Q", "settings": {"colour": "red"}}, "no setting named colour"),
        ({"question": "Q", "max_calls": 0}, "--max-calls"),
        ({"question": "Q", "context": ["-"]}, "no standard input"),
        ({"question": "Q", "context_ref": {"kind": "text"}}, "context_ref"),
    ],
)
async def test_an_invalid_input_is_refused_with_nothing_saved(
    runner: Runner, model: str, given: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        await runner.graph.ainvoke(given, CONFIG, context={"model": model})  # type: ignore[arg-type]
    assert await runner.queries.runs() == []


async def test_calls_without_a_thread_are_refused(runner: Runner, model: str) -> None:
    with pytest.raises(UsageError, match="No thread is named"):
        await runner.graph.ainvoke(question(model))


async def test_settings_come_from_the_input_then_the_assistant_then_the_environment_then_the_file(
    runner: Runner, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rlm.toml").write_text(
        "max_turns = 11\nmax_calls = 11\nmax_tokens = 100011\nmax_time = 1011\ncell_timeout = 11"
    )
    for name, value in {"MAX_TURNS": 12, "MAX_CALLS": 12, "MAX_TOKENS": 100012, "MAX_TIME": 1012}.items():
        monkeypatch.setenv(f"RLM_{name}", str(value))
    context = {"model": model, "max_turns": 13, "max_calls": 13, "max_tokens": 100013, "sub_model": ""}
    given: Any = {"question": "What?", "settings": {"max_turns": 14, "max_calls": 14}, "max_turns": 15}
    await runner.graph.ainvoke(given, CONFIG, context=context)  # type: ignore[arg-type]
    settings = (await runner.graph.aget_state(CONFIG)).values["settings"]
    names = ("max_turns", "max_calls", "max_tokens", "max_time", "cell_timeout")
    assert [settings[name] for name in names] == [15, 14, 100013, 1012, 11]
    # Settings are saved with the run: a resume from elsewhere has the same.
    monkeypatch.setenv("RLM_MODEL", "scripted:elsewhere")
    await runner.graph.ainvoke(None, CONFIG, context={"max_calls": 1})  # type: ignore[arg-type]
    assert (await runner.graph.aget_state(CONFIG)).values["settings"] == settings


async def test_a_model_server_set_by_the_folders_file_is_refused_for_plain_callers_too(
    runner: Runner, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rlm.toml").write_text('base_url = "http://127.0.0.1:9/v1"\n')
    with pytest.raises(UsageError, match=r"\./rlm\.toml sets base_url"):
        await runner.graph.ainvoke(question(model), CONFIG)
    assert await runner.queries.runs() == []


# -- streams


async def test_turns_and_the_answer_are_streamed_as_messages_beside_events(runner: Runner, model: str) -> None:
    modes = ["messages", "custom", "values"]
    chunks: list[Any] = [one async for one in runner.graph.astream(question(model), CONFIG, stream_mode=modes)]
    messages = [payload for mode, payload in chunks if mode == "messages"]
    assert [message.content for message, _ in messages] == [*REPLIES, "AB"]
    assert [about["langgraph_node"] for _, about in messages] == ["plan"] * 3 + ["finalize"]
    assert {payload["event"] for mode, payload in chunks if mode == "custom"} >= {"turn", "code", "calls", "output"}
    assert {mode for mode, _ in chunks} == set(modes)
    assert chunks[-1][1]["answer_value"] == "AB"


async def test_chunks_have_the_shapes_of_langgraphs_own(runner: Runner, model: str) -> None:
    class Plain(TypedDict, total=False):
        x: int

    plain = StateGraph(Plain).add_node("n", lambda state: {"x": 1}).add_edge(START, "n").compile()

    def shape(chunk: Any) -> Any:
        return sorted(chunk) if isinstance(chunk, dict) and "type" in chunk else (type(chunk), len(chunk))

    for number, options in enumerate(
        [
            {"stream_mode": "values"},
            {"stream_mode": ["values"]},
            {"stream_mode": ["values"], "subgraphs": True},
            {"stream_mode": "values", "subgraphs": True},
            {"stream_mode": "values", "version": "v2"},
        ]
    ):
        options: Any = options
        config: RunnableConfig = {"configurable": {"thread_id": str(number)}}
        ours = [shape(one) async for one in runner.graph.astream(question(model), config, **options)]
        theirs = [shape(one) async for one in plain.astream({"x": 0}, **options)]
        if options["stream_mode"] == "values" and len(options) == 1:
            assert {kind for kind, _ in ours} == {kind for kind, _ in theirs} == {dict}
        else:
            assert set(ours) == set(theirs) if isinstance(ours[0], tuple) else ours[0] == theirs[0]


async def test_langchain_events_are_streamed(runner: Runner, model: str) -> None:
    names = [event["name"] async for event in runner.graph.astream_events(question(model), CONFIG, version="v2")]
    assert {"plan", "execute_code", "finalize"} <= set(names)
    assert (await runner.read("t")).answer == "AB"


async def test_the_graph_has_schemas_for_forms_and_a_drawing(runner: Runner) -> None:
    graph = runner.graph
    form = graph.get_input_jsonschema()["properties"]
    assert all("title" in one and "description" in one for one in form.values()), form
    assert {"question", "context", "max_cost", "approve"} <= set(form)
    context = graph.get_context_jsonschema()
    assert context and {"model", "max_turns", "schema"} <= set(context["properties"])
    assert "answer_value" in graph.get_output_jsonschema()["properties"]
    for xray in (False, True):
        drawing = graph.get_graph(xray=xray)
        assert {"prepare", "plan", "execute_code", "sub_call", "finalize"} <= set(drawing.nodes)
