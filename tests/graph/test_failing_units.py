"""One unit's failure is its own: faults of every type, one after another at every unit of two runs (promise P12)."""

import asyncio
import itertools
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph.run import Run
from durable_rlm.state.db.connection import Database, Unit
from durable_rlm.state.errors import LeaseLost, StoredDataDamaged, StoreError
from tests.contract.in_memory_kernel import MemoryKernels
from tests.dead_owners import mark_owner_dead
from tests.scripts import Asked, repl, write_script

ERRORS: Sequence[BaseException] = (
    *(sqlite3.OperationalError("disk I/O error"), OverflowError("int too large"), KeyError("k"), StoreError("no")),
    *(sqlite3.DatabaseError("database disk image is malformed"), MemoryError(), StopIteration(), LeaseLost("gone")),
    *(sqlite3.DataError("string or blob too big"), KeyboardInterrupt(), asyncio.CancelledError(), SystemExit(1)),
    *(StoredDataDamaged("changed"), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), RecursionError()),
)
NAMES = ("one", "two")
SHARES = 4


def replies(name: str) -> list[str]:
    return [
        repl(f"got = llm_query_batched(['{name}1', '{name}2', '{name}3'])"),
        repl("FINAL(got + [llm_query(got[0].lower() + '4')])"),
    ]


def answer_of(name: str) -> list[str]:
    return [f"{name}{number}".upper() for number in (1, 2, 3, "14")]


class Faults:
    """Makes the n-th unit that is queued raise an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self.error: BaseException = StoreError("no")
        queued, deferred = Database.commit, Database.defer

        async def commit(database: Database, unit: Unit, *given: Any, **named: Any) -> Any:
            return await queued(database, self._maybe_failing(unit), *given, **named)

        def defer(database: Database, unit: Unit, **named: Any) -> None:
            deferred(database, self._maybe_failing(unit), **named)

        monkeypatch.setattr(Database, "commit", commit)
        monkeypatch.setattr(Database, "defer", defer)

    def _maybe_failing(self, unit: Unit) -> Unit:
        self.left -= 1
        if self.left != 0:
            return unit

        def failing(connection: sqlite3.Connection) -> None:
            unit(connection)
            raise self.error

        return failing


async def run(runner: Runner, folder: Path, name: str) -> Run | BaseException:
    try:
        return await runner.run(f"{name}?", model=f"scripted:{folder / name}.py", thread=name, concurrency=2)
    except (Exception, asyncio.CancelledError) as error:
        return error


async def recorded(runner: Runner) -> Counter[str]:
    """Return the prompts of the calls that are recorded as answered."""
    threads = [row["thread_id"] for row in await runner.queries.runs()]
    calls = [call for name in threads for call in await runner.queries.calls(name)]
    return Counter(call.prompt for call in calls if call.row.status == "answered")


@pytest.mark.long
# Every fourth unit belongs to a share; `make test-slow` has them all.
@pytest.mark.parametrize("share", [0, *(pytest.param(share, marks=pytest.mark.slow) for share in range(1, SHARES))])
async def test_a_unit_that_fails_fails_one_run_at_most_which_resumes_and_pays_for_no_recorded_answer_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    faults = Faults(monkeypatch)
    for number in itertools.count(1 + share, SHARES):
        folder = tmp_path / str(number)
        folder.mkdir()
        asked = [Asked(write_script(folder / f"{name}.py", replies(name))) for name in NAMES]
        error = ERRORS[(number // SHARES + share) % len(ERRORS)]
        where = f"unit {number}, {error!r}"
        faults.left, faults.error = number, error
        async with asyncio.timeout(30), Runner.open(folder / "home", kernels=MemoryKernels()) as runner:
            ended = await asyncio.gather(*(run(runner, folder, name) for name in NAMES))
            fired = faults.left <= 0
            faults.left = 0
            answered = [one.answer for one in ended if isinstance(one, Run) and one.status == "answered"]
            assert len(answered) >= 1 and all(answer in map(answer_of, NAMES) for answer in answered), (
                where,
                [str(one) for one in ended],
            )
            paid = await recorded(runner)
            before = [Counter(one.prompts) for one in asked]
        mark_owner_dead(folder / "home")
        async with asyncio.timeout(30), Runner.open(folder / "home", kernels=MemoryKernels()) as runner:
            for name in NAMES:
                again = await run(runner, folder, name)
                assert isinstance(again, Run) and again.answer == answer_of(name), (where, again)
                assert (await runner.verify(name)).ok, where
        sent_again = [Counter(one.prompts) - earlier for one, earlier in zip(asked, before, strict=True)]
        assert not (sent_again[0] + sent_again[1]) & paid, (where, sent_again, paid)
        if not fired:
            assert number > 40, "the runs write more units than that"
            return
