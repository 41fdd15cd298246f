"""Kills (SIGKILL) of a tree of runs: every run in it resumes from its last step, and nothing in it is paid twice."""

from collections import Counter
from pathlib import Path

import pytest

from tests.kill import tree_scenario
from tests.kill.spawn import Ended, Spawner
from tests.kill.tree_scenario import MOST_AT_ONCE, REQUESTS
from tests.kill.trials import Trial, Undisturbed, check_as_undisturbed, check_paid_once

pytestmark = pytest.mark.kill
SHARES = 4
"""The number of tests among which the failpoints are distributed."""
STRIDE = 8
"""One in this many failpoints is tested; each share tests different ones."""


@pytest.fixture(scope="session")
def undisturbed(spawn: Spawner, folder: Path) -> Undisturbed:
    trial = Trial(folder / "undisturbed-tree", spawn, played=tree_scenario)
    return Undisturbed(trial.execute().report, trial.received, trial.points)


def check(trial: Trial, ended: Ended, in_flight: Counter[str], undisturbed: Undisturbed, where: str) -> None:
    check_as_undisturbed(ended, undisturbed, where)
    check_paid_once(trial, ended, in_flight, undisturbed, where)
    assert ended.report["statuses"] == undisturbed.report["statuses"], where


def test_an_undisturbed_tree_passes_the_failpoints_of_child_runs(undisturbed: Undisturbed) -> None:
    assert undisturbed.report["run"]["status"] == "answered"
    assert undisturbed.received.total() == undisturbed.report["run"]["usage"]["model_calls"] == REQUESTS
    assert any("child-asked" in point and point.endswith("-uncommitted") for point in undisturbed.points)
    assert undisturbed.points.count("finalize-end") == 4


@pytest.mark.parametrize("share", [0, *(pytest.param(one, marks=pytest.mark.slow) for one in range(1, SHARES))])
def test_every_run_of_a_tree_killed_at_any_failpoint_resumes(
    spawn: Spawner, undisturbed: Undisturbed, folder: Path, share: int
) -> None:
    point = 1 + share
    while (
        ended := (trial := Trial(folder / f"tree-{point}", spawn, played=tree_scenario)).execute(kill_at=point)
    ).killed:
        where, in_flight = trial.where, trial.in_flight()
        assert in_flight.total() <= MOST_AT_ONCE, where
        ended = trial.execute()
        check(trial, ended, in_flight, undisturbed, where)
        # Requests open at the kill count, sent or not, and nothing else does.
        calls = ended.report["run"]["usage"]["model_calls"]
        assert trial.received.total() <= calls <= trial.received.total() + MOST_AT_ONCE, where
        trial.remove()
        point += SHARES * STRIDE
    check(trial, ended, Counter(), undisturbed, "not killed")
    assert point > 0.8 * len(undisturbed.points)
