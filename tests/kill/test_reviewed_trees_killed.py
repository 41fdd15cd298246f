"""Kills (SIGKILL) of a reviewed tree of runs: each decision at the top run reaches its sub-RLM once."""

from collections import Counter
from pathlib import Path

import pytest

from tests.kill import reviewed_tree_scenario
from tests.kill.reviewed_tree_scenario import NEVER, REJECTED, REPLACED
from tests.kill.reviewing import lines, reviewed, unsaved
from tests.kill.spawn import Ended, Spawner
from tests.kill.trials import Trial, Undisturbed, check_as_undisturbed, check_paid_once

pytestmark = pytest.mark.kill
SHARES = 4
"""The number of tests among which the failpoints are distributed."""
STRIDE = 30
"""One in this many failpoints is tested; each share tests different ones."""
AT_ONCE = 2
"""The most requests that may be in flight."""


@pytest.fixture(scope="session")
def folder_of_undisturbed(folder: Path) -> Path:
    return folder / "undisturbed-reviewed-tree"


@pytest.fixture(scope="session")
def undisturbed(spawn: Spawner, folder_of_undisturbed: Path) -> Undisturbed:
    trial = Trial(folder_of_undisturbed, spawn, played=reviewed_tree_scenario)
    return Undisturbed(trial.execute().report, trial.received, trial.points)


@pytest.fixture(scope="session")
def requested(undisturbed: Undisturbed, folder_of_undisturbed: Path) -> Counter[str]:
    """Return the actions that the reviewer of the undisturbed tree is asked to decide."""
    return reviewed(folder_of_undisturbed)


def check(
    trial: Trial, ended: Ended, in_flight: Counter[str], undisturbed: Undisturbed, requested: Counter[str], where: str
) -> None:
    """Check that the tree ended like the undisturbed one, paid once, and requested each approval as in `requested`."""
    check_as_undisturbed(ended, undisturbed, where)
    check_paid_once(trial, ended, in_flight, undisturbed, where)
    assert reviewed(trial.folder) == requested, where
    for what in ("statuses", "decisions"):
        assert ended.report[what] == undisturbed.report[what], where
    assert ended.report["too early"] == [], f"{where}: it ran before it was reviewed"
    assert not trial.received.keys() & set(NEVER), where
    assert not set(lines(trial.folder / "ran")) & {REJECTED, REPLACED}, where


def test_approvals_in_an_undisturbed_tree_are_decided_at_its_top(
    undisturbed: Undisturbed, requested: Counter[str]
) -> None:
    assert undisturbed.report["run"]["answer"] == [["ONE!", "two: TWO DEEP!"], 4]
    assert set(requested.values()) == {1} and {REJECTED, REPLACED} <= requested.keys()
    decisions = undisturbed.report["decisions"]
    assert decisions["deep"] == ["edited execute_code"] and "rejected execute_code" in decisions["calls"]


@pytest.mark.parametrize("share", [0, *(pytest.param(one, marks=pytest.mark.slow) for one in range(1, SHARES))])
def test_each_sub_rlm_gets_its_decision_once_in_a_tree_killed_at_any_failpoint(
    spawn: Spawner, undisturbed: Undisturbed, requested: Counter[str], folder: Path, share: int
) -> None:
    point = 1 + share
    while (
        ended := (trial := Trial(folder / f"tree-{point}", spawn, played=reviewed_tree_scenario)).execute(kill_at=point)
    ).killed:
        where, in_flight, lost = trial.where, trial.in_flight(), unsaved(trial.folder)
        assert in_flight.total() <= AT_ONCE, where
        check(trial, trial.execute(), in_flight, undisturbed, requested + lost, where)
        trial.remove()
        point += SHARES * STRIDE
    check(trial, ended, Counter(), undisturbed, requested, "not killed")
    assert point > 0.8 * len(undisturbed.points)
