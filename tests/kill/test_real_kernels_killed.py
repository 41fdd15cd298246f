"""Kills (SIGKILL) of a run with real kernels, of its kernels, their fork server and their host."""

from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.kill.spawn import Spawner, Victim
from tests.kill.trials import Trial, Undisturbed, check_as_undisturbed, check_paid_once

pytestmark = pytest.mark.kill

PLACES = [
    *(("cell-sent", 1), ("deliver-before", 2), ("cell-ended", 1), ("call-settled-after", 4), ("deliver-after", 5)),
    *(("plan-end", 3), ("cell-ended", 3)),
]
"""Failpoints and the pass at which to kill: in each of the three cells and between them."""


@pytest.fixture(scope="module")
def undisturbed(spawn: Spawner, folder: Path) -> Undisturbed:
    trial = Trial(folder / "undisturbed-real", spawn, real=True)
    return Undisturbed(trial.execute().report, trial.received, trial.points)


@pytest.fixture
def trial(spawn: Spawner, folder: Path) -> Generator[Trial]:
    trial = Trial(folder / "real", spawn, real=True)
    yield trial
    trial.remove()


def place(undisturbed: Undisturbed, name: str, number: int) -> int:
    """Return the position among all failpoints of the `number`-th pass of the failpoint `name`."""
    found = [at for at, point in enumerate(undisturbed.points, 1) if name in point]
    return found[number - 1]


@pytest.mark.parametrize(("name", "number"), PLACES)
def test_a_killed_run_resumes_in_another_kernel_and_ends_like_an_undisturbed_one(
    trial: Trial, undisturbed: Undisturbed, name: str, number: int
) -> None:
    assert trial.execute(kill_at=place(undisturbed, name, number)).killed
    where, in_flight = trial.where, trial.in_flight()
    assert in_flight.total() <= trial.under_way(), where
    ended = trial.execute()
    check_as_undisturbed(ended, undisturbed, where)
    check_paid_once(trial, ended, in_flight, undisturbed, where)


@pytest.mark.parametrize(
    ("victim", "name", "number"),
    [
        *(("kernel", "deliver-before", 2), ("kernel", "cell-ended", 1), ("kernel", "call-settled-after", 4)),
        *(("fork server", "deliver-before", 2), ("fork server", "plan-end", 3)),
        *(("host", "deliver-before", 1), ("host", "plan-end", 2), ("host", "cell-sent", 3)),
    ],
)
def test_a_killed_kernel_or_host_costs_one_cell_at_most_and_the_run_ends(
    trial: Trial, undisturbed: Undisturbed, victim: Victim, name: str, number: int
) -> None:
    ended = trial.execute(kill_at=place(undisturbed, name, number), victim=victim)
    run, expected = ended.report["run"], undisturbed.report
    assert (run["status"], run["answer"], run["error"]) == ("answered", expected["run"]["answer"], None), run
    assert ended.report["variables"] == expected["variables"] and ended.report["problems"] == []
    statuses = Counter(ended.report["statuses"]) - Counter(expected["statuses"])
    assert statuses in (Counter(), Counter(died=1))
    again = trial.received - undisturbed.received
    assert again.total() <= statuses.total() * 5, f"more than one cell and its turn was paid again: {again}"
