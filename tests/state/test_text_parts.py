"""Texts are read in parts, wherever they are stored, and damage is noticed where a text is read whole."""

import random
from pathlib import Path

import pytest

from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.blobs.text_parts import TextReader, beginnings
from durable_rlm.state.blobs.texts import LARGE, Texts
from durable_rlm.state.db.connection import Database
from durable_rlm.state.errors import StoredDataDamaged
from tests.damage import change

SMALL = "ein kleiner Text: größer als nichts 三十日"
LONG = "".join(random.Random(1).choices("abcdefgh ü\n", k=LARGE))


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


@pytest.fixture
async def names(database: Database, blobs: Blobs) -> list[str]:
    """Return the hashes of a text in the database, of a file, and of a delta of a blob."""
    texts = Texts(database, blobs)
    source = blobs.put(LONG.encode())
    found = [await texts.put(SMALL), await texts.put(f"{LONG}!"), await texts.put(f"Read: {LONG[:9000]}", source)]
    await database.commit(lambda _: None)
    assert await database.read("SELECT count(*) FROM recipes") == [(1,)]
    return found


@pytest.mark.parametrize("most", [1, 10, 41, 8000, 20_000])
async def test_texts_begin_alike_wherever_they_are_stored(
    database: Database, blobs: Blobs, names: list[str], most: int
) -> None:
    found = await beginnings(database, blobs, names, most)
    for name, text in zip(names, (SMALL, f"{LONG}!", f"Read: {LONG[:9000]}"), strict=True):
        assert (found[name].text, found[name].more, found[name].damage) == (text[:most], len(text) > most, None)


async def test_pieces_make_up_the_text(database: Database, blobs: Blobs, names: list[str]) -> None:
    for name, text in zip(names, (SMALL, f"{LONG}!", f"Read: {LONG[:9000]}"), strict=True):
        reader = await TextReader.of(database, blobs, name)
        pieces = [reader.piece(at, 100_000) for at in range(0, len(text), 100_000)]
        assert "".join(piece.text for piece in pieces) == text
        assert {piece.size for piece in pieces} == {len(text)}
        assert b"".join(reader.chunks()).decode() == text


async def test_damage_is_named_and_hides_no_other_text(
    database: Database, blobs: Blobs, names: list[str], tmp_path: Path
) -> None:
    small, large, delta = names
    change(tmp_path, "UPDATE texts SET body = 'other' WHERE hash = ?", small)
    blobs.path(large).write_bytes(LONG.replace("a", "b").encode())
    found = await beginnings(database, blobs, [*names, "0" * 64], 50)
    assert "has changed on disk" in str(found[small].damage) and "is missing" in str(found["0" * 64].damage)
    assert found[delta].damage is None
    for name in (small, large, "0" * 64):
        with pytest.raises(StoredDataDamaged):
            (await TextReader.of(database, blobs, name)).piece(0, 10)
