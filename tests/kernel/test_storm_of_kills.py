"""The storm of `bench/storms/kills.py`, in short: a REPL that is killed again and again equals one that never was."""

import pytest

from bench.storms.kills import storm


@pytest.mark.slow
async def test_a_repl_that_is_killed_again_and_again_equals_one_that_was_never_killed() -> None:
    report = await storm(kills=20, start=11, seconds=300)
    assert report.differences == []
    assert report.kills == 20 and report.cells > 20
