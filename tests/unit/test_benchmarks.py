"""What is published of the benchmarks is what was measured."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.beside import growth, table
from bench.beside.results import Results

PUBLISHED = Path(__file__).parents[2] / "docs" / "benchmarks"


@pytest.mark.parametrize(("name", "drawn"), [("beside", table.table), ("growth", growth.table)])
def test_the_tables_say_what_the_numbers_beside_them_say(name: str, drawn: Callable[[Results], str]) -> None:
    written = (PUBLISHED / f"{name}.md").read_text()
    assert drawn(Results.load(PUBLISHED / f"{name}.json")) + "\n" == written


def test_the_page_about_performance_has_the_tables_as_they_are() -> None:
    page = (PUBLISHED.parent / "performance.md").read_text()
    for name in ("beside", "growth"):
        for row in (PUBLISHED / f"{name}.md").read_text().splitlines():
            assert row in page, row


def test_nothing_was_lost_by_us_in_what_is_published() -> None:
    beside = Results.load(PUBLISHED / "beside.json")
    assert beside.spread("killed", "paid twice", table.OURS) == (0, 0, 0)
    assert beside.spread("sub-RLMs", "right", table.OURS) == (50, 50, 50)
