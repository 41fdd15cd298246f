"""A full disk: the run fails with a clear error and resumes once there is room, in the same process or in another."""

import asyncio
import errno
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from durable_rlm import Runner
from durable_rlm.graph.run import Run
from durable_rlm.state.home_access import DATABASE
from tests.contract.in_memory_kernel import MemoryKernels
from tests.dead_owners import mark_owner_dead
from tests.scripts import Asked, repl, write_script

REPLIES = [
    repl("first = llm_query_batched(['a', 'b', 'c'])"),
    repl("noise = __import__('random').Random(1).randbytes(2_000_000)\nkept = [llm_query(text[:3]) for text in first]"),
    repl("FINAL([text[:4] for text in first + kept] + [len(noise), noise[:3].hex()])"),
]
SUB = "return prompt[:1].upper() * 300_000 if len(prompt) == 1 else prompt.lower() * 9_000"
ANSWER = ["AAAA", "BBBB", "CCCC", "aaaa", "bbbb", "cccc", 2_000_000, "f5b165"]


LONG = f"# {'x' * 50_000}\n"
"""Code too long for the free pages of a database that is full."""


async def run(runner: Runner, model: str) -> Run:
    return await runner.run("What?", "input", model=model, thread="t", concurrency=2)


def check_failed(run: Run, message: str) -> None:
    assert (run.status, run.exit_code, run.answer) == ("failed", 1, None)
    assert run.error is not None and message in run.error["message"] and "Free" in run.error["hint"], run.error


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_script(tmp_path / "m.py", REPLIES, sub=SUB)


def filling(point: str, number: int) -> tuple[Callable[[str], None], list[sqlite3.Connection]]:
    """Return a failpoint that fills the database before the `number`-th commit of `point`, and a list.

    The caller adds the database's connection to the list; it is removed once the database is full.
    """
    connections: list[sqlite3.Connection] = []
    left = number

    def failpoint(passed: str) -> None:
        nonlocal left
        if not (passed.endswith("-before") and point in passed):
            return
        # This is in the database's thread, before a commit.
        left -= 1
        if not left:
            [pages] = connections[0].execute("PRAGMA page_count").fetchone()
            connections.pop().execute(f"PRAGMA max_page_count={pages}")

    return failpoint, connections


def check_paid(asked: Asked, failed: list[str]) -> None:
    """Check that every call was sent once, and a second time at most four without room: two requests, two answers."""
    wanted = Counter(["a", "b", "c", "AAA", "BBB", "CCC"])
    again = Counter(asked.prompts) - wanted
    assert Counter(asked.prompts) >= wanted and again.total() <= 2 * 2 and again <= Counter(failed), again


@pytest.mark.parametrize("again_in", ["the same process", "another process"])
@pytest.mark.parametrize(
    ("point", "number"),
    [
        *(("call-asked", 2), ("call-settled", 2), ("call-settled", 5)),
        *(("checkpoint", 4), ("checkpoint", 5), ("checkpoint", 8), ("checkpoint", 11)),
    ],
)
async def test_a_full_database_fails_the_run_which_resumes_once_there_is_room(
    tmp_path: Path, model: str, point: str, number: int, again_in: str
) -> None:
    asked = Asked(model)
    failpoint, connections = filling(point, number)
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels(), failpoint=failpoint) as runner:
        database = runner.stores.database
        connections.append(database.connection._conn)
        check_failed(await run(runner, model), "disk is full")
        assert not connections
        in_flight = asked.prompts
        if again_in == "the same process":
            await database.read("PRAGMA max_page_count=4294967294")
            assert (await run(runner, model)).answer == ANSWER
    mark_owner_dead(tmp_path / "home")
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        ended = await run(runner, model)
        assert (ended.status, ended.answer) == ("answered", ANSWER)
        assert (await runner.verify("t")).ok
    check_paid(asked, in_flight)


@pytest.mark.parametrize("decided", [False, True])
async def test_a_full_database_at_a_review_fails_the_run_which_requests_approval_once_there_is_room(
    tmp_path: Path, decided: bool
) -> None:
    """Approval requests and decisions are saved at once, and not with a step."""
    model = write_script(tmp_path / "m.py", [repl(f"{LONG}x = 1"), repl("FINAL(x)")])
    asked = Asked(model)
    failpoint, connections = filling("writes", 1 + decided)
    other = {"type": "edit", "edited_action": {"name": "execute_code", "args": {"code": f"{LONG}x = 2"}}}
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels(), failpoint=failpoint) as runner:
        database = runner.stores.database
        connections.append(database.connection._conn)
        run = await runner.run("What?", model=model, thread="t", approve=["code"])
        if decided:
            assert run.status == "paused"
            run = await runner.decide("t", [other])
        check_failed(run, "disk is full")
        assert not connections
        await database.read("PRAGMA max_page_count=4294967294")
        run = await runner.resume("t")
        [action] = run.interrupts[0]["value"]["action_requests"]
        assert (run.status, action["args"]["code"]) == ("paused", f"{LONG}x = 1")
        await runner.decide("t", [other])
        run = await runner.decide("t", [{"type": "approve"}])
        assert (run.status, run.answer, len(asked.roots)) == ("answered", 2, 2)
        assert (await runner.verify("t")).ok


def no_space(*_: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_blobs_without_room_fail_the_run_which_resumes_once_there_is_room(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The blobs are answers (1 to 3, in any order) and pieces of a variable, after the input's text and index."""
    asked, passed = Asked(model), 0

    def failpoint(point: str) -> None:
        nonlocal passed
        if point == "blob-before":
            passed += 1
            if passed == number + 2:
                monkeypatch.setattr("os.fsync", no_space)

    async with Runner.open(tmp_path / "home", kernels=MemoryKernels(), failpoint=failpoint) as runner:
        check_failed(await run(runner, model), "No space left")
        in_flight = asked.prompts
        monkeypatch.undo()
        ended = await run(runner, model)
        assert (ended.status, ended.answer) == ("answered", ANSWER)
        assert (await runner.verify("t")).ok
    assert [path for path in (tmp_path / "home").rglob(".partial-*")] == []
    check_paid(asked, in_flight)


@pytest.mark.parametrize("point", ["execution-begun-before", "call-asked-before", "checkpoint-before"])
async def test_a_run_that_waits_for_another_process_to_write_stops_at_once(
    tmp_path: Path, model: str, point: str
) -> None:
    home = tmp_path / "home"
    others: list[sqlite3.Connection] = []
    loop = asyncio.get_running_loop()
    stopping: list[asyncio.Future[bool]] = []

    def stop() -> None:
        stopping.append(asyncio.ensure_future(runner.stop("t")))

    def failpoint(passed: str) -> None:
        if point in passed and not others:
            others.append(sqlite3.connect(home / DATABASE, isolation_level=None, check_same_thread=False))
            others[0].execute("BEGIN IMMEDIATE")
            loop.call_soon_threadsafe(stop)

    async with asyncio.timeout(20):
        async with Runner.open(home, kernels=MemoryKernels(), failpoint=failpoint) as runner:
            stopped = await run(runner, model)
            assert (stopped.status, stopped.exit_code, await stopping[0]) == ("stopped", 130, True)
            assert stopped.error is not None and "another process" in stopped.error["message"]
    others[0].close()
    mark_owner_dead(home)
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        assert [one["status"] for one in await runner.queries.runs()] == ["stopped"]
        assert (await run(runner, model)).answer == ANSWER
