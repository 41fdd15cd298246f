"""Requests of clients are bounded before anything works on them."""

from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.graph.fork_edits import checked_question
from durable_rlm.state.errors import UsageError
from durable_rlm.state.run_names import MOST_QUESTION
from tests.scripts import write_script


async def test_a_question_of_any_size_is_refused_in_words(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [])
    for size in (MOST_QUESTION + 1, 100_000_000):
        with pytest.raises(UsageError, match=f"The question has {size:,} characters"):
            await runner.run("q" * size, "input", model=model)
    assert await runner.queries.runs() == []


async def test_a_question_set_by_a_fork_or_an_edit_is_bounded_too() -> None:
    for question in ("q" * (MOST_QUESTION + 1), "why\ud800?", " "):
        with pytest.raises(UsageError, match="The question"):
            checked_question(question)
