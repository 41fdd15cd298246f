"""Snapshots: saved with the step, in proportion to the change, and checked when they are read."""

from pathlib import Path

import pytest

from durable_rlm.state.blobs.snapshots import LARGE, Group, Groups, Snapshots, UnknownChunk
from durable_rlm.state.blobs.store import Blobs, content_hash
from durable_rlm.state.db.connection import Database
from durable_rlm.state.errors import StoredDataDamaged


def group(name: str, *chunks: bytes) -> Group:
    return Group(
        id=name,
        names=[name],
        chunks=[content_hash(chunk) for chunk in chunks],
        lost={},
        about=[{"name": name, "type": "int", "size": None, "preview": "1"}],
        form="{}",
    )


@pytest.fixture
def snapshots(database: Database, tmp_path: Path) -> Snapshots:
    return Snapshots(database, Blobs(tmp_path / "blobs"))


async def flush(database: Database) -> None:
    await database.commit(lambda _: None)


async def test_saved_chunks_are_read_back_after_any_number_of_changes(database: Database, snapshots: Snapshots) -> None:
    base: str | None = None
    groups: Groups = {}
    expected: Groups = {}
    for number in range(100):
        changed = group(f"v{number % 7}", b"%d" % number)
        gone = [f"v{(number + 3) % 7}"] if number % 11 == 0 else []
        base, groups = await snapshots.save(base, groups, [changed], gone, [b"%d" % number])
        await flush(database)
        for name in gone:
            expected.pop(name, None)
        expected[changed["id"]] = changed
        assert groups == expected
        assert await Snapshots(database, Blobs(Path("none"))).groups(base) == expected


async def test_a_step_stores_only_the_changed_chunks(database: Database, snapshots: Snapshots) -> None:
    many = [group(f"v{number}", b"%d" % number) for number in range(500)]
    base, groups = await snapshots.save(None, {}, many, [], [b"%d" % number for number in range(500)])
    await flush(database)
    [[whole]] = await database.read("SELECT sum(length(body)) FROM manifests")
    for number in range(20):
        base, groups = await snapshots.save(base, groups, [group("v1", b"new %d" % number)], [], [b"new %d" % number])
        await flush(database)
    [[after]] = await database.read("SELECT sum(length(body)) FROM manifests")
    assert after - whole < whole / 10


async def test_an_unchanged_snapshot_stores_nothing(database: Database, snapshots: Snapshots) -> None:
    base, groups = await snapshots.save(None, {}, [group("a", b"1")], [], [b"1"])
    assert await snapshots.save(base, groups, [], [], []) == (base, groups)


async def test_a_chunk_that_was_never_sent_is_refused(database: Database, snapshots: Snapshots) -> None:
    with pytest.raises(UnknownChunk):
        await snapshots.save(None, {}, [group("a", b"another run's")], [], [b"mine"])
    await flush(database)
    assert await database.read("SELECT count(*) FROM chunks") == [(0,)]


async def test_large_chunks_are_files_and_small_ones_rows(
    database: Database, snapshots: Snapshots, tmp_path: Path
) -> None:
    large, small = b"x" * LARGE, b"y"
    await snapshots.save(None, {}, [group("a", large, small)], [], [large, small])
    await flush(database)
    assert await database.read("SELECT body FROM chunks") == [(small,)]
    assert await snapshots.chunk(content_hash(large)) == large
    assert Blobs(tmp_path / "blobs").has(content_hash(large))


@pytest.mark.parametrize("table", ["chunks", "manifests"])
async def test_a_changed_row_is_detected(database: Database, snapshots: Snapshots, table: str) -> None:
    manifest, _ = await snapshots.save(None, {}, [group("a", b"right")], [], [b"right"])
    await flush(database)
    await database.commit(lambda c: c.execute(f"UPDATE {table} SET body = CAST('{{}}' AS BLOB)"))
    with pytest.raises(StoredDataDamaged, match="changed on disk"):
        await (snapshots.chunk(content_hash(b"right")) if table == "chunks" else snapshots.groups(manifest))


async def test_a_damaged_chunk_does_not_hide_others(database: Database, snapshots: Snapshots) -> None:
    bodies = [b"one", b"two", b"three"]
    _, groups = await snapshots.save(None, {}, [group("a", *bodies)], [], bodies)
    await flush(database)
    await database.commit(lambda c: c.execute("DELETE FROM chunks WHERE body = CAST('two' AS BLOB)"))
    found = [batch async for batch in snapshots.batches(groups.values())]
    assert [set(batch.values()) for batch in found] == [{b"one", b"three"}]
