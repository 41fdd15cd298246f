"""Texts cut from a pack: found there again, never at a wrong place, at a bounded cost."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.kernel.inside import child_context as module
from durable_rlm.kernel.inside.child_context import Places, Range
from durable_rlm.kernel.inside.context_file import Pack

characters = st.characters(exclude_categories=["Cs"])
# Few different ones, so that there are repetitions, and characters of one to four bytes.
repetitive = st.text("aabé日𝄞", max_size=60)


class CountingPack(Pack):
    """A pack that counts the bytes read from it."""

    taken = 0

    def read(self, start: int, end: int) -> bytes:
        self.taken += end - start
        return super().read(start, end)


def packed(folder: Path, data: bytes) -> CountingPack:
    path = folder / "pack"
    path.write_bytes(data)
    return CountingPack(str(path))


def places_in(pack: Pack, *ranges: Range) -> Places:
    return Places(pack, lambda: list(ranges) or [(0, pack.size)])


@given(st.lists(repetitive | st.text(characters, max_size=9), min_size=1, max_size=4), st.data())
def test_every_found_place_is_right_and_every_cut_text_is_found(texts: list[str], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name, value in {"_PROBE": 3, "_FIRST_BLOCK": 4, "_LARGEST_BLOCK": 8, "_PIECE": 2}.items():
            patch.setattr(module, name, value)
        encoded = [text.encode() for text in texts]
        ends = [sum(map(len, encoded[: number + 1])) for number in range(len(encoded))]
        # The input of the kernel itself is every second text.
        own = [(end - len(text), end) for text, end in zip(encoded, ends, strict=True)][::2]
        pack = packed(Path(folder), b"".join(encoded))
        places = places_in(pack, *own)
        for _ in range(6):
            whole = data.draw(st.sampled_from(texts))
            cut = whole[data.draw(st.integers(0, len(whole))) :][: data.draw(st.integers(1, 20))]
            if not cut:
                continue
            place = places.find(cut)
            if place is None:
                assert not any(cut.encode() in pack.read(*range_) for range_ in own)
            else:
                assert pack.read(*place) == cut.encode()
                assert any(start <= place[0] and place[1] <= end for start, end in own)


def test_consecutive_slices_are_found_by_reading_the_text_once(tmp_path: Path) -> None:
    text = "".join(f"line {number}, größer\n" for number in range(300_000))
    pack = packed(tmp_path, text.encode())
    places = places_in(pack)
    for start in range(0, len(text), 40_000):
        place = places.find(text[start : start + 50_000])  # they overlap
        assert place and pack.read(*place).decode() == text[start : start + 50_000]
    assert pack.taken < 6 * pack.size


def test_finding_in_a_line_repeated_a_million_times_stays_cheap(tmp_path: Path) -> None:
    line = "GET /index.html 200\n"
    pack = packed(tmp_path, line.encode() * 200_000 + b"end")
    places = places_in(pack)
    assert places.find(line * 100_000) is not None
    # This text is not there: at every line, the pack begins like it.
    assert places.find(line * 50_000 + "other") is None
    assert pack.taken < 100 * pack.size


def test_the_search_for_missing_texts_is_given_up_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = packed(tmp_path, b"x" * 1_000)
    monkeypatch.setattr(module, "_MOST_FRUITLESS", 2_500)
    places = places_in(pack)
    for number in range(10):
        assert places.find(f"new {number}") is None
    assert 2_500 < pack.taken < 4_000
    assert places.find("xxx") is None


def test_a_text_read_from_the_pack_is_found_without_a_search(tmp_path: Path) -> None:
    pack = packed(tmp_path, "grün und blau".encode())
    text = pack.text(0, 5)
    taken = pack.taken
    assert places_in(pack).find(text) == (0, 5)
    assert pack.taken == taken


def test_a_text_with_a_lone_surrogate_is_not_found(tmp_path: Path) -> None:
    places = places_in(packed(tmp_path, b"text" * 1_000))
    assert places.find("\ud800text") is None
    assert places.find("text" * 500 + "\udfff") is None
