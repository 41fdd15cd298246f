"""Parts of a text that are cut from a pack: found wherever they were cut, and equal to the pack there."""

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_rlm.kernel.inside.context_file import Pack
from durable_rlm.kernel.inside.snapshot import slice_index as module
from durable_rlm.kernel.inside.snapshot.slice_index import LEAST, Part, Samples


class CountingPack(Pack):
    """A pack that counts the bytes read from it."""

    taken = 0

    def read(self, start: int, end: int) -> bytes:
        self.taken += end - start
        return super().read(start, end)


def packed(folder: Path, text: str) -> CountingPack:
    path = folder / "pack"
    path.write_text(text)
    return CountingPack(str(path))


def words(size: int, letters: str = "abcdeé日𝄞  ") -> str:
    return "".join(random.Random(size).choices(letters, k=size))


def is_proven(body: bytes, parts: list[Part], pack: Pack) -> bool:
    """Return whether all parts are in the pack, in order, and none begins or ends within a character."""
    at = 0
    for start, end, place in parts:
        assert at <= start < end <= len(body)
        assert body[start:end] == pack.read(place, place + end - start)
        body[at:start].decode()
        body[start:end].decode()
        at = end
    return True


@settings(deadline=None)
@given(st.data())
def test_parts_equal_the_pack_and_never_cut_a_character(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name, value in {"LEAST": 70, "_STEP": 8, "_BLOCK": 128, "_FIRST_READ": 3, "_LARGEST_READ": 9}.items():
            patch.setattr(module, name, value)
        text = data.draw(st.sampled_from([words(900), "aéb" * 300, words(400) * 2, "x" * 900]))
        pack = packed(Path(folder), text)
        samples = Samples(pack, [(0, pack.size)])
        pieces = st.tuples(st.integers(0, 800), st.integers(0, 300)).map(lambda one: text[one[0] : sum(one)])
        body = "".join(data.draw(st.lists(pieces | st.text("aé日?", max_size=90), max_size=6))).encode()
        assert is_proven(body, samples.parts(body), pack)


@pytest.mark.parametrize("letters", ["abcdefgh ", "abcdeé日𝄞  "], ids=["ASCII", "mixed"])
def test_a_slice_is_found_whole_wherever_it_was_cut(letters: str, tmp_path: Path) -> None:
    text = words(40_000, letters)
    pack = packed(tmp_path, text)
    samples = Samples(pack, [(0, pack.size)])
    for start in range(0, 1_500):
        body = text[start : start + 2_048].encode()
        assert samples.parts(body) == [Part(0, len(body), len(text[:start].encode()))]


def test_text_around_and_between_slices_is_not_a_part(tmp_path: Path) -> None:
    text = words(60_000)
    pack = packed(tmp_path, text)
    samples = Samples(pack, [(0, pack.size)])
    slices = [text[at : at + 5_000] for at in (30_000, 100, 7_000)]
    pieces = ["Read: ", slices[0], "\n###\n", slices[1], "\n###\n", slices[2], "Q" * 3_000]
    body = "".join(pieces).encode()
    parts = samples.parts(body)
    assert [body[start:end].decode().strip("Q#R\n") for start, end, _ in parts] == slices
    assert is_proven(body, parts, pack)


def test_a_text_that_is_not_in_the_pack_causes_no_reads(tmp_path: Path) -> None:
    pack = packed(tmp_path, words(200_000))
    samples = Samples(pack, [(0, pack.size)])
    pack.taken = 0
    assert samples.parts(b"something else, " * 100_000) == []
    assert pack.taken == 0
    assert samples.parts(b"short") == []


def test_finding_in_a_line_repeated_a_hundred_thousand_times_stays_cheap(tmp_path: Path) -> None:
    line = "GET /index.html 200\n"
    pack = packed(tmp_path, line * 200_000)
    samples = Samples(pack, [(0, pack.size)])
    pack.taken = 0
    body = (line * 50_000).encode()
    parts = samples.parts(body)
    assert is_proven(body, parts, pack)
    assert sum(part.end - part.start for part in parts) == len(body)
    # At every line it begins like the pack, and soon differs.
    assert samples.parts((line * 9 + "other\n").encode() * 3_000) == []
    assert pack.taken < 20 * len(body)


def test_only_the_given_ranges_are_indexed(tmp_path: Path) -> None:
    text = words(400_000, "abcdefgh ")
    pack = packed(tmp_path, text)
    samples = Samples(pack, [(1_000, 21_000), (390_000, 400_000)])
    assert pack.taken < 31_000
    assert samples.parts(text[2_000:9_000].encode()) and samples.parts(text[395_000:].encode())
    assert samples.parts(text[100_000:109_000].encode()) == []


def test_nothing_is_found_in_an_input_shorter_than_a_window(tmp_path: Path) -> None:
    pack = packed(tmp_path, "x" * 63)
    assert Samples(pack, [(0, 63)]).parts(b"x" * 2 * LEAST) == []
    assert Samples(pack, []).parts(b"x" * 2 * LEAST) == []
