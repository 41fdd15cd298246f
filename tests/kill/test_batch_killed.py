"""Kills (SIGKILL) of a batch: the same call again answers every question and pays nothing twice."""

from pathlib import Path

import pytest

from tests.kill import batch_scenario
from tests.kill.batch_scenario import AT_ONCE, NUMBER, REQUESTS
from tests.kill.spawn import Ended, Spawner
from tests.kill.trials import Trial

pytestmark = pytest.mark.kill
LIMIT = REQUESTS + 60
"""Enough for those that were under way at a kill, which count as spent, and for a last turn of each at once."""


def trial_at(folder: Path, spawn: Spawner, *, real: bool = False) -> Trial:
    return Trial(folder, spawn, real=real, played=batch_scenario)


def resume(trial: Trial) -> None:
    """Ask again after a kill, and check that what was recorded by then is not sent again."""
    in_flight = trial.in_flight()
    assert in_flight.total() <= AT_ONCE, trial.where
    ended = trial.execute(max_calls=LIMIT)
    check_answered(ended, trial.where)
    received = trial.received
    assert all(number == 1 + in_flight[name] for name, number in received.items()), trial.where
    assert (received - in_flight).total() == REQUESTS <= ended.report["calls"] <= LIMIT, trial.where


def check_answered(ended: Ended, where: str) -> None:
    assert ended.report["statuses"] == ["answered"], f"{where}: {ended.report}"
    answers = ended.report["answers"]
    assert answers == {
        f"q{number}": [
            [f"QUESTION{number} {word}!" for word in ("ALPHA", "BETA")],
            f"QUESTION{number}: QUESTION{number} ALPHA! QUESTION{number} BETA!!",
        ]
        for number in range(NUMBER)
    }, where


@pytest.mark.parametrize("question", [1, 7, 19])
def test_a_batch_killed_at_a_question_pays_nothing_twice_when_it_is_asked_again(
    spawn: Spawner, folder: Path, question: int
) -> None:
    trial = trial_at(folder / f"batch-{question}", spawn)
    assert trial.execute(kill_on=f"question-{question}", max_calls=LIMIT).killed
    resume(trial)
    received = trial.received
    check_answered(trial.execute(), "asked a third time")
    assert trial.received == received
    trial.remove()


@pytest.mark.parametrize(
    "point",
    [
        *("batch-entered-before", "batch-entered-uncommitted", "batch-entered-after"),
        *("lease-taken-after", "execution-begun-before", "execution-ended-before", "execution-ended-after"),
        *("call-asked-after", "request-after", "call-settled-after", "deliver-before", "finalize-end"),
    ],
)
def test_a_batch_killed_at_a_failpoint_pays_nothing_twice_when_it_is_asked_again(
    spawn: Spawner, folder: Path, point: str
) -> None:
    trial = trial_at(folder / f"batch-{point}", spawn)
    assert trial.execute(kill_on=point, max_calls=LIMIT).killed
    resume(trial)
    trial.remove()


def test_a_batch_killed_again_and_again_pays_nothing_twice(spawn: Spawner, folder: Path) -> None:
    trial = trial_at(folder / "batch-storm", spawn)
    in_flight = trial.in_flight()
    for question in (3, 9, 14):
        assert trial.execute(kill_on=f"question-{question}", max_calls=LIMIT).killed
        in_flight += trial.in_flight()
    check_answered(trial.execute(max_calls=LIMIT), trial.where)
    assert all(number <= 1 + in_flight[name] for name, number in trial.received.items())
    trial.remove()


def test_a_batch_with_real_kernels_killed_at_question_7_of_20_is_resumed(spawn: Spawner, folder: Path) -> None:
    trial = trial_at(folder / "batch-real", spawn, real=True)
    assert trial.execute(kill_on="question-7", max_calls=LIMIT).killed
    resume(trial)
    trial.remove()


def test_the_limit_of_a_batch_that_is_killed_again_and_again_is_never_exceeded(spawn: Spawner, folder: Path) -> None:
    trial = trial_at(folder / "batch-limit", spawn)
    for question in (2, 5, 7):
        assert trial.execute(kill_on=f"question-{question}", max_calls=40).killed
    ended = trial.execute(max_calls=40)
    assert ended.report["statuses"] == ["answered", "budget"]
    assert 20 < trial.received.total() <= ended.report["calls"] <= 40
    trial.remove()
