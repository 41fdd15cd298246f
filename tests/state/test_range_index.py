"""Ranges of a file in a text: all that are long enough are found in any file, and no false one is."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.state.blobs.range_index import LEAST_RANGE, WINDOW, Range, RangeIndex

MEGABYTE = 1 << 20


def words(size: int, seed: int = 0) -> bytes:
    """Return a text of repeated words in a random order."""
    chance = random.Random(seed)
    vocabulary = ["".join(chance.choices("etaoinshrdlü", k=chance.randint(2, 9))) for _ in range(500)]
    return " ".join(chance.choices(vocabulary, k=size // 4)).encode()[:size].decode("utf-8", "ignore").encode()


def log(size: int) -> bytes:
    lines = (f"2026-11-24T{at:010} INFO worker request handled status=200 path=/items\n" for at in range(size // 50))
    return "".join(lines).encode()[:size]


def same_line(size: int) -> bytes:
    line = b"GET /health 200 OK, and there is nothing more to say of it\n"
    return (line * (size // len(line) + 1))[:size]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(body: bytes) -> Path:
        (tmp_path / "pack").write_bytes(body)
        return tmp_path / "pack"

    return write


def in_file(pack: bytes, body: bytes, found: list[Range]) -> bool:
    """Return whether all ranges are equal to their places in the file, in order and without overlap."""
    ends = [0, *(one.end for one in found)]
    return all(
        end <= one.start and body[one.start : one.end] == pack[one.place : one.place + one.end - one.start]
        for end, one in zip(ends, found, strict=False)
    )


# With equal lines, a slice may be found at the end of the file, where fewer lines follow.
@pytest.mark.parametrize(("make", "lost"), [(words, 4), (log, 4), (same_line, LEAST_RANGE)])
@pytest.mark.parametrize("size", [1_000, 30_000, MEGABYTE])
def test_a_slice_between_other_words_is_found_whole(
    file: Callable[[bytes], Path], make: Callable[[int], bytes], lost: int, size: int
) -> None:
    pack = make(size)
    index = RangeIndex.of(file(pack))
    chance = random.Random(size)
    for _ in range(30):
        start = chance.randrange(size // 2)
        cut = pack[start : start + 500 + chance.randrange(size // 2)].decode("utf-8", "ignore").encode()
        body = b"Say in one sentence what this says:\n\n" + cut + b"\n\nBe brief. What of the king of France?"
        found = index.ranges(body)
        assert in_file(pack, body, found)
        assert sum(one.end - one.start for one in found) >= len(cut) - lost


def test_several_slices_are_found_in_any_order(file: Callable[[bytes], Path]) -> None:
    pack = words(MEGABYTE)
    places = [900_000, 5_000, 400_000, 0, 5_000]
    cuts = [pack[place : place + 3_000].decode("utf-8", "ignore").encode() for place in places]
    body = b"\n--- and: ---\n".join(cuts)
    found = RangeIndex.of(file(pack)).ranges(body)
    assert in_file(pack, body, found) and len(found) == len(places)
    assert sum(one.end - one.start for one in found) >= sum(len(cut) - 4 for cut in cuts)


def test_every_slice_longer_than_the_sampling_distance_is_found(file: Callable[[bytes], Path]) -> None:
    pack = random.Random(7).randbytes(4_000).hex().encode()
    index = RangeIndex.of(file(pack))
    length = index.step + WINDOW - 1
    for start in range(len(pack) - length):
        body = b"!" * 50 + pack[start : start + length] + b"?" * 50
        assert index.ranges(body) == [Range(50, 50 + length, start)]


def test_ranges_begin_and_end_between_characters(file: Callable[[bytes], Path]) -> None:
    # The character before the slice shares its second byte with the file's, the one after the slice its first byte.
    pack = ("ä" * 8 + "".join(random.Random(5).choices("абвгдежзиклмн", k=999)) + "ä" * 8).encode()
    index = RangeIndex.of(file(pack))
    cut = pack[16:-16].decode()
    body = ("Ĥ" + cut + "ö").encode()
    found = index.ranges(body)
    assert in_file(pack, body, found) and found
    for one in found:
        body[one.start : one.end].decode()


def test_text_that_is_not_in_the_file_or_is_too_short_is_not_found(file: Callable[[bytes], Path]) -> None:
    pack = words(MEGABYTE)
    index = RangeIndex.of(file(pack))
    assert index.ranges(words(MEGABYTE, seed=1)[:50_000]) == []
    assert index.ranges(pack[1_000 : 1_000 + LEAST_RANGE - 1]) == []
    assert index.ranges(b"") == []


@pytest.mark.parametrize("size", [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 200])
def test_a_file_of_any_size_has_an_index(file: Callable[[bytes], Path], size: int) -> None:
    pack = words(MEGABYTE)[:size]
    body = pack + b"!" * 200
    assert in_file(pack, body, RangeIndex.of(file(pack)).ranges(body))


def test_the_index_of_a_line_repeated_a_million_times_stays_small(file: Callable[[bytes], Path]) -> None:
    assert RangeIndex.of(file(same_line(8 * MEGABYTE))).size < 10_000
    assert RangeIndex.of(file(words(8 * MEGABYTE))).size > 500_000


def test_the_search_is_bounded_in_a_file_of_repetitions(
    file: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pieces are too short to be ranges, and each occurs in the file many times."""
    pieces = [random.Random(number).randbytes(45).hex().encode() for number in range(50)]
    chance = random.Random(3)
    pack = b"".join(chance.choices(pieces, k=20_000))
    index = RangeIndex.of(file(pack))
    reads = 0
    pread = os.pread

    def counted(descriptor: int, size: int, place: int) -> bytes:
        nonlocal reads
        reads += 1
        return pread(descriptor, size, place)

    monkeypatch.setattr(os, "pread", counted)
    body = b"-".join(chance.choices(pieces, k=2_000))
    assert in_file(pack, body, index.ranges(body))
    assert reads < len(body) // 40


def test_a_deleted_or_truncated_file_has_no_ranges(file: Callable[[bytes], Path]) -> None:
    pack = words(30_000)
    path = file(pack)
    index = RangeIndex.of(path)
    path.write_bytes(pack[:10_000])
    assert index.ranges(pack[20_000:25_000]) == []
    path.unlink()
    assert index.ranges(pack[:5_000]) == []


def test_building_an_index_can_be_cancelled(file: Callable[[bytes], Path]) -> None:
    with pytest.raises(InterruptedError):
        RangeIndex.of(file(words(1_000)), lambda: True)


@given(data=st.data())
def test_the_ranges_of_any_text_in_any_pack_are_correct(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    unit = data.draw(st.text(min_size=1, max_size=40))
    pack = (unit * data.draw(st.integers(0, 50)) + data.draw(st.text(max_size=500)) + unit * 20).encode()
    places = st.integers(0, len(pack))
    parts = data.draw(st.lists(st.one_of(st.text(max_size=50), st.tuples(places, places)), max_size=5))
    body = "".join(
        part if isinstance(part, str) else pack[part[0] : part[1]].decode("utf-8", "ignore") for part in parts
    ).encode()
    path = tmp_path_factory.getbasetemp() / "any-pack"
    path.write_bytes(pack)
    found = RangeIndex.of(path).ranges(body)
    assert in_file(pack, body, found)
    for one in found:
        body[one.start : one.end].decode()
