"""A disk that is full, locked or broken: reported, nothing left half-written, and usable once it has recovered."""

import asyncio
import errno
import io
import os
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.blobs.texts import Texts
from durable_rlm.state.checkpointer import RunSaver
from durable_rlm.state.db.connection import Database, connect
from durable_rlm.state.errors import StoreError
from durable_rlm.state.leases import Leases


async def fill(database: Database) -> None:
    """Keep the file from growing further."""
    [(pages,)] = await database.read("PRAGMA page_count")
    await database.read(f"PRAGMA max_page_count={pages}")


async def free(database: Database) -> None:
    await database.read("PRAGMA max_page_count=1000000")


def note(text: str) -> Callable[[sqlite3.Connection], Any]:
    return lambda connection: connection.execute("INSERT INTO counters VALUES (?, 1)", (text,))


async def test_deferred_writes_are_saved_with_the_first_commit_for_which_there_is_room(
    database: Database, tmp_path: Path
) -> None:
    """A later commit may refer to them: a text that an answer's row names must not be lost with a failed commit.

    Until then a commit that refers to them fails, and no other.
    """
    texts = Texts(database, Blobs(tmp_path / "blobs"))

    def refers(connection: sqlite3.Connection) -> None:
        database.unsaved.check(connection, name)
        note("first")(connection)

    await fill(database)
    name = await texts.put("the answer " * 10_000)
    with pytest.raises(StoreError, match="disk is full"):
        await database.commit(refers)
    await database.commit(note("second"))
    await free(database)
    await database.commit(note("third"))
    saved = await database.read("SELECT name FROM counters WHERE name != 'settled' ORDER BY name")
    assert saved == [("second",), ("third",)]
    assert (await Texts(database, Blobs(tmp_path / "blobs")).get(name)).startswith("the answer")


async def test_closing_with_only_deferred_writes_does_not_wait_for_a_full_disk(tmp_path: Path) -> None:
    async with asyncio.timeout(30), Database.open(tmp_path / "db") as database:
        await fill(database)
        database.defer(lambda c: c.execute("INSERT INTO texts (hash, body) VALUES ('big', ?)", ("x" * 1_000_000,)))


async def test_a_store_locked_by_another_process_is_reported_and_can_be_used_later(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "db", patience=0.0) as database:
        other = connect(tmp_path / "db")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another process") as raised:
            await database.commit(note("early"))
        assert "try again" in raised.value.hint
        other.execute("COMMIT")
        other.close()
        await database.commit(note("late"))
        assert await database.read("SELECT name FROM counters WHERE name != 'settled'") == [("late",)]


@pytest.fixture
def another(tmp_path: Path) -> Generator[sqlite3.Connection]:
    """A connection of another process that writes, until the test lets it commit."""
    sqlite3.connect(tmp_path / "db").close()
    another = connect(tmp_path / "db")
    yield another
    another.close()


async def test_a_commit_waits_for_another_process_and_a_read_does_not(
    tmp_path: Path, another: sqlite3.Connection
) -> None:
    tries: list[str] = []
    async with asyncio.timeout(30), Database.open(tmp_path / "db", failpoint=tries.append) as database:
        another.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(database.commit(note("in the end"), "late"))
        while tries.count("late-before") < 2:
            assert await database.read("SELECT name FROM counters") == [("settled",)]
        assert not waiting.done()
        another.execute("COMMIT")
        await waiting
        assert ("in the end",) in await database.read("SELECT name FROM counters")


@pytest.mark.parametrize("why", ["the disk is full", "another process is writing"])
async def test_unsaved_writes_of_a_task_do_not_block_reading(
    tmp_path: Path, another: sqlite3.Connection, why: str
) -> None:
    async with asyncio.timeout(20), Database.open(tmp_path / "db", patience=1_000) as database:
        saver, checkpoint = RunSaver(database, Leases(database)), empty_checkpoint()
        place: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        place = await saver.aput(place, checkpoint, {"source": "loop", "step": 0, "parents": {}}, {})
        if why == "the disk is full":
            await fill(database)
        else:
            another.execute("BEGIN IMMEDIATE")
        await saver.aput_writes(place, [("turn", "x" * 100_000)], "task")
        saved = await saver.aget_tuple(place)
        assert saved is not None and saved.checkpoint["id"] == checkpoint["id"]


async def test_closing_a_store_waits_for_no_other_process(tmp_path: Path, another: sqlite3.Connection) -> None:
    async with asyncio.timeout(20):
        async with Database.open(tmp_path / "db", patience=1_000) as database:
            another.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(database.commit(note("in vain")))
            await asyncio.sleep(0)
        with pytest.raises(StoreError, match="locked by another process"):
            await waiting


async def test_an_unwritable_store_is_reported(database: Database) -> None:
    await database.read("PRAGMA query_only=ON")
    with pytest.raises(StoreError, match="cannot be written") as raised:
        await database.commit(note("in vain"))
    assert "--home" in raised.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o500)
    with pytest.raises(StoreError, match="--home"):
        async with Database.open(tmp_path / "home" / "db"):
            pass


async def test_a_path_where_no_folder_can_be_created_is_reported() -> None:
    with pytest.raises(StoreError, match="--home"):
        async with Database.open(Path("/proc/nowhere/db")):
            pass


class FullDisk(io.FileIO):
    """A file on a full disk."""

    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def open_on_a_full_disk(descriptor: int, mode: str, buffering: int) -> io.BufferedWriter:
    return io.BufferedWriter(FullDisk(descriptor, mode), buffering)


def no_space(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(params=["write", "fsync", "rename"])
def full_disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A disk that fails at one of the steps of writing a blob; `undo()` frees it."""
    if request.param == "write":
        monkeypatch.setattr("os.fdopen", open_on_a_full_disk)
    elif request.param == "fsync":
        monkeypatch.setattr("os.fsync", no_space)
    else:
        monkeypatch.setattr("pathlib.Path.replace", no_space)
    return monkeypatch


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_a_blob_that_does_not_fit_leaves_no_file(tmp_path: Path, full_disk: pytest.MonkeyPatch, size: int) -> None:
    blobs, data = Blobs(tmp_path), b"x" * size
    with pytest.raises(StoreError, match="No space left") as raised:
        blobs.put(data)
    assert "--home" in raised.value.hint
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    full_disk.undo()
    assert blobs.read(blobs.put(data)) == data


def test_many_blobs_that_do_not_fit_can_all_be_stored_later(tmp_path: Path, full_disk: pytest.MonkeyPatch) -> None:
    blobs, bodies = Blobs(tmp_path), [bytes([number]) * 100 for number in range(3)]
    with pytest.raises(StoreError, match="No space left"):
        blobs.put_all(bodies)
    full_disk.undo()
    blobs.put_all(bodies)
    assert [blobs.read(blobs.put(body)) for body in bodies] == bodies


def test_a_blob_left_unsynced_by_a_killed_process_is_synced_before_it_is_referred_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Blobs(tmp_path)
    with first.writer() as writer:
        writer.write(b"written by one that is killed now")
        name = writer.commit(synced=False)
    synced: list[Path] = []
    monkeypatch.setattr("durable_rlm.state.blobs.store.sync_folder", synced.append)
    assert Blobs(tmp_path).put(b"written by one that is killed now") == name
    assert synced == [first.path(name).parent, tmp_path]
