"""kill -9 of a run that waits for a person, at every kind of point: nothing is decided twice, or done undecided."""

from collections import Counter
from pathlib import Path

import pytest

from tests.kill import reviewed_scenario
from tests.kill.reviewed_scenario import CELLS, MAX_CALLS, MAX_TURNS, NEVER, NEVER_RUN
from tests.kill.reviewing import lines, reviewed, unsaved
from tests.kill.spawn import Ended, Spawner
from tests.kill.trials import Trial, Undisturbed, check_as_undisturbed, check_paid_once

pytestmark = pytest.mark.kill
SHARES = 4
"""Tests among which the points are dealt out."""
STRIDE = 30
"""Of so many points one is taken, in every share others."""
AT_ONCE = 4
"""Requests that may be under way."""


@pytest.fixture(scope="session")
def folder_of_undisturbed(folder: Path) -> Path:
    return folder / "undisturbed-reviewed"


@pytest.fixture(scope="session")
def undisturbed(spawn: Spawner, folder_of_undisturbed: Path) -> Undisturbed:
    trial = Trial(folder_of_undisturbed, spawn, played=reviewed_scenario)
    return Undisturbed(trial.execute().report, trial.received, trial.points)


@pytest.fixture(scope="session")
def asked_about(undisturbed: Undisturbed, folder_of_undisturbed: Path) -> Counter[str]:
    """What the person of the undisturbed run is asked."""
    return reviewed(folder_of_undisturbed)


def check(
    trial: Trial, ended: Ended, in_flight: Counter[str], undisturbed: Undisturbed, asked: Counter[str], where: str
) -> None:
    """As undisturbed, paid once, and each thing asked about as often as `asked` says."""
    check_as_undisturbed(ended, undisturbed, where)
    check_paid_once(trial, ended, in_flight, undisturbed, where)
    assert reviewed(trial.folder) == asked, where
    assert ended.report["decisions"] == undisturbed.report["decisions"], f"{where}: each is applied once"
    assert ended.report["limits"] == undisturbed.report["limits"], where
    assert ended.report["too early"] == [], f"{where}: it ran before it was asked about"
    assert not trial.received.keys() & set(NEVER), where
    assert not set(lines(trial.folder / "ran")) & set(NEVER_RUN), where


def test_an_undisturbed_run_is_reviewed_in_every_way(undisturbed: Undisturbed, asked_about: Counter[str]) -> None:
    assert undisturbed.report["run"]["status"] == "answered"
    assert set(asked_about.values()) == {1}
    assert {part.split()[0] for part in undisturbed.report["decisions"]} == {
        *("approved", "edited", "rejected", "responded")
    }
    assert {part.split()[-1] for part in undisturbed.report["decisions"]} == {
        *("execute_code", "sub_calls", "budget", "final_answer")
    }
    assert len(CELLS) > MAX_TURNS and undisturbed.received.total() > MAX_CALLS
    assert not undisturbed.received.keys() & set(NEVER)
    assert any("call-decided" in point for point in undisturbed.points)
    for when in ("before", "uncommitted", "after"):
        assert any("writes" in point and point.endswith(when) for point in undisturbed.points), "asked and decided"


@pytest.mark.parametrize("share", range(SHARES))
def test_killed_at_any_point_what_was_decided_counts_once(
    spawn: Spawner, undisturbed: Undisturbed, asked_about: Counter[str], folder: Path, share: int
) -> None:
    point = 1 + share
    while (
        ended := (trial := Trial(folder / f"reviewed-{point}", spawn, played=reviewed_scenario)).execute(kill_at=point)
    ).killed:
        where, in_flight, lost = trial.where, trial.in_flight(), unsaved(trial.folder)
        assert in_flight.total() <= AT_ONCE, where
        check(trial, trial.execute(), in_flight, undisturbed, asked_about + lost, where)
        trial.remove()
        point += SHARES * STRIDE
    check(trial, ended, Counter(), undisturbed, asked_about, "not killed")
    assert point > 0.8 * len(undisturbed.points)
