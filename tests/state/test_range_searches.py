"""Searches for parts of a file in a text: the promises that the kernel's and the host's have in common.

Where they differ is in `test_range_index.py` and `tests/kernel/test_slice_index.py`.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_rlm.kernel.inside.context_file import Pack
from durable_rlm.kernel.inside.snapshot.slice_index import LEAST, Samples
from durable_rlm.state.blobs.range_index import LEAST_RANGE, RangeIndex

LETTERS, OTHERS = "abcdeé日𝄞  ", "QX?ñĩ本åƞ𝅘"
"""No letter is in both, but the bytes of some begin or end alike."""
ENDING_ALIKE = "ĩåƞ"
CHARS = 20_000


@dataclass(frozen=True)
class Search:
    """One of the searches in one file."""

    parts: Callable[[bytes], Sequence[tuple[int, int, int]]]
    """The parts of a text: where they begin and end in it, and begin in the file."""
    least: int
    """The least bytes of a part."""


def slice_index(path: Path) -> Search:
    pack = Pack(str(path))
    return Search(Samples(pack, [(0, pack.size)]).parts, LEAST)


def range_index(path: Path) -> Search:
    return Search(RangeIndex.of(path).ranges, LEAST_RANGE)


FILES = {
    "words": "".join(random.Random(1).choices(LETTERS, k=CHARS)),
    "one line": ("abc é: 日𝄞 ed\n" * CHARS)[:CHARS],
    "blanks": " " * CHARS,
    "short": "abé",
    "empty": "",
}


@pytest.fixture(params=[slice_index, range_index], scope="module")
def searches(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Search]:
    """A search in each of the files, by the file's name."""
    folder = tmp_path_factory.mktemp("packs")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return {name: request.param(folder / name) for name in FILES}


@settings(deadline=None)
@given(st.data())
def test_a_part_is_what_the_file_has_there_and_no_character_is_cut(
    searches: Mapping[str, Search], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(list(FILES)))
    file, search = FILES[name].encode(), searches[name]
    slices = st.tuples(st.sampled_from(list(FILES)), st.integers(0, CHARS), st.integers(0, 3_000)).map(
        lambda one: FILES[one[0]][one[1] : one[1] + one[2]]
    )
    body = "".join(data.draw(st.lists(slices | st.text(LETTERS + OTHERS, max_size=90), max_size=8))).encode()
    at = 0
    for start, end, place in search.parts(body):
        assert at <= start and end - start >= search.least
        assert body[start:end] == file[place : place + end - start]
        body[at:start].decode()
        body[start:end].decode()
        at = end
    body[at:].decode()


@settings(deadline=None)
@given(
    start=st.integers(0, CHARS - LEAST),
    chars=st.integers(LEAST, 5_000),
    before=st.text(OTHERS, max_size=100) | st.text(ENDING_ALIKE, min_size=1, max_size=9),
    behind=st.text(OTHERS, max_size=100),
)
def test_a_slice_between_other_words_is_found_whole_wherever_it_was_cut(
    searches: Mapping[str, Search], start: int, chars: int, before: str, behind: str
) -> None:
    text = FILES["words"]
    cut = text[start : start + chars]
    [found] = searches["words"].parts((before + cut + behind).encode())
    first = len(before.encode())
    assert tuple(found) == (first, first + len(cut.encode()), len(text[:start].encode()))


@given(st.text(OTHERS, max_size=5_000), st.sampled_from(list(FILES)))
def test_a_text_that_is_not_in_the_file_is_not_found(searches: Mapping[str, Search], text: str, name: str) -> None:
    assert list(searches[name].parts(text.encode())) == []


@given(st.integers(0, CHARS), st.sampled_from(list(FILES)))
def test_a_slice_that_is_shorter_than_the_least_is_not_found(
    searches: Mapping[str, Search], start: int, name: str
) -> None:
    search = searches[name]
    cut = FILES[name].encode()[start : start + search.least - 1].decode(errors="ignore")
    assert list(search.parts(cut.encode())) == []
