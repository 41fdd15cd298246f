"""Variables that hold slices of the input: saved at almost no cost, restored byte by byte or reported as lost."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from durable_rlm.kernel.inside.child_context import Range
from durable_rlm.kernel.inside.context_file import Pack
from durable_rlm.kernel.inside.snapshot import input_slices as module
from durable_rlm.kernel.inside.snapshot.input_slices import Cuts
from durable_rlm.kernel.inside.snapshot.slice_index import Samples
from tests.kernel.namespaces import Namespace

SLICES = "chunks = [context[start : start + 4_000] for start in range(0, 4_000_000, 4_000)]"


def text_of(kind: str, size: int) -> str:
    """Return words, a few of them not ASCII."""
    letters = "abcdefghij" if kind == "ASCII" else "abcdefghéß日𝄞"
    draw = random.Random(0)
    words = ["".join(draw.choices(letters, k=6)) for _ in range(1_000)]
    return " ".join(draw.choices(words, k=size // 6))[:size]


@pytest.fixture(scope="module", params=["ASCII", "mixed"])
def pack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An input of four million characters."""
    path = tmp_path_factory.mktemp("input") / "pack"
    path.write_text(text_of(request.param, 4_000_000))
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """An input of a hundred thousand characters."""
    path = tmp_path / "small"
    path.write_text(text_of("mixed", 100_000))
    return path


class CountingCuts(Cuts):
    """Cuts that count the searches."""

    asked = 0

    def of(self, text: str) -> "module.Cut | None":
        self.asked += 1
        return super().of(text)


def size_of(live: Namespace) -> int:
    """Return the bytes of all snapshots so far."""
    return sum(map(len, live.chunks.values()))


@pytest.mark.parametrize(
    "cell",
    [
        SLICES,
        SLICES + "\nrandom.Random(1).shuffle(chunks)",
        SLICES + "\nchunks = {f'part {i}': {'text': c, 'kind': 'a'} for i, c in enumerate(chunks)}",
        SLICES + "\nchunks = [f'Read this and say:\\n\\n{c}\\n\\nWho is {c[:9]}?' for c in chunks]",
        SLICES + "\nchunks = [(i, c) for i, c in enumerate(chunks)]",
        "chunks = [context[:2_000_000], context[2_000_000:]]",
        "chunks = context[5:3_900_000]",
        "chunks = '\\n\\n'.join(context[at : at + 50_000] for at in range(3_900_000, 0, -60_000))",
        "class S(str): pass\n" + SLICES + "\nchunks = [S(c) for c in chunks]",
        "import numpy\n" + SLICES + "\nchunks = numpy.array(chunks, dtype=object)",
    ],
)
def test_a_variable_full_of_slices_is_saved_as_places(cell: str, pack: Path) -> None:
    live = Namespace(pack=pack)
    live.names["random"] = random
    live.cell(cell)
    assert "_error" not in live.names
    assert size_of(live) < 200_000
    restored = live.again()
    assert restored.restored is not None and restored.restored.lost == {}
    assert restored.see("list(chunks) if type(chunks) is not dict else chunks") == live.see(
        "list(chunks) if type(chunks) is not dict else chunks"
    )
    assert restored.differs(live) == live.differs(restored) == []


def test_one_more_slice_costs_little(pack: Path) -> None:
    live = Namespace(pack=pack)
    live.cell(SLICES)
    before = size_of(live)
    live.cell("chunks.append(context[1234:9876])")
    assert size_of(live) - before < 20_000
    assert live.again().see("chunks[-1] == context[1234:9876] and len(chunks) == 1_001")


def test_restored_slices_are_saved_again_as_places(pack: Path) -> None:
    live = Namespace(pack=pack)
    live.cell(SLICES)
    again = live.again()
    before = size_of(again)
    again.cell("chunks.append('?')")
    assert size_of(again) - before < 100_000
    assert again.again().see("chunks") == [*live.see("chunks"), "?"]


def test_a_list_of_slices_that_is_only_read_is_not_searched_again(pack: Path) -> None:
    live = Namespace(pack=pack)
    live.snapshots._cuts = cuts = CountingCuts(Pack(str(pack)), lambda: [(0, pack.stat().st_size)])
    live.cell(SLICES)
    assert cuts.asked == 1_000
    assert live.cell("n = len(chunks)").chunks
    assert cuts.asked == 1_000


def test_references_to_one_slice_are_restored_as_one_object(pack: Path) -> None:
    live = Namespace(pack=pack)
    live.cell("part = context[10:400_000]\nparts = [part] * 50")
    restored = live.again()
    assert restored.see("len({id(one) for one in parts})") == 1
    assert restored.see("parts[0] == context[10:400_000]")


