"""Units of a group commit: one unit's failure is its own, whatever its type, and no other run's (promise P12)."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.state.blobs.snapshots import Group, Snapshots
from durable_rlm.state.blobs.store import Blobs, content_hash
from durable_rlm.state.blobs.texts import Texts
from durable_rlm.state.call_journal import Journal
from durable_rlm.state.call_records import Entry, Outcome
from durable_rlm.state.db import units
from durable_rlm.state.db.connection import Database, Unit
from durable_rlm.state.errors import LeaseLost, RlmError, RunBusy, StoredDataDamaged, StoreError


def insert(name: str) -> Unit:
    return lambda connection: connection.execute("INSERT INTO texts (hash, body) VALUES (?, 'x')", (name,))


async def hashes(database: Database) -> set[str]:
    return {row[0] for row in await database.read("SELECT hash FROM texts")}


def raising(error: BaseException) -> Unit:
    """Return a unit that writes a row and then raises `error`."""

    def unit(connection: sqlite3.Connection) -> None:
        insert("bad")(connection)
        raise error

    return unit


def executing(sql: str, *parameters: Any) -> Unit:
    """Return a unit that writes a row and then executes a statement that SQLite, or Python, refuses."""

    def unit(connection: sqlite3.Connection) -> None:
        insert("bad")(connection)
        connection.execute(sql, parameters)

    return unit


def undoing(connection: sqlite3.Connection) -> None:
    """Fail so that SQLite undoes the whole transaction, as it does when a disk fails under it."""
    insert("bad")(connection)
    connection.execute("INSERT OR ROLLBACK INTO texts (hash, body) VALUES ('bad', 'x')")


class Strange(BaseException):
    """An exception of a kind of its own."""


_ROW = "INSERT INTO counters VALUES (?, ?)"
RAISED = [
    *(StoreError("no"), LeaseLost("no"), RunBusy("no"), StoredDataDamaged("no"), KeyError("no"), ValueError("no")),
    *(OverflowError("no"), RecursionError("no"), MemoryError(), AssertionError(), TypeError("no"), OSError(28, "no")),
    *(sqlite3.OperationalError("no"), sqlite3.IntegrityError("no"), sqlite3.DatabaseError("malformed"), EOFError()),
    *(StopIteration(), StopAsyncIteration(), asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(3)),
    *(GeneratorExit(), TimeoutError(), ExceptionGroup("no", [ValueError("no")]), Strange()),
]
FAILING: dict[str, Unit] = {
    **{type(error).__name__: raising(error) for error in RAISED},
    "a number that SQLite has no room for": executing(_ROW, "n", 10**30),
    "a lone surrogate": executing(_ROW, "\ud800", 1),
    "an object": executing(_ROW, "n", object()),
    "no number": executing("INSERT INTO texts (hash, body, touched) VALUES ('nan', 'x', ?)", float("nan")),
    "a row that exists": executing(_ROW, "settled", 1),
    "a table that does not exist": executing("INSERT INTO nowhere VALUES (1)"),
    "too few parameters": executing(_ROW, "n"),
    "too many statements": executing("SELECT 1; SELECT 2"),
    "too large a value": executing(_ROW, "n", bytes(200_000)),
    "the end of the whole transaction": undoing,
}


@pytest.fixture(params=FAILING)
async def failing(request: pytest.FixtureRequest, database: Database) -> Unit:
    await database.look(lambda connection: connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000))
    return FAILING[request.param]


async def test_a_failing_unit_is_undone_alone_and_the_others_of_its_group_are_kept(
    database: Database, failing: Unit
) -> None:
    async with asyncio.timeout(20):
        first, failed, last = await asyncio.gather(
            database.commit(insert("first")), database.commit(failing), database.commit(insert("last")),
            return_exceptions=True,
        )  # fmt: skip
        assert isinstance(failed, Exception)
        assert not isinstance(first, BaseException) and not isinstance(last, BaseException)
        await database.commit(insert("later"))
        assert await hashes(database) == {"first", "last", "later"}


async def test_a_deferred_unit_that_can_never_succeed_fails_no_later_commit(database: Database, failing: Unit) -> None:
    async with asyncio.timeout(20):
        database.defer(insert("before"))
        database.defer(failing)
        database.defer(insert("after"))
        for number in range(3):
            await database.commit(insert(str(number)))
        assert await hashes(database) == {"before", "after", "0", "1", "2"}
        await database.catch_up()


async def test_a_failing_unit_fails_only_commits_that_refer_to_what_it_saves(database: Database, failing: Unit) -> None:
    async with asyncio.timeout(20):
        database.defer(failing, saves=["a1", "a2"])
        for name in ("a1", "a2"):
            with pytest.raises(RlmError):
                await database.commit(lambda c, name=name: database.unsaved.check(c, f"[{name!r}]"))
        await database.commit(lambda c: database.unsaved.check(c, "b", b"b", None))
        # Stored again, in other words and in time, it is there.
        database.defer(insert("a1"), saves=["a1"])
        await database.commit(lambda c: database.unsaved.check(c, b"a1"))
        with pytest.raises(RlmError):
            await database.commit(lambda c: database.unsaved.check(c, "a2"))


async def test_each_commit_of_a_group_gets_an_exception_of_its_own(database: Database) -> None:
    """One object raised in two runs would carry the traceback of the one into the other."""
    await database.read("PRAGMA query_only=ON")
    failed = await asyncio.gather(*(database.commit(insert(str(n))) for n in range(3)), return_exceptions=True)
    assert all(isinstance(error, StoreError) for error in failed) and len({id(error) for error in failed}) == 3


async def test_a_group_that_does_not_fit_on_the_disk_keeps_what_fits(tmp_path: Path) -> None:
    """A lack of room shows only when the group is written, and is the failure of the unit that is too large alone."""
    async with asyncio.timeout(20), Database.open(tmp_path / "db") as database:
        [(pages,)] = await database.read("PRAGMA page_count")
        await database.read(f"PRAGMA max_page_count={pages + 8}")
        large = "INSERT INTO texts (hash, body) VALUES ('large', ?)"
        outcomes = await asyncio.gather(
            database.commit(insert("first")),
            database.commit(lambda c: c.execute(large, ("x" * 100_000,))),
            database.commit(insert("last")),
            return_exceptions=True,
        )
        assert [isinstance(outcome, StoreError) for outcome in outcomes] == [False, True, False]
        assert await hashes(database) == {"first", "last"}


async def test_units_are_repeated_alone_when_the_commit_of_their_group_fails(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite reports a full disk at the commit, where nothing says whose pages did not fit."""
    real: Callable[..., list[Any]] = units.run_together
    tries: list[int] = []

    def full(connection: sqlite3.Connection, group: Any, *given: Any) -> list[Any]:
        tries.append(len(group))
        if len(group) > 1 or group[0].what == "large":
            raise units.GroupFailed(sqlite3.OperationalError("database or disk is full"))
        return real(connection, group, *given)

    monkeypatch.setattr(units, "run_together", full)
    database.defer(insert("deferred"))
    outcomes = await asyncio.gather(
        database.commit(insert("small"), "small"), database.commit(insert("large"), "large"), return_exceptions=True
    )
    assert isinstance(outcomes[1], StoreError) and not isinstance(outcomes[0], BaseException)
    assert await hashes(database) == {"deferred", "small"} and tries == [3, 1, 1, 1]


