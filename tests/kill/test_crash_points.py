"""Kills (SIGKILL) at every failpoint of a run: the same command again yields the same result, and pays nothing twice.

There are failpoints before, in and after every commit, and wherever a node has done something.
"""

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.kill.spawn import Spawner
from tests.kill.trials import Trial, Undisturbed, check_as_undisturbed, check_paid_once

pytestmark = pytest.mark.kill
SHARES = 4
"""The number of tests among which the failpoints are distributed, so that they can run in parallel."""


def test_an_undisturbed_run_passes_failpoints_before_in_and_after_every_commit(undisturbed: Undisturbed) -> None:
    assert undisturbed.report["run"]["status"] == "answered"
    passed = Counter(name for point in undisturbed.points for name in names(point))
    for commit in (
        *("format", "thread", "lease-taken", "execution-begun", "execution-ended", "lease-released"),
        *("call-asked", "call-settled", "checkpoint"),
    ):
        assert passed[f"{commit}-before"] == passed[f"{commit}-uncommitted"] == passed[f"{commit}-after"] > 0, commit
    assert passed["blob-before"] == passed["blob-unsynced"] == passed["blob-after"] > 0
    assert passed.keys() >= {
        *("prepare-end", "plan-end", "cell-sent", "cell-ended", "finalize-end", "sub_call-end"),
        *("request-before", "request-after", "journal-before", "journal-after", "deliver-before", "deliver-after"),
    }


def names(point: str) -> list[str]:
    """Return the failpoints of everything that one transaction commits."""
    whats, _, when = point.rpartition("-")
    return [f"{what}-{when}" for what in whats.split("+")]


@pytest.mark.parametrize("share", range(SHARES))
def test_a_run_killed_at_any_failpoint_ends_like_an_undisturbed_one(
    spawn: Spawner, undisturbed: Undisturbed, folder: Path, share: int
) -> None:
    point = share + 1
    while (ended := (trial := Trial(folder / f"point-{point}", spawn)).execute(kill_at=point)).killed:
        where, in_flight = trial.where, trial.in_flight()
        assert in_flight.total() <= trial.under_way(), where
        ended = trial.execute()
        check_as_undisturbed(ended, undisturbed, where)
        check_paid_once(trial, ended, in_flight, undisturbed, where)
        trial.remove()
        point += SHARES
    check_as_undisturbed(ended, undisturbed, "not killed")
    assert point > 0.9 * len(undisturbed.points)


def test_a_run_killed_again_while_it_resumes_ends_like_an_undisturbed_one(
    spawn: Spawner, undisturbed: Undisturbed, folder: Path
) -> None:
    trial, once = Trial(folder / "killed-twice", spawn), folder / "killed-once"
    in_second_cell = undisturbed.points.index("cell-ended") + undisturbed.points.index("deliver-before")
    assert trial.execute(kill_at=in_second_cell).killed
    at_first, point = trial.in_flight(), 1
    trial.save_to(once)
    while (ended := trial.execute(kill_at=point)).killed:
        where, in_flight = f"killed twice: {trial.where}", at_first + trial.in_flight()
        ended = trial.execute()
        check_as_undisturbed(ended, undisturbed, where)
        check_paid_once(trial, ended, in_flight, undisturbed, where)
        trial.restore_from(once)
        point += 4
    check_as_undisturbed(ended, undisturbed, "killed once")
    assert point > 40


@pytest.mark.parametrize("seed", range(4))
def test_a_run_killed_repeatedly_at_random_failpoints_ends_like_an_undisturbed_one(
    spawn: Spawner, undisturbed: Undisturbed, folder: Path, seed: int
) -> None:
    random, trial = Random(seed), Trial(folder / f"seed-{seed}", spawn)
    kills, in_flight = 0, Counter[str]()
    # An execution passes some failpoints before it makes progress.
    while (ended := trial.execute(kill_at=random.randint(1, 20 + 10 * kills))).killed:
        kills += 1
        in_flight += trial.in_flight()
    where = f"seed {seed}, killed {kills} times"
    check_as_undisturbed(ended, undisturbed, where)
    check_paid_once(trial, ended, in_flight, undisturbed, where)
    assert kills > 2


@pytest.mark.parametrize("point", ["call-asked-after", "request-after", "journal-before"])
def test_a_run_killed_at_each_of_its_requests_sends_no_more_than_its_budget_allows(
    spawn: Spawner, folder: Path, point: str
) -> None:
    trial, kills = Trial(folder / f"budget-{point}", spawn), 0
    while (ended := trial.execute(kill_on=point, max_calls=6)).killed:
        kills += 1
        assert kills <= 6 and trial.received.total() <= 6
    run = ended.report["run"]
    # A request that was recorded before a kill may have been sent, so it counts.
    assert (run["status"], run["usage"]["model_calls"], kills) == ("budget", 6, 6), run
    assert trial.received.total() == (0 if point == "call-asked-after" else 6)
    assert "6 calls" in run["error"]["message"]
