"""States that are read without LangGraph equal those that the compiled graph reads, at every step of every run."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph.saved_states import NODES, SavedCheckpoints
from durable_rlm.state.checkpointer import RunSaver
from durable_rlm.state.db.connection import Database
from durable_rlm.state.errors import StoredDataDamaged
from durable_rlm.state.leases import Leases
from durable_rlm.state.saved_checkpoints import read_checkpoint
from tests.contract.in_memory_kernel import MemoryKernels
from tests.crash_at import Crash, CrashAt
from tests.damage import behind
from tests.fixtures.homes import model as fixture
from tests.graph.sub_rlms.conftest import tree_script
from tests.nodes.approval.waiting_run import APPROVE, Reviewed, edit, reject
from tests.scripts import repl, write_script

HOMES = Path(fixture.__file__).parent


@pytest.fixture
def reviewed(tmp_path: Path) -> Reviewed:
    return Reviewed(tmp_path)


async def differences(home: Path) -> tuple[int, list[str]]:
    """Return the number of states of a home, and those of which the two readings differ."""
    compared, found = 0, list[str]()
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        stores = runner.stores
        saved = SavedCheckpoints(stores)
        for row in await stores.threads.all():
            steps = await stores.threads.steps(row.thread_id)
            for checkpoint_id in [None, *(step.checkpoint_id for step in steps)]:
                config: Any = {"configurable": {"thread_id": row.thread_id, "checkpoint_id": checkpoint_id}}
                if checkpoint_id is None:
                    del config["configurable"]["checkpoint_id"]
                own, theirs = await saved.aget_state(config), await runner._graph.aget_state(config)
                compared += 1
                pairs = zip(("values", "next", "interrupts", "tasks"), readable(own), readable(theirs), strict=True)
                at = f"{row.thread_id} {checkpoint_id}"
                found += [f"{name} of {at}: {one} is not {other}" for name, one, other in pairs if one != other]
    return compared, found


def readable(state: Any) -> Any:
    """Return all of a state that readers use."""
    requests = [(one.id, one.value) for one in state.interrupts]
    tasks = [(task.id, task.name, [one.id for one in task.interrupts]) for task in state.tasks]
    return dict(state.values), state.next, requests, tasks


@pytest.mark.parametrize("name", sorted(folder.name for folder in HOMES.glob("format-*")))
async def test_every_step_of_the_homes_of_all_formats_is_read_as_the_graph_reads_it(name: str, tmp_path: Path) -> None:
    home = Path(shutil.copytree(HOMES / name, tmp_path / "home"))
    compared, found = await differences(home)
    assert found == [] and compared > 20


@pytest.mark.parametrize(
    ("gate", "cells", "decisions"),
    [
        ("code", ["x = 1", "FINAL(x)", "FINAL(3)"], [APPROVE, reject("not so"), edit(code="FINAL(2)")]),
        ("calls", ["x = llm_query_batched(['a', 'b', 'c'])", "FINAL(x)"], [APPROVE]),
        ("final", ["FINAL(1)", "FINAL(2)"], [reject("again"), APPROVE]),
        ("budget", ["x = llm_query_batched(['a', 'b', 'c', 'd'])", "FINAL(x)"], []),
    ],
)
async def test_a_run_that_waits_at_a_gate_is_read_as_the_graph_reads_it(
    reviewed: Reviewed, gate: str, cells: list[str], decisions: list[dict[str, Any]]
) -> None:
    limits: dict[str, Any] = {"max_calls": 3} if gate == "budget" else {}
    run = await reviewed.start(cells, gate, **limits)
    assert run.status == "paused" and await differences(reviewed.home) == (run.steps + 1, [])
    for decision in decisions:
        run = await reviewed.decide(decision)
        compared, found = await differences(reviewed.home)
        assert (compared, found) == (run.steps + 1, [])
    assert run.status == ("answered" if decisions else "paused")


async def test_a_tree_of_sub_rlms_that_waits_is_read_as_the_graph_reads_it(reviewed: Reviewed) -> None:
    tree = {
        "top": ["x = rlm_query_batched(['middle a', 'middle b'])", "FINAL(x)"],
        "middle": ["FINAL(llm_query('deep'))"],
    }
    script = tree_script(reviewed.folder / "tree.py", tree)
    await reviewed.run(script, "code", question="top", max_depth=2)
    run = await reviewed.decide(APPROVE)
    assert len(run.interrupts) == 1 and (await differences(reviewed.home))[1] == []
    await reviewed.decide(reject("no"), APPROVE)
    compared, found = await differences(reviewed.home)
    assert found == [] and compared > 12


CELLS = ["x = [llm_query_batched(['a', 'b', 'c']), llm_query('d')]", "y = x", "FINAL(y)"]


@pytest.mark.parametrize("point", ["request-after", "journal-after", "checkpoint-before", "checkpoint-after"])
async def test_a_run_whose_process_died_is_read_as_the_graph_reads_it(point: str, tmp_path: Path) -> None:
    script = write_script(tmp_path / "m.py", [repl(cell) for cell in CELLS])
    for times in (1, 2, 3, 4, 6):
        home = tmp_path / f"home {times}"
        with pytest.raises(Crash):
            async with Runner.open(home, kernels=MemoryKernels(), failpoint=CrashAt(point, times)) as runner:
                await runner.run("What?", model=script, thread="t", concurrency=2)
        assert (await differences(home))[1] == []


async def test_finished_tasks_of_a_step_are_part_of_the_current_state_alone(tmp_path: Path) -> None:
    """One of two calls is written, the other one fails: the step of both has not ended."""
    cell = "x = llm_query_batched(['a', 'b'])"
    script = write_script(tmp_path / "m.py", [repl(cell), repl("FINAL(x)")])
    home = tmp_path / "home"
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        await runner.run("What?", model=script, thread="t", concurrency=2)
        steps = await runner.queries.steps("t")
    [last] = [step["checkpoint_id"] for step in steps if step["kind"] == "sub_call"]
    # As if the process had died when only one of the tasks was saved.
    kept = f"SELECT checkpoint_id FROM checkpoints WHERE thread_id = 't' AND checkpoint_id >= '{last}'"
    with behind(home) as connection:
        connection.execute(f"DELETE FROM writes WHERE checkpoint_id IN ({kept})")
        connection.execute(f"DELETE FROM checkpoints WHERE checkpoint_id >= '{last}'")
        connection.execute(f"DELETE FROM steps WHERE checkpoint_id >= '{last}'")
        connection.execute("DELETE FROM writes WHERE task_path LIKE '%__pregel_push, 0000000001%'")
    compared, found = await differences(home)
    assert found == [] and compared > 3
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        now = await SavedCheckpoints(runner.stores).aget_state({"configurable": {"thread_id": "t"}})
        step = (await runner.stores.threads.steps("t"))[-1]
        then: Any = {"configurable": {"thread_id": "t", "checkpoint_id": step.checkpoint_id}}
        assert now.next == ("sub_call",)
        assert (await SavedCheckpoints(runner.stores).aget_state(then)).next == ("sub_call", "sub_call")


async def test_a_long_run_its_forks_and_its_branches_are_read_as_the_graph_reads_them(tmp_path: Path) -> None:
    """More turns than a saved whole list covers, twice."""
    turns = 125
    cells = [*(f"x = {number}" for number in range(turns)), "FINAL(x)"]
    script = write_script(tmp_path / "m.py", [repl(cell) for cell in cells])
    home = tmp_path / "home"
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        run = await runner.run("What?", model=script, thread="long", max_turns=turns + 5)
        assert (run.status, run.answer) == ("answered", turns - 1)
        steps = await runner.queries.steps("long")
        planned = [step["step"] for step in steps if step["kind"] == "plan"]
        await runner.fork("long", planned[60], into="other code", code="FINAL('forked')")
        await runner.fork("long", planned[-1] + 1, into="other value", set={"x": {"deep": [1]}})
        for fork in ("other code", "other value"):
            await runner.resume(fork)
        config: Any = {"configurable": {"thread_id": "long", "checkpoint_id": steps[40]["checkpoint_id"]}}
        await runner.graph.aupdate_state(config, {"question": "What else?"})
    compared, found = await differences(home)
    assert found == [] and compared > 3 * turns


async def test_a_run_that_has_failed_is_read_as_the_graph_reads_it(tmp_path: Path) -> None:
    script = write_script(tmp_path / "m.py", [repl("x = 1")])
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        run = await runner.run("What?", model=script, thread="t")
        assert run.status == "failed"
    compared, found = await differences(tmp_path / "home")
    assert (compared, found) == (run.steps + 1, [])


async def test_a_thread_that_is_not_there_has_an_empty_state(runner: Runner) -> None:
    config: Any = {"configurable": {"thread_id": "nobody"}}
    own, theirs = await SavedCheckpoints(runner.stores).aget_state(config), await runner._graph.aget_state(config)
    assert readable(own) == readable(theirs) == ({}, (), [], [])


async def test_a_node_that_has_seen_its_trigger_does_not_run_next(runner: Runner, tmp_path: Path) -> None:
    """LangGraph writes that when it saves a list whole that nothing was added to."""
    script = write_script(tmp_path / "m.py", [repl("FINAL(1)")])
    run = await runner.run("What?", model=script, thread="t", approve=["code"])
    [found] = [one async for one in runner.saver.alist({"configurable": {"thread_id": "t"}}, limit=1)]
    seen = {"review": {"branch:to:review": found.checkpoint["channel_versions"]["branch:to:review"]}}
    again: Any = {**found.checkpoint, "id": f"{found.checkpoint['id'][:-1]}0", "versions_seen": seen}
    await runner.saver.aput({"configurable": {"thread_id": "t", "checkpoint_ns": ""}}, again, found.metadata, {})
    config: Any = {"configurable": {"thread_id": "t"}}
    own, theirs = await SavedCheckpoints(runner.stores).aget_state(config), await runner._graph.aget_state(config)
    assert readable(own) == readable(theirs) and run.status == "paused" and own.next == ()


async def test_the_nodes_are_those_of_the_graph_in_its_order(runner: Runner) -> None:
    assert tuple(runner._graph.nodes) == NODES


DAMAGE: list[str] = [
    "UPDATE checkpoints SET metadata = '{}' WHERE checkpoint_id = (SELECT checkpoint_id FROM steps WHERE step = 4)",
    "UPDATE checkpoints SET checkpoint = x'80' WHERE checkpoint_id = (SELECT checkpoint_id FROM steps WHERE step = 3)",
    "DELETE FROM checkpoints WHERE checkpoint_id = (SELECT checkpoint_id FROM steps WHERE step = 3)",
    "DELETE FROM checkpoints WHERE checkpoint_id = (SELECT checkpoint_id FROM steps ORDER BY step DESC LIMIT 1)",
    "UPDATE writes SET value = x'90' WHERE channel = 'turns'",
    "UPDATE writes SET value = x'90' WHERE channel = 'usage'",
    "UPDATE checkpoints SET parent_checkpoint_id = NULL",
]


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damaged_rows_are_refused_exactly_where_the_graph_refuses_them(damage: str, tmp_path: Path) -> None:
    script = write_script(tmp_path / "m.py", [repl(cell) for cell in CELLS])
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        await runner.run("What?", model=script, thread="t")
    with behind(tmp_path / "home") as connection:
        assert connection.execute(damage).rowcount > 0

    async def read(aget_state: Callable[[Any], Any], config: Any) -> Any:
        try:
            return readable(await aget_state(config))
        except StoredDataDamaged as damaged:
            return damaged.message

    said: list[Any] = []
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        saved = SavedCheckpoints(runner.stores)
        for step in [None, *await runner.stores.threads.steps("t")]:
            place = {"thread_id": "t"} | ({"checkpoint_id": step.checkpoint_id} if step else {})
            own = await read(saved.aget_state, {"configurable": place})
            assert own == await read(runner._graph.aget_state, {"configurable": place}), step
            said.append(own)
    assert any(isinstance(one, str) for one in said)


async def test_a_checkpoint_of_another_program_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """Its checksums are right, and its contents are nonsense."""
    async with Database.open(tmp_path / "runs.db") as database:
        saver = RunSaver(database, Leases(database))
        config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        checkpoint: Any = {"id": "aa", "channel_values": {"x": 1}, "channel_versions": {}, "versions_seen": 3}
        await saver.aput(config, checkpoint, {}, {})
        with pytest.raises(StoredDataDamaged, match=r"Step 1 of t cannot be read"):
            await read_checkpoint(database, "t", None)
