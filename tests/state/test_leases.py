"""Leases: one writer for each thread, a takeover only from a dead holder, and no writes by a former holder."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psutil
import pytest
from langgraph.checkpoint.base import empty_checkpoint

from durable_rlm.state.budget import Limits
from durable_rlm.state.call_journal import Journal
from durable_rlm.state.call_records import Entry, Outcome
from durable_rlm.state.checkpointer import RunSaver
from durable_rlm.state.db.connection import Database
from durable_rlm.state.errors import LeaseLost, RunBusy, StoreError
from durable_rlm.state.leases import EXPIRES_AFTER, Leases, _ticks, is_dead, this_process
from durable_rlm.state.reservations import Reservation
from durable_rlm.state.threads import Threads
from tests.clock import Clock

HOUR = 3600.0
PLACE: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
LIMITS = Limits(max_turns=3, max_calls=10)

HOLDS = "INSERT INTO leases (thread_id, token, owner, renewed) VALUES"


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000_000.0)


@pytest.fixture
def bystander() -> Generator[psutil.Process]:
    """Another process, alive until the test ends."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield psutil.Process(process.pid)
    process.kill()
    process.communicate()


def owner_of(process: psutil.Process) -> dict[str, Any]:
    """Return the process's own description of itself in a lease."""
    return {**this_process(), "pid": process.pid, "started": process.create_time(), "ticks": _ticks(process.pid)}


def kill_and_not_ask(process: psutil.Process) -> None:
    """Kill the process and return once it has ended, as a parent does that has not asked for its exit status."""
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


async def hold(database: Database, owner: dict[str, Any], renewed: float) -> None:
    """Write a lease of `owner` for the thread."""
    await database.commit(
        lambda c: (
            c.execute(
                "INSERT INTO leases (thread_id, token, owner, renewed) VALUES ('t', 7, ?, ?)",
                (json.dumps(owner), renewed),
            ).rowcount
        )
    )


async def test_a_living_process_keeps_its_thread_whatever_the_clock_says(
    database: Database, clock: Clock, bystander: psutil.Process
) -> None:
    await hold(database, owner_of(bystander), clock.now)
    for shift in (0.0, -HOUR, 21 * 24 * HOUR):
        clock.now = 1_000_000.0 + shift
        with pytest.raises(RunBusy, match=str(bystander.pid)):
            await Leases(database, clock).acquire("t")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