def test_a_list_of_slices_also_held_by_a_later_variable_is_restored_as_one_object(small: Path) -> None:
    live = Namespace(pack=small)
    live.cell("parts = [context[:30_000], context[30_000:60_000]]")
    live.cell("held = {'parts': parts}")
    assert live.again().see("held['parts'] is parts")
    live.cell("del held")
    live.cell("parts.append('more')")
    assert live.again().see("len(parts)") == 3


def test_slices_of_equal_length_that_differ_in_their_middle_are_distinguished(small: Path) -> None:
    live = Namespace(pack=small)
    live.cell("a = context[:20_000]\nb = a[:5_000] + '!' + a[5_001:]\nc = context[20_000:40_000]\nd = [a, b, c] * 9")
    restored = live.again()
    for name in "abcd":
        assert restored.see(name) == live.see(name)
    live.cell("a, b = b, a\nd.reverse()")
    restored = live.again()
    for name in "abcd":
        assert restored.see(name) == live.see(name)


def test_short_lived_objects_are_not_mistaken_for_others(small: Path) -> None:
    # The value that a str subclass is saved as is created for it, and its memory is reused at once.
    live = Namespace(pack=small)
    live.cell("class S(str): pass\nparts = [S(context[at : at + 20_000 + at % 7]) for at in range(0, 70_000, 50)]")
    assert live.again().see("parts") == live.see("parts")


def test_lone_surrogates_are_saved_unchanged(small: Path) -> None:
    live = Namespace(pack=small)
    live.cell("a = context[:50_000] + chr(0xDC00)\nb = [context[:30_000], a, chr(0xD800) + context]")
    assert live.again().see("[a, b]") == live.see("[a, b]")


def test_without_its_input_only_slices_of_it_are_lost(small: Path, tmp_path: Path) -> None:
    live = Namespace(pack=small)
    live.cell("part = context[100:60_000]\nother = 'x' * 60_000\ncontext = ''")
    other = tmp_path / "other"
    other.write_text(text_of("ASCII", 200_000))
    for path in (None, other):
        restored = Namespace(pack=path)
        lost = restored.snapshots.restore(list(live.groups.values()), live.chunks.__getitem__).lost
        assert lost == {"part": "The input that it was cut from is not here"}
        assert restored.see("other") == "x" * 60_000


def test_a_truncated_pack_loses_only_the_slices_beyond_its_end(small: Path) -> None:
    live = Namespace(pack=small)
    live.cell("first = context[:30_000]\nlast = context[60_000:]")
    restored = Namespace(pack=small)
    with small.open("r+b") as file:
        file.truncate(60_000)
    lost = restored.snapshots.restore(list(live.groups.values()), live.chunks.__getitem__).lost
    assert list(lost) == ["last"] and "cut short" in lost["last"]
    # Nor does saving need the missing part.
    restored.cell("again = context[50_000:90_000]")
    assert restored.again().see("again") == restored.see("again")


def test_no_index_is_built_for_less_than_a_small_part_of_the_input(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Samples] = []

    def noted(pack: Pack, ranges: Sequence[Range]) -> Samples:
        made.append(Samples(pack, ranges))
        return made[-1]

    monkeypatch.setattr(module, "Samples", noted)
    live = Namespace(pack=pack)
    live.cell("a = context[:3_000]\nb = [context[at : at + 100] for at in range(100)]\nc = list(range(300_000))")
    assert live.again().see("a") == live.see("a")
    assert not made
    live.cell("d = context[:100_000]")
    assert live.again().see("d") == live.see("d")
    assert len(made) == 1


def test_long_strings_that_are_not_from_the_input_are_not_searched(pack: Path) -> None:
    live = Namespace(pack=pack)
    live.snapshots._cuts = cuts = CountingCuts(Pack(str(pack)), lambda: [(0, pack.stat().st_size)])
    live.cell("own = {i: f'{i} is none of it ' * 300 for i in range(1_000)}")
    assert cuts.asked == 0
    assert live.again().see("own") == live.see("own")


def test_fruitless_searches_are_bounded_and_the_strings_saved_unchanged(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FREE", 4)
    live = Namespace(pack=small)
    cell = "mixed = [f'{i} is none of it ' * 300 for i in range(40)] + [context[at:][:70_000] for at in range(20)]"
    live.cell(cell)
    assert live.again().see("mixed") == live.see("mixed")


def test_slices_saved_by_an_earlier_version_are_restored(small: Path) -> None:
    earlier = Namespace(given={"context": small.read_text()})
    earlier.cell("a = context[:70_000]\nb = [context[i : i + 3_000] for i in range(0, 90_000, 100)]\nc = [context]")
    now = Namespace(pack=small)
    assert now.snapshots.restore(list(earlier.groups.values()), earlier.chunks.__getitem__).lost == {}
    assert now.see("[a, b, c]") == earlier.see("[a, b, c]")
