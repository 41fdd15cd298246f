"""Kills (SIGKILL) of a reviewed run at every kind of failpoint: nothing is decided twice or executed undecided."""

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
"""The number of tests among which the failpoints are distributed."""
STRIDE = 30
"""One in this many failpoints is tested; each share tests different ones."""
AT_ONCE = 4
"""The most requests that may be in flight."""


@pytest.fixture(scope="session")
def folder_of_undisturbed(folder: Path) -> Path:
    return folder / "undisturbed-reviewed"


@pytest.fixture(scope="session")
def undisturbed(spawn: Spawner, folder_of_undisturbed: Path) -> Undisturbed:
    trial = Trial(folder_of_undisturbed, spawn, played=reviewed_scenario)
    return Undisturbed(trial.execute().report, trial.received, trial.points)


@pytest.fixture(scope="session")
def requested(undisturbed: Undisturbed, folder_of_undisturbed: Path) -> Counter[str]:
    """Return the actions that the reviewer of the undisturbed run is asked to decide."""
    return reviewed(folder_of_undisturbed)


def check(
    trial: Trial, ended: Ended, in_flight: Counter[str], undisturbed: Undisturbed, requested: Counter[str], where: str
) -> None:
    """Check that the run ended like the undisturbed one, paid once, and requested each approval as in `requested`."""
    check_as_undisturbed(ended, undisturbed, where)
    check_paid_once(trial, ended, in_flight, undisturbed, where)
    assert reviewed(trial.folder) == requested, where
    assert ended.report["decisions"] == undisturbed.report["decisions"], f"{where}: each is applied once"
    assert ended.report["limits"] == undisturbed.report["limits"], where
    assert ended.report["too early"] == [], f"{where}: it ran before it was reviewed"
    assert not trial.received.keys() & set(NEVER), where
    assert not set(lines(trial.folder / "ran")) & set(NEVER_RUN), where


def test_an_undisturbed_run_is_reviewed_in_every_way(undisturbed: Undisturbed, requested: Counter[str]) -> None:
    assert undisturbed.report["run"]["status"] == "answered"
    assert set(requested.values()) == {1}
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
        assert any("writes" in point and point.endswith(when) for point in undisturbed.points), "request and decision"


@pytest.mark.parametrize("share", range(SHARES))
def test_each_decision_is_applied_once_in_a_run_killed_at_any_failpoint(
    spawn: Spawner, undisturbed: Undisturbed, requested: Counter[str], folder: Path, share: int
) -> None:
    point = 1 + share
    while (
        ended := (trial := Trial(folder / f"reviewed-{point}", spawn, played=reviewed_scenario)).execute(kill_at=point)
    ).killed:
        where, in_flight, lost = trial.where, trial.in_flight(), unsaved(trial.folder)
        assert in_flight.total() <= AT_ONCE, where
        check(trial, trial.execute(), in_flight, undisturbed, requested + lost, where)
        trial.remove()
        point += SHARES * STRIDE
    check(trial, ended, Counter(), undisturbed, requested, "not killed")
    assert point > 0.8 * len(undisturbed.points)
