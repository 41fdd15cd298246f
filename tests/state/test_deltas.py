"""Texts that are mostly ranges of a blob: stored without a copy, and read back exactly or reported as damaged."""

import asyncio
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.state.blobs import delta_indexes
from durable_rlm.state.blobs.deltas import LEAST_SAVED, DeltaError, TextDelta, recipe_of
from durable_rlm.state.blobs.range_index import Range, RangeIndex
from durable_rlm.state.blobs.store import Blobs, content_hash
from durable_rlm.state.blobs.texts import LARGE, Texts
from durable_rlm.state.db.connection import Database
from durable_rlm.state.errors import StoredDataDamaged

INSTRUCTION, QUESTION = "Beantworte die Frage auf Grund dieses Textes: ä\n\n", "\n\nWas sagt er?"


def prose(size: int) -> str:
    return "".join(random.Random(size).choices("etaoinshrdlü —\n", k=size))


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


async def rows(database: Database, table: str) -> set[str]:
    await database.commit(lambda _: None)
    return {name for [name] in await database.read(f"SELECT hash FROM {table}")}


@pytest.mark.parametrize("size", [4_000, 40_000, LARGE + 1])
async def test_a_prompt_cut_from_the_input_is_read_back_and_not_copied(
    database: Database, blobs: Blobs, size: int
) -> None:
    text = prose(3 * LARGE)
    pack = blobs.put(text.encode())
    prompt = INSTRUCTION + text[1_000 : 1_000 + size] + QUESTION
    name = await Texts(database, blobs).put(prompt, pack)
    assert await rows(database, "recipes") == {name} and await rows(database, "texts") == set()
    assert not blobs.has(name)
    assert await Texts(database, blobs).get(name) == prompt
    [[stored]] = await database.read("SELECT length(body) FROM recipes")
    assert stored < 400


async def test_a_thousand_prompts_cut_from_one_input_take_less_than_a_hundredth_of_its_size(
    database: Database, blobs: Blobs, tmp_path: Path
) -> None:
    text = prose(4_000_000)
    pack = blobs.put(text.encode())
    texts = Texts(database, blobs)
    names = await asyncio.gather(
        *(texts.put(f"{INSTRUCTION}{text[at : at + 4_000]}{QUESTION}", pack) for at in range(0, 4_000_000, 4_000))
    )
    assert await rows(database, "recipes") == set(names) and len(names) == 1_000
    [[size]] = await database.read("SELECT sum(length(body)) FROM recipes")
    assert size < 400_000
    assert sum(path.is_file() for path in blobs.folder.rglob("*/*")) == 1


@pytest.mark.parametrize("saved", [LEAST_SAVED - 200, 3_000])
async def test_a_text_that_would_save_too_little_is_stored_whole(database: Database, blobs: Blobs, saved: int) -> None:
    text = prose(10_000)
    pack = blobs.put(text.encode())
    prompt = text[:saved] + ("?" * 2 * saved if saved > LEAST_SAVED else "")
    name = await Texts(database, blobs).put(prompt, pack)
    assert await rows(database, "texts") == {name} and await rows(database, "recipes") == set()


@pytest.mark.parametrize("size", [4_000, LARGE + 1])
async def test_a_text_that_is_already_stored_whole_stays_so(database: Database, blobs: Blobs, size: int) -> None:
    text = prose(3 * LARGE)
    pack = blobs.put(text.encode())
    for source in (None, pack):
        name = await Texts(database, blobs).put(text[:size], source)
    assert await rows(database, "recipes") == set()
    assert blobs.has(name) == (size > LARGE) and len(await rows(database, "texts")) == (size < LARGE)


async def test_a_text_stored_as_ranges_can_be_stored_whole_later(database: Database, blobs: Blobs) -> None:
    text = prose(8_000)
    pack = blobs.put(text.encode())
    for source in (pack, None):
        name = await Texts(database, blobs).put(text[:4_000], source)
    blobs.path(pack).unlink()
    assert await rows(database, "texts") == {name}
    assert await Texts(database, blobs).get(name) == text[:4_000]


async def test_lone_surrogates_are_repaired_in_slices_too(database: Database, blobs: Blobs) -> None:
    text = prose(8_000)
    pack = blobs.put(text.encode())
    name = await Texts(database, blobs).put("\ud800" + text, pack)
    assert await rows(database, "recipes") == {name}
    assert await Texts(database, blobs).get(name) == "\ufffd" + text


@pytest.mark.parametrize("damage", ["changed", "short", "gone"])
async def test_a_text_is_never_assembled_from_a_damaged_input(database: Database, blobs: Blobs, damage: str) -> None:
    text = prose(8_000)
    pack = blobs.put(text.encode())
    name = await Texts(database, blobs).put(text[1_000:], pack)
    await database.commit(lambda _: None)
    path = blobs.path(pack)
    match damage:
        case "changed":
            body = bytearray(path.read_bytes())
            body[3_000] ^= 1
            path.write_bytes(body)
        case "short":
            os.truncate(path, 7_000)
        case _:
            path.unlink()
    with pytest.raises(StoredDataDamaged, match="is cut from blobs/"):
        await Texts(database, blobs).get(name)


