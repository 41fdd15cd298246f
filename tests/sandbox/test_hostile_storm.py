"""A short storm of hostile kernels beside an innocent run (`bench/storms/hostile_kernels.py`)."""

import pytest

from bench.storms.hostile_cells import INGREDIENTS
from bench.storms.hostile_kernels import SEED, Measured, storm

pytestmark = pytest.mark.slow


async def test_an_innocent_run_comes_out_the_same_beside_hostile_kernels() -> None:
    seen = await storm(12, SEED)
    assert seen.problems(judge_times=False) == []
    assert sum(seen.hostile.values()) == 12 and seen.beside_hostile and seen.beside_harmless and seen.lags


def test_each_ingredient_is_code() -> None:
    for name, code in INGREDIENTS.items():
        compile(code, name, "exec")


def test_a_storm_that_saw_something_else_says_so() -> None:
    seen = Measured(stopped=["1 (x)"], different=["2"], left=["bwrap"])
    seen.beside_hostile, seen.beside_harmless, seen.lags = [3.0], [2.0], [0.2] * 100
    assert len(seen.problems(judge_times=False)) == 3
    assert [said for said in seen.problems(judge_times=True) if "late" in said or "as long" in said] == [
        "the event loop was late by 200 ms",
        "the innocent run took 1.50 times as long",
    ]