async def test_setting_the_clock_kills_no_holder(bystander: psutil.Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Linux, the start time of a process is calculated from the present wall clock."""
    owner, started = owner_of(bystander), psutil.boot_time() - HOUR
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: started)
    assert abs(psutil.Process(bystander.pid).create_time() - owner["started"]) > HOUR / 2
    assert not is_dead(owner, 0.0, 0.0)


async def test_the_lease_of_a_dead_process_is_taken_over_at_once_whatever_the_clock_says(
    database: Database, clock: Clock, bystander: psutil.Process
) -> None:
    await hold(database, owner_of(bystander), clock.now)
    bystander.kill()
    bystander.wait()
    clock.now -= HOUR
    await Leases(database, clock).acquire("t")


async def test_a_killed_process_is_dead_before_its_parent_asks_about_it(
    database: Database, clock: Clock, bystander: psutil.Process
) -> None:
    await hold(database, owner_of(bystander), clock.now)
    kill_and_not_ask(bystander)
    assert bystander.status() == psutil.STATUS_ZOMBIE
    await Leases(database, clock).acquire("t")


async def test_another_process_with_the_same_number_is_not_the_holder(database: Database, clock: Clock) -> None:
    await hold(database, {**this_process(), "ticks": 1}, clock.now)
    await Leases(database, clock).acquire("t")


async def test_a_holder_from_before_the_last_boot_is_dead(database: Database, clock: Clock) -> None:
    await hold(database, {**this_process(), "boot": "another"}, clock.now)
    await Leases(database, clock).acquire("t")


@pytest.mark.parametrize("shift", [EXPIRES_AFTER + 1, -HOUR])
async def test_a_lease_of_another_machine_expires_by_time_and_a_clock_set_back_does_not_renew_it(
    database: Database, clock: Clock, shift: float
) -> None:
    await hold(database, {**this_process(), "host": "elsewhere"}, clock.now)
    clock.now += EXPIRES_AFTER / 2
    with pytest.raises(RunBusy, match="elsewhere"):
        await Leases(database, clock).acquire("t")
    clock.now = 1_000_000.0 + shift
    await Leases(database, clock).acquire("t")


async def test_a_holder_that_renews_its_lease_keeps_it(database: Database, clock: Clock) -> None:
    holder = Leases(database, clock)
    await holder.acquire("t")
    await database.commit(lambda c: c.execute("UPDATE leases SET owner = json_set(owner, '$.host', 'elsewhere')"))
    for _ in range(10):
        clock.now += EXPIRES_AFTER / 2
        await holder.renew("t")
    with pytest.raises(RunBusy):
        await Leases(database, clock).acquire("t")


async def everything(database: Database) -> list[str]:
    """Return every row of every table."""
    return await database.look(lambda connection: list(connection.iterdump()))


async def test_a_process_that_slept_through_a_takeover_can_write_nothing(database: Database) -> None:
    """A laptop that was closed, a process that was stopped: it wakes up in the middle of its work."""
    leases = Leases(database)
    saver, threads = RunSaver(database, leases), Threads(database, leases=leases)
    await threads.add("t", question="Q", input_digest="d", start={}, model="m", limits=LIMITS)
    await leases.acquire("t")
    journal = await Journal(database, leases=leases).of("t")
    asked, answered = (
        Entry(f"1:{name}:1", "llm", 1, 0, "m", "hash", Reservation(1, 1, 0.0)) for name in ("asked", "answered")
    )
    await journal.open(asked)
    await journal.open(answered)
    await journal.settle(answered, Outcome(answer="h"))
    saved = await saver.aput(PLACE, empty_checkpoint(), {"source": "loop", "step": 0, "parents": {}}, {})

    await database.commit(lambda c: c.execute("UPDATE leases SET owner = json_set(owner, '$.ticks', 1)"))
    successor = Leases(database)
    await successor.acquire("t")
    before = await everything(database)
    attempts = [
        lambda: saver.aput(PLACE, empty_checkpoint(), {"source": "loop", "step": 1, "parents": {}}, {}),
        lambda: saver.aput_writes(saved, [("__interrupt__", ())], "task"),
        lambda: journal.open(Entry("1:new:1", "llm", 1, 0, "m", "hash", Reservation(1, 1, 0.0))),
        lambda: journal.open(asked),
        lambda: journal.settle(asked, Outcome(answer="too late")),
        lambda: threads.begin("t", LIMITS, {}),
        lambda: threads.set_status("t", "failed", seconds=1.0),
        lambda: leases.renew("t"),
    ]
    for attempt in attempts:
        with pytest.raises(LeaseLost):
            await attempt()
    journal.reuse(answered.key)
    # Saved with the step that follows, which is refused.
    await saver.aput_writes(saved, [("turn", 2)], "task")
    await leases.release("t")
    assert await everything(database) == before
    await successor.renew("t")


async def test_a_process_without_the_lease_cannot_write_beside_a_living_holder(database: Database) -> None:
    await Leases(database).acquire("t")
    with pytest.raises(RunBusy):
        await (await Journal(database).of("t")).open(Entry("k", "llm", 1, 0, "m", "hash", Reservation(1, 1, 0.0)))
    with pytest.raises(RunBusy):
        await Threads(database).begin("t", LIMITS, {})


async def test_a_lease_that_could_not_be_released_can_be_taken_again_by_the_same_process(
    database: Database,
) -> None:
    leases = Leases(database)
    await leases.acquire("t")
    await database.read("PRAGMA query_only=ON")
    with pytest.raises(StoreError):
        await leases.release("t")
    await database.read("PRAGMA query_only=OFF")
    await leases.acquire("t")
    await leases.release("t")
    await Leases(database).acquire("t")


async def test_a_process_stopped_while_taking_a_lease_releases_it(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[None]] = []

    def stop(point: str) -> None:
        if point == "lease-taken-uncommitted":
            loop.call_soon_threadsafe(tasks[0].cancel)

    async with Database.open(tmp_path / "db", failpoint=stop) as database:
        tasks.append(asyncio.create_task(Leases(database).acquire("t")))
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        await Leases(database).acquire("t")


async def test_a_damaged_lease_counts_as_held_until_it_expires(database: Database, clock: Clock) -> None:
    def damage(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO leases (thread_id, token, owner, renewed) VALUES ('t', 7, 'no JSON', ?)", (clock.now,)
        )

    await database.commit(damage)
    with pytest.raises(RunBusy):
        await Leases(database, clock).acquire("t")
    clock.now += 2 * EXPIRES_AFTER
    await Leases(database, clock).acquire("t")
