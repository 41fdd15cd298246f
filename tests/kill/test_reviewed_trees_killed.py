"""kill -9 of a tree that waits for approval: what was decided at the top reaches each sub-RLM once."""

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
"""Tests among which the points are dealt out."""
STRIDE = 30
"""Of so many points one is taken, in every share others."""
AT_ONCE = 2
"""Requests that may be under way."""


@pytest.fixture(scope="session")
def folder_of_undisturbed(folder: Path) -> Path:
    return folder / "undisturbed-reviewed-tree"


@pytest.fixture(scope="session")
def undisturbed(spawn: Spawner, folder_of_undisturbed: Path) -> Undisturbed:
    trial = Trial(folder_of_undisturbed, spawn, played=reviewed_tree_scenario)
    return Undisturbed(trial.execute().report, trial.received, trial.points)


@pytest.fixture(scope="session")
def asked_about(undisturbed: Undisturbed, folder_of_undisturbed: Path) -> Counter[str]:
    """What the person of the undisturbed tree is asked."""
    return reviewed(folder_of_undisturbed)


def check(
    trial: Trial, ended: Ended, in_flight: Counter[str], undisturbed: Undisturbed, asked: Counter[str], where: str
) -> None:
    """As undisturbed, paid once, and each thing asked about as often as `asked` says."""
    check_as_undisturbed(ended, undisturbed, where)
    check_paid_once(trial, ended, in_flight, undisturbed, where)
    assert reviewed(trial.folder) == asked, where
    for what in ("statuses", "decisions"):
        assert ended.report[what] == undisturbed.report[what], where
    assert ended.report["too early"] == [], f"{where}: it ran before it was asked about"
    assert not trial.received.keys() & set(NEVER), where
    assert not set(lines(trial.folder / "ran")) & {REJECTED, REPLACED}, where


def test_an_undisturbed_tree_is_decided_about_at_its_top(undisturbed: Undisturbed, asked_about: Counter[str]) -> None:
    assert undisturbed.report["run"]["answer"] == [["ONE!", "two: TWO DEEP!"], 4]
    assert set(asked_about.values()) == {1} and {REJECTED, REPLACED} <= asked_about.keys()
    decisions = undisturbed.report["decisions"]
    assert decisions["deep"] == ["edited execute_code"] and "rejected execute_code" in decisions["calls"]


@pytest.mark.parametrize("share", range(SHARES))
def test_killed_at_any_point_each_sub_rlm_gets_what_was_decided_once(
    spawn: Spawner, undisturbed: Undisturbed, asked_about: Counter[str], folder: Path, share: int
) -> None:
    point = 1 + share
    while (
        ended := (trial := Trial(folder / f"tree-{point}", spawn, played=reviewed_tree_scenario)).execute(kill_at=point)
    ).killed:
        where, in_flight, lost = trial.where, trial.in_flight(), unsaved(trial.folder)
        assert in_flight.total() <= AT_ONCE, where
        check(trial, trial.execute(), in_flight, undisturbed, asked_about + lost, where)
        trial.remove()
        point += SHARES * STRIDE
    check(trial, ended, Counter(), undisturbed, asked_about, "not killed")
    assert point > 0.8 * len(undisturbed.points)
