"""The database: one file with group commit; committed units are kept, and a failing one is undone alone."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from durable_rlm.state.db.connection import Database, Unit
from durable_rlm.state.db.schema import SCHEMA_VERSION
from durable_rlm.state.errors import StoreError


def insert(name: str) -> Unit:
    def unit(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO texts (hash, body) VALUES (?, 'x')", (name,))

    return unit


async def hashes(database: Database) -> set[str]:
    return {row[0] for row in await database.read("SELECT hash FROM texts")}


async def test_units_that_wait_share_one_commit(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "db") as database:
        await asyncio.gather(*(database.commit(insert(str(n))) for n in range(200)))
        assert len(await hashes(database)) == 200
        assert database.commits <= 3


async def test_a_unit_that_raises_is_undone_alone(tmp_path: Path) -> None:
    def fails(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO texts (hash, body) VALUES ('bad', 'x')")
        raise StoreError("no")

    async with Database.open(tmp_path / "db") as database:
        good, bad = await asyncio.gather(
            database.commit(insert("good")),
            database.commit(fails),
            return_exceptions=True,
        )
        assert isinstance(bad, StoreError) and not isinstance(good, BaseException)
        assert await hashes(database) == {"good"}


async def test_deferred_writes_precede_the_next_commit_and_are_kept_on_close(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "db") as database:
        database.defer(insert("first"))
        seen = await database.commit(lambda c: c.execute("SELECT count(*) FROM texts").fetchone()[0])
        assert seen == 1
        database.defer(insert("second"))
    async with Database.open(tmp_path / "db") as database:
        assert await hashes(database) == {"first", "second"}


async def test_commits_are_synchronous_full_in_wal(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "db") as database:
        assert await database.read("PRAGMA synchronous") == [(2,)]
        assert await database.read("PRAGMA journal_mode") == [("wal",)]


async def test_files_are_private(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "home" / "db"):
        assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
        assert {p.stat().st_mode & 0o777 for p in (tmp_path / "home").iterdir()} == {0o600}


async def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "db") as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(StoreError, match="newer"):
        async with Database.open(tmp_path / "db"):
            pass


async def test_a_file_that_is_not_a_database_is_refused_and_not_changed(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"these are not the bytes of a database" * 100)
    with pytest.raises(StoreError, match="damaged or is not a database"):
        async with Database.open(tmp_path / "db"):
            pass
    assert (tmp_path / "db").read_bytes().startswith(b"these are not")


async def test_a_full_disk_is_reported_and_no_unit_of_the_group_is_kept(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "db") as database:
        await database.commit(lambda c: c.execute("PRAGMA max_page_count"))
        pages = (await database.read("PRAGMA page_count"))[0][0]
        await database.read(f"PRAGMA max_page_count={pages + 1}")
        with pytest.raises(StoreError, match="disk is full"):
            large = "INSERT INTO texts (hash, body) VALUES ('big', ?)"
            await database.commit(lambda c: c.execute(large, ("x" * 1_000_000,)))
        assert await hashes(database) == set()
        await database.read("PRAGMA max_page_count=1000000")
        await database.commit(insert("after"))
        assert await hashes(database) == {"after"}