@pytest.mark.parametrize(
    "change",
    [
        'UPDATE recipes SET body = replace(CAST(body AS TEXT), \'"blobs":["\', \'"blobs":["0\')',
        "UPDATE recipes SET body = substr(body, 1, 90)",
        "UPDATE recipes SET body = x'ff'",
        "UPDATE recipes SET body = '[]'",
        "DELETE FROM recipes",
    ],
)
async def test_a_changed_recipe_is_never_used(database: Database, blobs: Blobs, change: str) -> None:
    text = prose(8_000)
    name = await Texts(database, blobs).put(text[1_000:], blobs.put(text.encode()))
    await database.commit(lambda connection: connection.execute(change))
    with pytest.raises(StoredDataDamaged, match="rlm verify"):
        await Texts(database, blobs).get(name)


@pytest.mark.parametrize("damage", ["changed", "gone"])
async def test_a_text_cut_from_a_damaged_input_is_stored_whole(database: Database, blobs: Blobs, damage: str) -> None:
    text = prose(8_000)
    pack = blobs.put(text.encode())
    blobs.path(pack).write_bytes(text[:-1].encode())
    if damage == "gone":
        blobs.path(pack).unlink()
    name = await Texts(database, Blobs(blobs.folder)).put(text[1_000:], pack)
    assert await rows(database, "texts") == {name}


async def test_concurrent_texts_share_one_reading_of_an_input_even_if_the_first_is_cancelled(
    database: Database, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = prose(8_000)
    pack = blobs.put(text.encode())
    reading, go_on = threading.Event(), threading.Event()
    made = 0

    class Slow(RangeIndex):
        @classmethod
        def of(cls, path: Path, cancelled: Callable[[], bool] = lambda: False) -> RangeIndex:
            nonlocal made
            made += 1
            reading.set()
            assert go_on.wait(10)
            return RangeIndex.of(path, cancelled)

    monkeypatch.setattr(delta_indexes, "RangeIndex", Slow)
    texts = Texts(database, blobs)
    first, second = (asyncio.ensure_future(texts.put(text[start:], pack)) for start in (0, 1_000))
    await asyncio.to_thread(reading.wait, 10)
    first.cancel()
    await asyncio.wait([first])
    go_on.set()
    assert await rows(database, "recipes") <= {await second}
    assert await rows(database, "recipes") == {content_hash(text[1_000:].encode())} and made == 1


async def test_indexes_of_many_inputs_are_not_all_kept_in_memory(
    database: Database, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta_indexes, "_MOST_BYTES", 10_000)
    texts = Texts(database, blobs)
    for number in range(20):
        text = prose(30_000 + number)
        await texts.put(text[:5_000], blobs.put(text.encode()))
    assert len(await rows(database, "recipes")) == 20
    assert len(texts._packs._indexes) < 10


@given(data=st.data())
def test_any_text_comes_back_from_its_recipe(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """The texts are cut from random packs, at any character, with anything between."""
    blobs = Blobs(tmp_path_factory.getbasetemp() / "recipes")
    chance = random.Random(data.draw(st.integers(0, 1 << 30)))
    alphabet = data.draw(st.text(min_size=2, max_size=30))
    pack = "".join(chance.choices(alphabet, k=data.draw(st.integers(2_000, 8_000))))
    place = st.integers(0, len(pack))
    parts = data.draw(st.lists(st.one_of(st.text(max_size=200), st.tuples(place, place)), min_size=1, max_size=6))
    text = "".join(part if isinstance(part, str) else pack[min(part) : max(part)] for part in parts)
    body, blob = text.encode(), blobs.put(pack.encode())
    stored = recipe_of(body, blob, RangeIndex.of(blobs.path(blob)).ranges(body))
    if stored is None:
        return
    assert 2 * len(stored) <= len(body)
    assert b"".join(TextDelta.from_json(content_hash(body), stored).chunks(blobs)) == body


def test_a_recipe_is_valid_for_one_text_only(blobs: Blobs) -> None:
    body = prose(8_000).encode()
    stored = recipe_of(body, blobs.put(body), [Range(0, len(body), 0)])
    assert stored is not None
    with pytest.raises(DeltaError, match="has changed"):
        TextDelta.from_json(content_hash(b"another"), stored)


@pytest.mark.parametrize("error", [MemoryError(), OSError(24, "Too many open files"), RecursionError()], ids=ascii)
async def test_an_index_that_cannot_be_made_fails_no_run_and_is_made_again(
    database: Database, blobs: Blobs, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """All runs over an input share the making of its index: what one of them meets must not end the others."""
    text = prose(200_000)
    pack, texts = blobs.put(text.encode()), Texts(database, blobs)

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(delta_indexes, "_indexed", fails)
    first = await asyncio.gather(*(texts.put(text[n : n + 20_000], pack) for n in (0, 50_000)))
    assert await rows(database, "texts") == set(first)
    monkeypatch.undo()
    later = await texts.put(text[100_000:120_000], pack)
    assert await rows(database, "recipes") == {later}
