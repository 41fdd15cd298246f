"""Requests of clients are bounded before anything works on them."""

from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.graph.create import MOST_QUESTION
from durable_rlm.state.errors import UsageError
from tests.scripts import repl, write_script


async def test_a_question_of_any_size_is_refused_in_words(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [])
    for size in (MOST_QUESTION + 1, 100_000_000):
        with pytest.raises(UsageError, match=f"The question has {size:,} characters"):
            await runner.run("q" * size, "input", model=model)
    assert await runner.queries.runs() == []


async def test_a_question_with_lone_surrogates_is_asked_without_them(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("print(context)\nFINAL('x')")])
    for _ in range(2):
        run = await runner.run("why\ud800?", "input", model=model, thread="t")
        assert (run.status, run.answer) == ("answered", "x")
    [row] = await runner.queries.runs()
    assert row["question"] == "why\ufffd?"
