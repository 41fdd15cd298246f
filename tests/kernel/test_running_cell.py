"""The running cell on the graph's side: refusals are counted, and a cell that swallows them is interrupted once."""

import pytest

from durable_rlm.kernel.cell import MOST_REFUSALS, RunningCell
from durable_rlm.kernel.results import CellResult
from durable_rlm.kernel.session import Answered, Failed, PostedCall

SPENT = Failed("budget", "the budget is spent")


class Recorded:
    """A cell that computes, and the interrupts that it got."""

    def __init__(self) -> None:
        self.interrupts = 0
        self.cell = RunningCell(300.0, self._interrupt, lambda: None)
        self.cell.start()
        self.posted = 0

    def _interrupt(self) -> None:
        self.interrupts += 1

    def post(self, calls: int = 1) -> list[int]:
        """Post calls together, and return their ids."""
        first = self.posted + 1
        self.posted += calls
        ids = list(range(first, self.posted + 1))
        self.cell.post([PostedCall(number, "llm", "q", rest=self.posted - number + 1) for number in ids])
        return ids

    def refuse(self, ids: list[int]) -> None:
        """Refuse calls."""
        for number in ids:
            self.cell.answered(number, SPENT)


@pytest.fixture
async def recorded() -> Recorded:
    return Recorded()


async def test_one_refusal_after_another_interrupts_a_cell_once(recorded: Recorded) -> None:
    for _ in range(MOST_REFUSALS - 1):
        recorded.refuse(recorded.post())
    assert recorded.interrupts == 0
    for _ in range(MOST_REFUSALS):
        recorded.refuse(recorded.post())
    assert recorded.interrupts == 1


async def test_a_batch_counts_once_even_when_its_calls_arrive_in_parts(recorded: Recorded) -> None:
    for _ in range(MOST_REFUSALS - 1):
        first = recorded.posted + 1
        recorded.posted += 100
        for number in range(first, recorded.posted + 1):
            recorded.cell.post([PostedCall(number, "llm", "q", rest=recorded.posted - number + 1)])
            recorded.refuse([number])
    assert recorded.interrupts == 0
    recorded.refuse(recorded.post(100))
    assert recorded.interrupts == 1


async def test_calls_that_were_posted_before_a_refusal_was_delivered_count_with_it(recorded: Recorded) -> None:
    waiting = [recorded.post() for _ in range(2 * MOST_REFUSALS)]
    for ids in waiting:
        recorded.refuse(ids)
    assert recorded.interrupts == 0


async def test_answers_and_failures_of_models_are_no_refusals(recorded: Recorded) -> None:
    for _ in range(MOST_REFUSALS):
        recorded.cell.answered(recorded.post()[0], Failed("model", "it broke"))
        recorded.cell.answered(recorded.post()[0], Answered("fine"))
    assert recorded.interrupts == 0


async def test_a_refusal_after_the_end_of_the_cell_interrupts_nothing(recorded: Recorded) -> None:
    for _ in range(MOST_REFUSALS - 1):
        recorded.refuse(recorded.post())
    left_over = recorded.post()
    recorded.cell.end(CellResult("ok"))
    recorded.refuse(left_over)
    assert recorded.interrupts == 0
