"""Packs are cut by their content, so that a change of a few items changes few packs."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as some

from durable_rlm.matching.content_cuts import content_key, cut

WORDS = [
    "the",
    "of",
    "invoice",
    "delay",
    "late",
    "refund",
    "gut",
    "schlecht",
    "日本",
    "café",
    "error",
    "timeout",
    "queue",
]


def packs(items: list[str], limit: int) -> list[tuple[str, ...]]:
    """Return the items in packs of at most `limit` characters."""
    ends = cut([len(item) for item in items], [content_key(item) for item in items], limit)
    return [tuple(items[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def text(source: random.Random) -> str:
    """Return an item of some words."""
    return " ".join(source.choices(WORDS, k=source.randint(5, 40)))


def changed(items: list[str], source: random.Random, places: int) -> Iterator[list[str]]:
    """Yield the items with one inserted, removed or changed, at so many places."""
    for at in source.sample(range(len(items)), places):
        yield [*items[:at], text(source), *items[at:]]
        yield items[:at] + items[at + 1 :]
        yield [*items[:at], text(source), *items[at + 1 :]]


def test_one_item_inserted_removed_or_changed_among_a_thousand_changes_at_most_two_packs() -> None:
    altered: list[int] = []
    for seed in range(8):
        source = random.Random(seed)
        items = [text(source) for _ in range(1_000)]
        before = set(packs(items, 10_000))
        altered += [len(set(packs(other, 10_000)) - before) for other in changed(items, source, 15)]
    more = sum(number > 2 for number in altered)
    assert more <= len(altered) * 0.02 and max(altered) <= 4, f"{more} of {len(altered)}, {max(altered)} at most"
    assert sum(number == 1 for number in altered) > len(altered) * 0.9


def test_packs_are_filled_to_two_thirds_on_average() -> None:
    source = random.Random(7)
    found = packs([text(source) for _ in range(5_000)], 10_000)
    sizes = [sum(map(len, pack)) for pack in found]
    assert 6_300 < sum(sizes) / len(sizes) < 7_500
    assert min(sizes) >= 2_500


@given(some.lists(some.tuples(some.integers(0, 60), some.integers(0, 9))), some.integers(1, 100))
def test_no_pack_is_too_large_and_none_is_empty_whatever_the_sizes_and_keys(
    items: list[tuple[int, int]], limit: int
) -> None:
    sizes = [size for size, _ in items]
    ends = cut(sizes, [key for _, key in items], limit)
    assert ends == sorted(set(ends)) and ends[-1:] == ([len(items)] if items else [])
    for start, end in zip([0, *ends], ends, strict=False):
        assert end - start == 1 or sum(sizes[start:end]) <= limit


def test_an_item_larger_than_the_limit_is_alone_in_its_pack() -> None:
    assert packs(["a", "b" * 20, "c"], 10) == [("a",), ("b" * 20,), ("c",)]


def test_items_that_are_all_equal_are_cut_too() -> None:
    sizes = [len(pack) for pack in packs(["same item"] * 3_000, 900)]
    assert max(sizes) <= 100 and min(sizes[:-1]) >= 25


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="limit of 0"):
        cut([1], [1], 0)


def test_the_key_of_a_text_is_the_same_in_every_process_and_version() -> None:
    assert content_key("日本 \ud800") == 5080428089316185686
