"""`Runner.delete` and `Runner.gc`: a deleted run is gone, except for what other runs need (promises P5, P12)."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph.maintenance import collect_garbage
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.errors import RunBusy, StoredDataDamaged, UnknownThread
from durable_rlm.state.maintenance.gc import GRACE, collect
from tests.contract.in_memory_kernel import MemoryKernels
from tests.damage import DATABASE, ask, change
from tests.graph.saved_home import adopt, make_home
from tests.scripts import repl, write_script

REPLIES = [repl("first = llm_query_batched(context.split())"), repl("FINAL(first + [llm_query(first[0])])")]
ANSWER = ["A", "B", "A"]
TABLES = ("threads", "checkpoints", "writes", "steps", "calls")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def home(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "home"))


def rows(home: Path, name: str = "") -> dict[str, int]:
    """Return the number of rows, by table, of the threads with `name` in their names."""
    count = "SELECT count(*) FROM {} WHERE instr(CAST(thread_id AS BLOB), CAST(? AS BLOB)) > 0"
    found = {table: ask(home, count.format(table), name)[0][0] for table in TABLES}
    return {table: number for table, number in found.items() if number}


async def listed(runner: Runner) -> set[str]:
    return {run["thread_id"] for run in await runner.queries.runs()}


async def test_a_deleted_run_is_gone_and_the_others_are_unchanged(home: Path) -> None:
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        before = await runner.queries.show("other", runner.graph)
        deleted = await runner.delete("hurt")
        assert (deleted.threads, deleted.forks) == (["hurt"], [])
        assert await listed(runner) == {"other"}
        for look in (runner.read, runner.resume, runner.verify, runner.delete, runner.queries.calls):
            with pytest.raises(UnknownThread):
                await look("hurt")
        assert await runner.queries.show("other", runner.graph) == before
        assert (await runner.verify("other")).ok
    assert rows(home, "hurt") == {}


async def test_a_run_can_be_deleted_by_the_beginning_of_its_name_and_an_unknown_one_is_refused(home: Path) -> None:
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        with pytest.raises(UnknownThread):
            await runner.delete("nobody")
        assert (await runner.delete("othe")).threads == ["other"]


async def test_gc_frees_what_only_the_deleted_run_needed(home: Path) -> None:
    def stored() -> tuple[int, int]:
        return ask(home, "SELECT count(*) FROM texts")[0][0], len(list((home / "blobs").rglob("*/*")))

    assert all(not tally.records for tally in (await collect_garbage(home)).freed.values())
    texts, blobs = stored()
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        await runner.delete("hurt")
    freed = (await collect_garbage(home)).freed
    assert all(freed[kind].records > 0 for kind in ("texts", "snapshots", "pieces", "blobs")), freed
    assert stored() == (texts - freed["texts"].records, blobs - freed["blobs"].records)
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        assert (await runner.verify("other")).ok
        # Both runs had the same code.
        assert "has changed" not in str(await runner.queries.show("other", runner.graph))
        assert (await runner.resume("other")).answer == ["DELTA", "GAMMA"]


@pytest.mark.parametrize("step", range(1, 13))
async def test_a_fork_has_the_same_cost_and_answer_when_its_parent_is_deleted(tmp_path: Path, step: int) -> None:
    model = write_script(tmp_path / "m.py", REPLIES)
    outcomes: list[Any] = []
    for deleting in (False, True):
        home = tmp_path / str(deleting)
        async with Runner.open(home, kernels=MemoryKernels()) as runner:
            await runner.run("What?", "a b", model=model, thread="origin")
            await runner.fork("origin", step, into="fork")
            if deleting:
                assert (await runner.delete("origin")).forks == ["fork"]
                assert await listed(runner) == {"fork"}
                assert (await runner.queries.runs())[0]["parent"] is None
        if deleting:
            await collect_garbage(home)
        async with Runner.open(home, kernels=MemoryKernels()) as runner:
            assert (await runner.verify("fork")).ok
            run = await runner.resume("fork")
            calls = [call.to_json() for call in await runner.queries.calls("fork")]
            outcomes.append((run.status, run.answer, run.usage, run.steps, [call["prompt"] for call in calls]))
            assert run.usage["model_calls"] == 0 and run.answer == ANSWER
            assert (await runner.verify("fork")).ok
    assert outcomes[0] == outcomes[1]


async def test_rows_that_are_kept_for_forks_are_deleted_with_the_last_fork(tmp_path: Path) -> None:
    home = tmp_path / "home"
    model = write_script(tmp_path / "m.py", REPLIES)
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        await runner.run("What?", "a b", model=model, thread="origin")
        await runner.fork("origin", 8, into="middle")
        await runner.fork("middle", 6, into="last")
        await runner.fork("origin", 6, into="aside")
        assert set((await runner.delete("origin")).forks) == {"middle", "last", "aside"}
        assert (await runner.delete("middle")).forks == ["last"]
        assert await listed(runner) == {"last", "aside"}
        again = await runner.resume("last")
        assert (again.answer, again.usage["model_calls"]) == (ANSWER, 0)
        assert set(rows(home, "middle")) <= set(rows(home, "origin")) == {"threads", "steps", "calls"}
        await runner.delete("last")
        assert not rows(home, "middle") and rows(home, "origin")
        await runner.delete("aside")
    assert rows(home) == {}
    await collect_garbage(home)
    assert ask(home, "SELECT count(*) FROM texts") == [(0,)]
    assert list((home / "blobs").rglob("*/*")) == []


async def test_the_name_of_a_deleted_run_can_be_used_again(tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", REPLIES)
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        for question in ("What?", "Why?", "Who?"):
            run = await runner.run(question, "a b", model=model, thread="named")
            assert run.answer == ANSWER and run.usage["model_calls"] == 5
            await runner.fork("named", 6, into=f"fork of {question}")
            await runner.delete("named")
        for question in ("What?", "Why?", "Who?"):
            assert (await runner.resume(f"fork of {question}")).usage["model_calls"] == 0


async def test_a_busy_run_is_not_deleted_nor_one_whose_fork_is_busy(tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", REPLIES)
    async with (
        Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner,
        Runner.open(tmp_path / "home", kernels=MemoryKernels()) as another,
    ):
        await runner.run("What?", "a b", model=model, thread="origin")
        await runner.fork("origin", 6, into="fork")
        leases = runner.stores.leases
        for run in ("origin", "fork"):
            await leases.acquire(run)
            for one in (runner, another):
                with pytest.raises(RunBusy):
                    await one.delete("origin")
            await leases.release(run)
        assert await listed(runner) == {"origin", "fork"}
        await another.delete("origin")


async def test_the_children_of_a_run_are_deleted_with_it(home: Path) -> None:
    adopt(home, "hurt", "other")
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        assert (await runner.delete("hurt")).threads == ["hurt", "other"]
        assert await listed(runner) == set()
    assert rows(home) == {}


async def test_a_child_that_another_run_has_called_too_is_kept(home: Path, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", REPLIES)
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        await runner.run("What?", "a b", model=model, thread="shared")
    for parent in ("hurt", "other"):
        adopt(home, parent, "shared")
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        assert (await runner.delete("other")).threads == ["other"]
        # The fork reuses the recorded answer of the call, so the run that gave the answer is kept.
        await runner.fork("hurt", 9, into="fork")
        assert (await runner.delete("hurt")).threads == ["hurt"]
        assert await listed(runner) == {"fork", "shared"}
        assert (await runner.delete("fork")).threads == ["fork", "shared"]
    assert rows(home) == {}


async def test_a_run_is_deleted_with_its_children_or_not_at_all(home: Path) -> None:
    adopt(home, "hurt", "other")
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        before = rows(home)
        await runner.stores.leases.acquire("other")
        with pytest.raises(RunBusy):
            await runner.delete("hurt")
        assert rows(home) == before
        await runner.stores.leases.release("other")
        await runner.delete("hurt")


async def test_a_damaged_run_can_be_deleted(home: Path) -> None:
    change(home, "UPDATE threads SET limits = '{' WHERE thread_id = 'hurt'")
    change(
        home,
        "UPDATE checkpoints SET checkpoint = x'80' WHERE thread_id = 'hurt' AND checkpoint_id = (SELECT "
        "checkpoint_id FROM steps WHERE thread_id = 'hurt' AND step = 3)",
    )
    change(home, "DELETE FROM manifests WHERE hash = (SELECT max(hash) FROM manifests)")
    collected = await collect_garbage(home)
    assert "hurt" in collected.unreadable and not collected.freed["texts"].records
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        with pytest.raises(StoredDataDamaged):
            await runner.resume("hurt")
        await runner.delete("hurt")
        assert await listed(runner) == {"other"}


async def test_a_run_of_a_plain_langgraph_caller_can_be_verified_and_deleted(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(len(str(context)))")])
    config: Any = {"configurable": {"thread_id": "plain"}}
    await runner.graph.ainvoke({"question": "How long?", "context": "abc", "settings": {"model": model}}, config)
    assert (await runner.verify("plain")).ok
    assert (await runner.delete("plain")).threads == ["plain"]
    assert rows(tmp_path / "home") == {}


async def test_a_run_in_progress_loses_nothing_to_gc(tmp_path: Path) -> None:
    """Collect at every event, with a clock hours after the run touched what it needs."""
    model = write_script(
        tmp_path / "m.py",
        [
            repl("kept = list(range(50_000))\nfirst = llm_query_batched(context.split())"),
            repl("kept[0] = 'changed'\nprint('x' * 300_000)"),
            repl("FINAL(first + [llm_query(first[0]), kept[0], len(history[-1]['content'])])"),
        ],
    )
    home = tmp_path / "home"
    collected = 0

    def on_event(event: Mapping[str, Any]) -> None:
        nonlocal collected
        if event["event"] == "input":
            return  # Until there is a run that needs it, the input is kept for an hour.
        later = collect(home / DATABASE, Blobs(home / "blobs"), clock=lambda: time.time() + 10 * GRACE)
        assert not later.unreadable
        collected += 1

    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        run = await runner.run("What?", "a b", model=model, thread="named", on_event=on_event)
        assert run.status == "answered" and run.answer[:4] == ["A", "B", "A", "changed"], run
        assert collected > 10
        assert (await runner.verify("named")).ok
        assert all(not tally.records for tally in (await runner.gc()).freed.values())
