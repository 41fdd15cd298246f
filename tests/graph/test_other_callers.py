"""The compiled graph in another graph, under another checkpointer, and called synchronously."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from durable_rlm import Runner
from durable_rlm.state.checkpointer import RunSaver
from durable_rlm.state.errors import UsageError
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import Asked, repl, write_script

CONFIG: RunnableConfig = {"configurable": {"thread_id": "t"}}
REPLIES = [repl("first = llm_query('a')"), repl("second = llm_query(first + 'b')"), repl("FINAL(second)")]


class Outer(TypedDict, total=False):
    question: str
    found: str


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_script(tmp_path / "m.py", REPLIES)


def question(model: str, **more: Any) -> Any:
    return {"question": "What?", "settings": {"model": model}, **more}


# -- checkpointers


@pytest.mark.parametrize("bound", [InMemorySaver(), True, False], ids=["a saver", "the outer graph's", "none"])
async def test_another_checkpointer_is_refused_with_nothing_saved_or_paid(
    runner: Runner, model: str, bound: Any
) -> None:
    graph = runner.graph.copy(update={"checkpointer": bound})
    for call in (
        lambda: graph.ainvoke(question(model), CONFIG),
        lambda: graph.aget_state(CONFIG),
        lambda: graph.aupdate_state(CONFIG, {"question": "Why?"}),
        lambda: anext(aiter(graph.aget_state_history(CONFIG))),
    ):
        with pytest.raises(UsageError, match="saves its runs in its own home, and no other checkpointer"):
            await call()
    assert await runner.queries.runs() == [] and len(Asked(model)) == 0


async def test_the_checkpointer_of_another_home_is_refused(runner: Runner, model: str, tmp_path: Path) -> None:
    async with Runner.open(tmp_path / "other", kernels=MemoryKernels()) as other:
        with pytest.raises(UsageError, match="no other checkpointer"):
            await runner.graph.copy(update={"checkpointer": other.saver}).ainvoke(question(model), CONFIG)


async def test_another_saver_over_the_same_home_is_accepted(runner: Runner, model: str) -> None:
    graph = runner.graph.copy(update={"checkpointer": RunSaver(*runner.saver.parts)})
    assert (await graph.ainvoke(question(model), CONFIG))["answer_value"] == "AB"
    assert (await runner.read("t")).answer == "AB"


# -- in another graph


async def test_a_node_of_another_graph_can_run_the_graph_in_a_thread_of_its_own(runner: Runner, model: str) -> None:
    async def research(state: Outer) -> Outer:
        return {"found": (await runner.graph.ainvoke(question(model), CONFIG))["answer_value"]}

    outer = StateGraph(Outer).add_node("research", research).add_edge(START, "research").add_edge("research", END)
    saver = InMemorySaver()
    result = await outer.compile(checkpointer=saver).ainvoke({}, {"configurable": {"thread_id": "outer"}})
    assert result == {"found": "AB"}
    assert (await runner.read("t")).answer == "AB" and not list(saver.list({"configurable": {"thread_id": "t"}}))


@pytest.mark.parametrize("checkpointer", [None, InMemorySaver()], ids=["without checkpoints", "with checkpoints"])
async def test_the_graph_as_a_node_itself_is_refused_with_what_to_do(runner: Runner, checkpointer: Any) -> None:
    outer = StateGraph(Outer).add_node("research", runner.graph).add_edge(START, "research").add_edge("research", END)
    with pytest.raises(UsageError, match="cannot be a node of another graph") as refused:
        await outer.compile(checkpointer=checkpointer).ainvoke({"question": "What?"}, CONFIG)
    assert "function that is the node" in (refused.value.hint or "")
    assert await runner.queries.runs() == []


# -- synchronous calls


async def test_calls_from_another_thread_wait_for_the_run(runner: Runner, model: str) -> None:
    def used() -> tuple[Any, ...]:
        graph = runner.graph
        result = graph.invoke(question(model), CONFIG)
        parts = [*graph.stream(None, CONFIG, stream_mode="values")]
        history = [*graph.get_state_history(CONFIG)]
        return result, parts[-1], graph.get_state(CONFIG), history

    result, part, snapshot, history = await asyncio.to_thread(used)
    assert (result["answer_value"], part["answer_value"], snapshot.values["answer_value"]) == ("AB", "AB", "AB")
    assert len(history) == (await runner.read("t")).steps


async def test_an_edit_from_another_thread_is_checked_as_any_other(runner: Runner, model: str) -> None:
    await runner.graph.ainvoke(question(model), CONFIG)
    with pytest.raises(UsageError):
        await asyncio.to_thread(runner.graph.update_state, CONFIG, {"waiting": 3})


async def test_a_stream_that_is_left_in_another_thread_stops_its_run(runner: Runner, model: str) -> None:
    def first_only() -> None:
        for _ in runner.graph.stream(question(model), CONFIG, stream_mode="values"):
            break

    await asyncio.to_thread(first_only)
    assert (await runner.read("t")).status == "stopped"


def test_calls_of_a_program_whose_loop_is_idle_run_it(tmp_path: Path, model: str) -> None:
    with asyncio.Runner() as loop:
        opening = Runner.open(tmp_path / "home", kernels=MemoryKernels())
        runner = loop.run(opening.__aenter__())
        try:
            assert runner.graph.invoke(question(model), CONFIG)["answer_value"] == "AB"
        finally:
            loop.run(opening.__aexit__(None, None, None))
    with pytest.raises(UsageError, match="closed"):
        runner.graph.invoke(None, CONFIG)


async def test_calls_inside_the_event_loop_are_refused_with_what_to_do(runner: Runner, model: str) -> None:
    with pytest.raises(UsageError, match="inside an event loop") as refused:
        runner.graph.invoke(question(model), CONFIG)
    assert "ainvoke" in (refused.value.hint or "")
    with pytest.raises(UsageError, match="inside an event loop"):
        next(runner.graph.stream(question(model), CONFIG))
    with pytest.raises(UsageError, match="inside an event loop"):
        runner.graph.get_state(CONFIG)
    assert await runner.queries.runs() == []
