"""The checkpointer: LangGraph's own conformance suite, and this project's further promises."""

import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import WRITES_IDX_MAP, empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import ALL_CAPABILITIES

from durable_rlm.state.checkpointer import RunSaver
from durable_rlm.state.db.connection import Database
from durable_rlm.state.errors import LeaseLost, RunBusy
from durable_rlm.state.leases import Leases


@dataclass
class _Mine:
    n: int


@checkpointer_test(name="RunSaver")
async def make_saver() -> AsyncGenerator[RunSaver]:
    with tempfile.TemporaryDirectory() as folder:
        async with Database.open(Path(folder) / "db") as database:
            yield RunSaver(database, Leases(database))


async def test_the_checkpointer_passes_langgraphs_conformance_suite() -> None:
    report = await validate(make_saver)
    results = {capability.value: report.results[capability.value] for capability in ALL_CAPABILITIES}
    assert all(result.detected for result in results.values()), results
    failed = {name: result.failures for name, result in results.items() if result.tests_failed}
    assert not failed
    assert sum(result.tests_passed for result in results.values()) > 60


def config(thread: str = "t") -> Any:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}


async def put(saver: RunSaver, thread: str = "t") -> str:
    checkpoint = empty_checkpoint()
    await saver.aput(config(thread), checkpoint, {"source": "loop", "step": 0, "parents": {}}, {})
    return checkpoint["id"]


async def test_steps_are_numbered_in_the_order_in_which_they_are_saved(database: Database) -> None:
    saver = RunSaver(database, Leases(database))
    ids = [await put(saver) for _ in range(3)]
    rows = await database.read("SELECT step, checkpoint_id FROM steps WHERE thread_id = 't' ORDER BY step")
    assert rows == [(1, ids[0]), (2, ids[1]), (3, ids[2])]


async def test_a_process_that_lost_its_lease_cannot_write(database: Database) -> None:
    leases = Leases(database)
    saver = RunSaver(database, leases)
    await leases.acquire("t")
    await put(saver)
    # Another process has taken over: the token has grown.
    await database.commit(lambda c: c.execute("UPDATE leases SET token = token + 1"))
    with pytest.raises(LeaseLost):
        await put(saver)
    assert await database.read("SELECT count(*) FROM checkpoints") == [(1,)]


async def test_a_second_holder_is_refused_and_writes_nothing(database: Database) -> None:
    first, second = Leases(database), Leases(database)
    await first.acquire("t")
    with pytest.raises(RunBusy):
        await second.acquire("t")
    with pytest.raises(RunBusy):
        await put(RunSaver(database, second))
    assert await database.read("SELECT count(*) FROM checkpoints") == [(0,)]
    await first.release("t")
    await second.acquire("t")


async def test_a_dead_holder_is_taken_over_at_once(database: Database) -> None:
    leases = Leases(database)
    await leases.acquire("t")
    await database.commit(lambda c: c.execute("UPDATE leases SET owner = json_set(owner, '$.pid', 999999999)"))
    await Leases(database).acquire("t")


async def test_writes_of_a_task_are_saved_with_the_step_that_follows(database: Database) -> None:
    saver = RunSaver(database, Leases(database))
    place = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": await put(saver)}}
    before = database.commits
    await saver.aput_writes(place, [("turn", 2)], "task")  # type: ignore[arg-type]
    assert await database.read("SELECT channel FROM writes") == []
    await put(saver)
    assert await database.read("SELECT channel FROM writes") == [("turn",)] and database.commits == before + 1


@pytest.mark.parametrize("channel", sorted(WRITES_IDX_MAP))
async def test_writes_that_no_step_follows_are_saved_at_once(database: Database, channel: str) -> None:
    saver = RunSaver(database, Leases(database))
    place = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": await put(saver)}}
    await saver.aput_writes(place, [(channel, "said")], "task")  # type: ignore[arg-type]
    assert await database.read("SELECT channel FROM writes") == [(channel,)]


async def test_no_write_of_a_cancelled_task_is_kept(database: Database) -> None:
    saver = RunSaver(database, Leases(database))
    place = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": await put(saver)}}
    await saver.aput_writes(place, [("turn", 2), ("__error__", "CancelledError()")], "task")  # type: ignore[arg-type]
    await saver.aput_writes(place, [("turn", 3)], "another")  # type: ignore[arg-type]
    saved = await saver.aget_tuple(place)  # type: ignore[arg-type]
    assert saved is not None and saved.pending_writes is not None
    assert sorted(saved.pending_writes) == [("another", "turn", 3), ("task", "__error__", "CancelledError()")]


async def test_only_plain_types_are_rebuilt_from_the_file(database: Database) -> None:
    saver = RunSaver(database, Leases(database))
    await put(saver)
    loaded = saver.serde.loads_typed(saver.serde.dumps_typed(_Mine(1)))
    assert not isinstance(loaded, _Mine)
