"""Texts and blobs: read back as saved, or reported as damaged."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.state.blobs.store import Blobs, content_hash
from durable_rlm.state.blobs.texts import LARGE, Texts
from durable_rlm.state.db.connection import Database
from durable_rlm.state.errors import StoredDataDamaged, StoreError


@pytest.mark.parametrize("size", [0, 10, LARGE + 1])
async def test_a_text_is_read_back_by_another_process(database: Database, tmp_path: Path, size: int) -> None:
    texts = Texts(database, Blobs(tmp_path / "blobs"))
    name = await texts.put("ü" * size)
    await database.commit(lambda _: None)
    assert await Texts(database, Blobs(tmp_path / "blobs")).get(name) == "ü" * size


async def test_lone_surrogates_are_repaired(database: Database, tmp_path: Path) -> None:
    texts = Texts(database, Blobs(tmp_path / "blobs"))
    assert await texts.get(await texts.put("a\ud800b")) == "a\ufffdb"


async def test_a_changed_text_is_never_returned(database: Database, tmp_path: Path) -> None:
    name = await Texts(database, Blobs(tmp_path / "blobs")).put("true")
    await database.commit(lambda c: c.execute("UPDATE texts SET body = 'fals' WHERE hash = ?", (name,)))
    with pytest.raises(StoredDataDamaged):
        await Texts(database, Blobs(tmp_path / "blobs")).get(name)


@given(data=st.binary(max_size=2000))
def test_a_blob_is_named_by_the_hash_of_its_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    blobs = Blobs(tmp_path_factory.getbasetemp() / "shared-blobs")
    assert blobs.put(data) == content_hash(data)
    assert blobs.read(content_hash(data)) == data


def test_a_truncated_or_flipped_blob_is_reported_as_damaged(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.put(b"contents")
    for damage in (b"content", b"contentz", b""):
        blobs.path(name).write_bytes(damage)
        with pytest.raises(StoredDataDamaged):
            blobs.read(name)
        with pytest.raises(StoredDataDamaged):
            blobs.check(name)
    blobs.path(name).unlink()
    with pytest.raises(StoredDataDamaged):
        blobs.read(name)


def test_an_abandoned_blob_leaves_no_file(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    with blobs.writer() as writer:
        writer.write(b"half of it")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_only_hashes_name_blobs(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a blob name"):
        Blobs(tmp_path).path(name)


def test_an_unwritable_path_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="Cannot write"):
        Blobs(tmp_path / "file" / "blobs").put(b"x")