# -- what refers to what was not saved


@pytest.fixture
def refuse(database: Database) -> Callable[[str], Awaitable[Any]]:
    """Return a function that makes a table unwritable, as a damaged page does."""
    return lambda table: database.read(
        f"CREATE TEMP TRIGGER refuse_{table} BEFORE INSERT ON main.{table} "
        "BEGIN SELECT RAISE(ABORT, 'database disk image is malformed'); END"
    )


def entry(key: str, prompt: str) -> Entry:
    return Entry(key, "llm", 1, 0, "m", prompt)


async def test_an_answer_whose_text_could_not_be_saved_is_not_recorded_and_others_are(
    database: Database, tmp_path: Path, refuse: Callable[[str], Awaitable[Any]]
) -> None:
    texts = Texts(database, Blobs(tmp_path / "blobs"))
    one, other = await Journal(database).of("one"), await Journal(database).of("other")
    kept = await texts.put("kept")
    for journal in (one, other):
        await journal.open(entry("1:llm:k:1", kept))
    await refuse("texts")
    lost = await texts.put("lost")
    settled = await asyncio.gather(
        one.settle(entry("1:llm:k:1", kept), Outcome(answer=lost)),
        other.settle(entry("1:llm:k:1", kept), Outcome(answer=kept)),
        return_exceptions=True,
    )
    assert isinstance(settled[0], StoreError) and settled[1] is None
    rows = await database.read("SELECT thread_id, status FROM calls ORDER BY thread_id")
    assert rows == [("one", "asked"), ("other", "answered")] and one.find("1:llm:k:1") is None


async def test_a_text_that_another_run_has_saved_may_be_referred_to(
    database: Database, tmp_path: Path, refuse: Callable[[str], Awaitable[Any]]
) -> None:
    texts = Texts(database, Blobs(tmp_path / "blobs"))
    name = await texts.put("of both")
    await database.commit(lambda _: None)
    await refuse("texts")
    assert await texts.put("of both") == name
    await database.commit(lambda c: database.unsaved.check(c, name))


async def test_a_snapshot_with_a_piece_that_could_not_be_saved_is_not_referred_to(
    database: Database, tmp_path: Path, refuse: Callable[[str], Awaitable[Any]]
) -> None:
    snapshots = Snapshots(database, Blobs(tmp_path / "blobs"))
    await refuse("chunks")
    group: Group = {"id": "1", "names": ["x"], "chunks": [content_hash(b"x")], "lost": {}, "about": [], "form": "p"}
    name, _ = await snapshots.save(None, {}, [group], [], [b"x"])
    with pytest.raises(StoreError):
        await database.commit(lambda c: database.unsaved.check(c, name))
    assert await database.read("SELECT hash FROM manifests") == []
