"""Runs from question to answer, over the compiled graph, a scripted model and an in-memory kernel."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from durable_rlm import Run, Runner
from durable_rlm.state.errors import InputError, ThreadExists, UnknownThread, UsageError
from tests import rendezvous
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import Asked, repl, write_script


async def test_a_question_is_answered_by_code_and_sub_calls(runner: Runner, tmp_path: Path) -> None:
    model = write_script(
        tmp_path / "m.py",
        [repl("lines = context.splitlines()\nprint(len(lines))"), repl("FINAL(llm_query_batched(lines))")],
    )
    run = await runner.run("What?", "one\ntwo\nthree", model=model)
    assert (run.status, run.answer, run.turns) == ("answered", ["ONE", "TWO", "THREE"], 2)
    assert run.usage["model_calls"] == 5 and run.exit_code == 0


CELL = ("execute_code", "sub_call", "execute_code")


@pytest.mark.parametrize(
    ("gate", "turn"),
    [((), CELL), (("code:writes",), ("review", *CELL)), (("final",), (*CELL, "review"))],
    ids=["no gate", "a gate for code", "a gate for the answer"],
)
async def test_every_step_is_saved_under_its_node(
    runner: Runner, tmp_path: Path, gate: tuple[str, ...], turn: tuple[str, ...]
) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(llm_query('q'))")])
    run = await runner.run("What?", model=model, approve=gate)
    if run.status == "paused":
        run = await runner.decide(run.thread_id, [{"type": "approve"}])
    steps = await runner.queries.steps(run.thread_id)
    kinds = ["input", "start", "prepare", "plan", *turn, "finalize"]
    assert [step["kind"] for step in steps] == kinds and run.status == "answered"
    assert [step["step"] for step in steps] == list(range(1, len(kinds) + 1)) and run.steps == len(kinds)


async def test_the_calls_of_a_loop_share_one_superstep(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL([llm_query(f'q{i}') for i in range(100)][-1])")])
    run = await runner.run("What?", model=model)
    assert run.answer == "Q99" and run.steps == 8


async def test_equal_calls_are_separate_samples_unless_cached(runner: Runner, tmp_path: Path) -> None:
    code = "a = llm_query_batched(['same'] * 5)\nb = llm_query_batched(['same'] * 5, cache=True)\nFINAL(len(a + b))"
    run = await runner.run("What?", model=write_script(tmp_path / "m.py", [repl(code)]))
    calls = await runner.queries.calls(run.thread_id)
    assert (run.answer, len(calls)) == (10, 6)


async def test_calls_are_shown_with_their_texts(runner: Runner, tmp_path: Path) -> None:
    code = "try:\n    llm_query('bad')\nexcept SubCallError as e:\n    FINAL(str(e))"
    model = write_script(tmp_path / "m.py", [repl(code)], sub="raise ValueError('no such thing')")
    run = await runner.run("What?", model=model)
    [call] = [call.to_json() for call in await runner.queries.calls(run.thread_id)]
    assert "no such thing" in run.answer and "no such thing" in call["error"]
    assert (call["prompt"], call["answer"], call["kind"], call["turn"], call["reused"]) == (
        "bad",
        None,
        "llm",
        1,
        False,
    )


async def test_replies_without_code_get_a_note_and_do_not_end_the_run(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", ["The answer is 42. FINAL(42)", "", repl("FINAL(len(history))")])
    run = await runner.run("What?", model=model)
    assert (run.answer, run.turns) == (6, 3)


async def test_an_error_in_a_cell_does_not_end_the_run(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("kept = 5\n1 / 0"), repl("FINAL(kept)")])
    run = await runner.run("What?", model=model)
    assert run.answer == 5


async def test_the_last_turn_must_answer_and_ends_the_run(runner: Runner, tmp_path: Path) -> None:
    script = tmp_path / "m.py"
    script.write_text(
        "def root(messages):\n"
        "    last = 'last turn' in messages[-1]['content']\n"
        "    return '```repl\\nFINAL(\"forced\")\\n```' if last else '```repl\\nprint(1)\\n```'\n"
        "def sub(prompt): return ''\n"
    )
    run = await runner.run("What?", model=f"scripted:{script}", max_turns=4)
    assert (run.status, run.answer, run.turns) == ("answered", "forced", 4)


async def test_a_run_with_a_spent_budget_resumes_once_it_is_raised(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("x = 1"), repl("x += 1"), repl("x += 1"), repl("FINAL(x)")])
    run = await runner.run("What?", model=model, max_turns=2)
    assert (run.status, run.exit_code, run.answer) == ("budget", 4, None)
    assert (await runner.resume(run.thread_id)).status == "budget"
    again = await runner.resume(run.thread_id, max_turns=10)
    assert (again.status, again.answer, again.usage["model_calls"]) == ("answered", 3, 4)


async def test_sub_calls_over_budget_raise_in_the_code_and_leave_one_call_for_the_answer(
    runner: Runner, tmp_path: Path
) -> None:
    code = "try:\n    llm_query_batched(['q'] * 50)\nexcept BudgetExceeded as e:\n    got = sum(map(bool, e.partial))"
    model = write_script(tmp_path / "m.py", [repl(code), repl("FINAL(got)")])
    run = await runner.run("What?", model=model, max_calls=10)
    assert (run.status, run.answer, run.usage["model_calls"]) == ("answered", 8, 10)


async def test_an_answered_run_is_returned_without_a_request(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(context.upper())")])
    run = await runner.run("What?", "input", model=model, thread="named")
    (tmp_path / "m.py").write_text("def root(m): raise SystemError\ndef sub(p): raise SystemError\n")
    assert await runner.resume("named") == run
    assert await runner.run("What?", "input", model=model, thread="named") == run


async def test_the_same_thread_with_another_question_is_refused(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(1)")])
    await runner.run("What?", "input", model=model, thread="named")
    for question, given in (("Why?", "input"), ("What?", "other")):
        with pytest.raises(ThreadExists, match="named"):
            await runner.run(question, given, model=model, thread="named")


async def test_the_same_thread_over_a_file_that_changed_is_refused(runner: Runner, tmp_path: Path) -> None:
    model, file = write_script(tmp_path / "m.py", [repl("FINAL(context)")]), tmp_path / "input.txt"
    file.write_text("as it was")
    run = await runner.run("What?", file, model=model, thread="named")
    assert await runner.run("What?", file, model=model, thread="named") == run
    file.write_text("as it is now")
    with pytest.raises(ThreadExists, match="its input has changed"):
        await runner.run("What?", file, model=model, thread="named")
    assert await runner.resume("named") == run


async def test_a_failed_root_turn_is_saved_and_sent_again_on_resume(runner: Runner, tmp_path: Path) -> None:
    script = tmp_path / "m.py"
    script.write_text("def root(messages): raise ConnectionError('gone')\ndef sub(prompt): return ''\n")
    run = await runner.run("What?", model=f"scripted:{script}")
    assert (run.status, run.exit_code) == ("failed", 1) and run.error is not None and "gone" in run.error["message"]
    write_script(script, [repl("FINAL('back')")])
    assert (await runner.resume(run.thread_id)).answer == "back"


async def test_a_kernel_that_dies_is_replaced_with_its_variables_and_nothing_is_paid_twice(tmp_path: Path) -> None:
    kernels = MemoryKernels()
    model = write_script(
        tmp_path / "m.py",
        [
            repl("kept = llm_query('a')"),
            repl("doomed = llm_query('die')"),
            repl("FINAL([kept, 'doomed' in globals()])"),
        ],
    )

    passed: list[str] = []

    def failpoint(point: str) -> None:
        passed.append(point)
        if point == "request-before" and passed.count(point) == 4:  # two root turns, and the call of each cell
            kernels.sessions[-1].kill("the test said so")

    async with Runner.open(tmp_path / "home", kernels=kernels, failpoint=failpoint) as runner:
        run = await runner.run("What?", model=model)
    assert run.answer == ["A", False]
    assert run.usage["model_calls"] == 5, "the first cell's call is not paid again"


async def test_a_stopped_run_resumes_without_paying_for_saved_calls(tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("x = llm_query('a')"), repl("FINAL(x + llm_query('b'))")])
    stopping: list[asyncio.Future[bool]] = []
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:

        def on_event(event: Mapping[str, Any]) -> None:
            if event["event"] == "code" and event["turn"] == 2:
                stopping.append(asyncio.ensure_future(runner.stop_all()))

        run = await runner.run("What?", model=model, on_event=on_event)
        assert (run.status, run.exit_code) == ("stopped", 130)
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        again = await runner.resume(run.thread_id)
        assert (again.answer, again.usage["model_calls"]) == ("AB", 4), again
        assert len(await runner.queries.calls(run.thread_id)) == 2


async def test_a_running_thread_is_busy_and_is_not_disturbed(runner: Runner, tmp_path: Path) -> None:
    rendezvous.forget()
    cell = "from tests import rendezvous\nrendezvous.wait_at('second caller answered')\nFINAL(1)"
    model = write_script(tmp_path / "m.py", [repl(cell)])
    second: list[asyncio.Future[Run]] = []

    async def resume() -> Run:
        try:
            return await runner.resume("named")
        finally:
            rendezvous.pass_("second caller answered")

    def on_event(event: Mapping[str, Any]) -> None:
        if event["event"] == "code":
            second.append(asyncio.ensure_future(resume()))

    first = await runner.run("What?", model=model, thread="named", on_event=on_event)
    busy = await second[0]
    assert (busy.status, busy.exit_code) == ("busy", 5)
    assert (first.status, first.answer, first.turns) == ("answered", 1, 1)


async def test_a_typed_answer_must_match_its_schema(runner: Runner, tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    model = write_script(tmp_path / "m.py", [repl("FINAL({'n': 'seven'})"), repl("FINAL({'n': 7})")])
    run = await runner.run("What?", model=model, schema=schema)
    assert (run.answer, run.turns) == ({"n": 7}, 2)


async def test_events_stream_and_end_with_the_run(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(llm_query(context))")])
    events = [event async for event in runner.stream("What?", "text", model=model)]
    *before, end = events
    assert {"input", "turn", "code", "calls", "output", "usage"} <= {event["event"] for event in before}
    assert end["event"] == "end" and end["run"].answer == "TEXT"


@pytest.mark.parametrize(
    ("question", "options", "error", "message"),
    [
        ("", {}, UsageError, "question is empty"),
        ("Q", {"model": None}, UsageError, "--model"),
        ("Q", {"max_turns": 0}, UsageError, "--max-turns"),
        ("Q", {"schema": {"$ref": "http://127.0.0.1:9/fetch-me"}}, UsageError, "--schema"),
        ("Q", {"schema": {"type": "nonsense"}}, UsageError, "--schema"),
        ("Q", {"max_depth": 2, "kernels": 1}, UsageError, "--kernels 2"),
        ("Q", {"model": "openai:unheard-of", "base_url": "http://127.0.0.1:9", "max_cost": 1.0}, UsageError, "--price"),
    ],
)
async def test_bad_usage_is_refused_before_anything_is_saved(
    runner: Runner, tmp_path: Path, question: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    settings: dict[str, Any] = {"model": write_script(tmp_path / "m.py", []), **options}
    with pytest.raises(error, match=message):
        await runner.run(question, **settings)
    assert await runner.queries.runs() == []


async def test_missing_input_is_refused_before_anything_is_saved(runner: Runner, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        await runner.run("Q", [tmp_path / "nowhere"], model=write_script(tmp_path / "m.py", []))
    assert await runner.queries.runs() == []


async def test_threads_are_found_by_the_beginning_of_their_names(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(1)")])
    run = await runner.run("Q", model=model)
    assert (await runner.read(run.thread_id[:8])).thread_id == run.thread_id
    with pytest.raises(UnknownThread):
        await runner.resume("nobody")


async def test_the_state_holds_references_and_no_texts(runner: Runner, tmp_path: Path) -> None:
    secret = "needle-in-the-haystack"
    model = write_script(tmp_path / "m.py", [repl(f"print('{secret}')"), repl(f"llm_query('{secret}')\nFINAL(1)")])
    run = await runner.run("Q", f"{secret}\n" * 1000, model=model)
    snapshot = await runner.graph.aget_state({"configurable": {"thread_id": run.thread_id}})
    records = [{**record, "short": None, "changed": None} for record in snapshot.values["turns"]]
    assert secret not in str(records), "only bounded previews are in the state"
    assert len(str(snapshot.values)) < 20_000


async def test_the_graph_is_an_ordinary_langgraph_graph(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(len(str(context)))")])
    config: Any = {"configurable": {"thread_id": "plain"}}
    result = await runner.graph.ainvoke(
        {"question": "How long?", "context": "abc", "settings": {"model": model}}, config, durability="sync"
    )
    assert result["status"] == "answered"
    history = [snapshot async for snapshot in runner.graph.aget_state_history(config)]
    assert history[0].next == () and len(history) == 6
    assert "execute_code" in runner.graph.get_graph(xray=True).draw_mermaid()


async def test_a_run_stopped_at_any_event_resumes_to_the_same_answer(tmp_path: Path) -> None:
    """Stop at each event of an undisturbed run, as Ctrl-C does."""
    model = write_script(
        tmp_path / "m.py",
        [repl("first = llm_query_batched(context.split())"), "", repl("FINAL(first + [llm_query(first[0])])")],
    )
    expected = ["A", "B", "C", "A"]
    stopping: list[asyncio.Future[bool]] = []
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        events = [event async for event in runner.stream("What?", "a b c", model=model, thread="undisturbed")]
        end = events[-1]
        assert end["event"] == "end" and end["run"].answer == expected
        for place in range(len(events) - 1):
            heard = 0

            def on_event(event: Mapping[str, Any], place: int = place) -> None:
                nonlocal heard
                if heard == place:
                    stopping.append(asyncio.ensure_future(runner.stop_all()))
                heard += 1

            thread = f"stopped at {place}"
            run = await runner.run("What?", "a b c", model=model, thread=thread, on_event=on_event)
            assert run.status in ("stopped", "answered")
            run = await runner.resume(thread)
            assert (run.status, run.answer) == ("answered", expected), events[place]
            assert len(await runner.queries.calls(thread)) == 4


async def test_a_fork_has_all_steps_up_to_its_own_and_pays_for_nothing_again(runner: Runner, tmp_path: Path) -> None:
    replies = [
        repl("first = llm_query_batched(['a', 'b'])"),
        repl("second = llm_query(first[0])"),
        repl("FINAL(second)"),
    ]
    model = write_script(tmp_path / "m.py", replies)
    run = await runner.run("What?", "input", model=model)
    before = await runner.queries.steps(run.thread_id)
    for step in range(1, run.steps + 1):
        fork = await runner.fork(run.thread_id, step, into=f"fork at {step}")
        assert fork.steps == step
        again = await runner.resume(fork.thread_id)
        assert (again.status, again.answer) == ("answered", "A"), before[step - 1]
        assert again.usage["model_calls"] == 0
    assert await runner.queries.steps(run.thread_id) == before
    with pytest.raises(ThreadExists):
        await runner.fork(run.thread_id, 1, into=run.thread_id)
    with pytest.raises(UsageError, match="no step"):
        await runner.fork(run.thread_id, 999)


async def test_a_fork_in_mid_cell_reuses_the_recorded_answers(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL([llm_query(q) for q in 'abc'])")])
    run = await runner.run("What?", model=model)
    standing = next(s["step"] for s in await runner.queries.steps(run.thread_id) if "waits for" in s["summary"])
    write_script(tmp_path / "m.py", [], sub="raise ValueError('asked again')")
    fork = await runner.fork(run.thread_id, standing)
    assert (await runner.resume(fork.thread_id)).answer == ["A", "B", "C"]


async def test_a_resume_refuses_an_invalid_limit_and_other_settings(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("x = 1"), repl("FINAL(x)")])
    run = await runner.run("What?", model=model, max_turns=1)
    with pytest.raises(UsageError, match="--max-turns"):
        await runner.resume(run.thread_id, max_turns=0)
    with pytest.raises(UsageError, match="cannot change mode"):
        await runner.resume(run.thread_id, **cast(Any, {"mode": "direct"}))


async def test_progress_of_sub_calls_adds_up(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(len(llm_query_batched(['q'] * 300)))")])
    events = [event async for event in runner.stream("What?", model=model)]
    calls = [event for event in events if event["event"] == "calls"]
    assert calls[-1]["answered"] == 300 and max(event["posted"] for event in calls) == 300
    assert all(event["posted"] >= event["answered"] + event["in_flight"] for event in calls)


async def test_a_model_that_repeats_itself_gets_notes_which_the_trace_shows(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("{}['x']"), repl("{}['x']"), repl("FINAL(history[-1]['content'])")])
    asked = Asked(model)
    run = await runner.run("What?", model=model)
    shown = await runner.queries.show(run.thread_id, runner.graph)
    first, second, _ = [turn["notes"] for turn in shown["turns"]]
    assert first == [] and [note[:30] for note in second] == [
        "This is the same cell as in tu",
        "This is the 2nd turn in a row ",
    ]
    assert "KeyError" not in asked.roots[0] and all(f"Note: {note}" in asked.roots[2] for note in second)
    await runner.fork(run.thread_id, 3, into="again")
    again = await runner.resume("again")
    assert (again.usage["model_calls"], again.usage["reused_calls"]) == (0, 3), "the notes are the same in a fork"


async def test_a_value_that_is_not_json_never_matches_a_schema_as_text(runner: Runner, tmp_path: Path) -> None:
    cells = ["FINAL(b'2020')", "FINAL('2020')"]
    model = write_script(tmp_path / "m.py", [repl(cell) for cell in cells])
    run = await runner.run("When?", model=model, schema={"type": "string"})
    assert (run.answer, run.turns) == ("2020", 2)
    shown = await runner.queries.show(run.thread_id, runner.graph)
    assert "a bytes is no JSON value" in shown["turns"][0]["notes"][0]


async def test_an_answer_of_the_last_turn_names_the_spent_budget(runner: Runner, tmp_path: Path) -> None:
    cells = ["got = []\nfor i in range(9):\n    got.append(llm_query(str(i)))", "FINAL(len(got))"]
    model = write_script(tmp_path / "m.py", [repl(cell) for cell in cells])
    heard: list[Mapping[str, Any]] = []
    run = await runner.run("How many?", model=model, max_calls=5, on_event=heard.append)
    assert (run.status, run.answer) == ("answered", 3)
    note = (await runner.queries.show(run.thread_id, runner.graph))["note"]
    assert note == "the budget of 5 calls was used up, and this is what its last turn could answer"
    assert [event["text"] for event in heard if event["event"] == "notice"] == [f"T{note[1:]}."]
    assert (await runner.queries.steps(run.thread_id))[-1]["summary"] == f"answered: {note}"
