"""The account of a batch: what its runs reserve and keep back together."""

import asyncio

import pytest

from durable_rlm.state.batch_budget import BatchLedger, limits_of_batch
from durable_rlm.state.budget import BudgetLedger, BudgetSpent, Limits
from durable_rlm.state.reservations import CostEstimate, Reservation
from durable_rlm.state.settings import RunSettings
from durable_rlm.state.usage import UsageTotals

REQUEST = CostEstimate(100, 100, 10, lambda tokens_in, tokens_out: (tokens_in + tokens_out) / 1000)
"""At most 200 tokens and 20 cents."""


def batch(**limits: float) -> BatchLedger:
    return BatchLedger(Limits.model_validate({"max_turns": 30, "max_calls": 10_000, **limits}))


def member(shared: BatchLedger, **limits: float) -> BudgetLedger:
    own = Limits.model_validate({"max_turns": 30, "max_calls": 10_000, **limits})
    return BudgetLedger(own, UsageTotals(), shared=shared)


def test_only_limits_that_were_set_hold_for_all_questions_together() -> None:
    settings = RunSettings(max_calls=50, max_cost=2.0, max_time=60.0)
    limits = limits_of_batch(settings, {"max_cost"})
    assert (limits.max_cost, limits.max_time, limits.max_tokens) == (2.0, None, None) and limits.max_calls > 10**9


async def test_two_runs_never_spend_more_dollars_than_both_may() -> None:
    shared = batch(max_cost=1.0)
    runs = [member(shared, max_cost=1.0) for _ in range(2)]
    granted = 0
    with pytest.raises(BudgetSpent, match=r"\$1"):
        while True:
            run = runs[granted % 2]
            reserved = await run.reserve(REQUEST)
            run.settle(reserved, Reservation(100, reserved.output_tokens, reserved.cost))
            granted += 1
    spent = sum(run.spent.cost or 0.0 for run in runs)
    assert spent == pytest.approx(shared.spent.cost) and 0.8 < spent <= 1.0


async def test_a_request_waits_for_those_of_other_runs_and_gets_what_they_leave() -> None:
    shared = batch(max_tokens=300)
    first, second = member(shared, max_tokens=300), member(shared, max_tokens=300)
    held = await first.reserve(REQUEST)
    waiting = asyncio.create_task(second.reserve(REQUEST))
    await asyncio.sleep(0)
    assert not waiting.done()
    first.settle(held, Reservation(50, 10, 0.06))
    assert (await waiting).output_tokens == 100


async def test_a_last_turn_of_each_run_is_kept_back_from_the_others() -> None:
    shared = batch(max_calls=6)
    first, second = member(shared), member(shared)
    for run in (first, second):
        run.keep(REQUEST)
    for _ in range(4):
        second.settle(await second.reserve(REQUEST), Reservation(1, 1, 0.0))
    for run in (first, second):
        with pytest.raises(BudgetSpent):
            await run.reserve(REQUEST)
    assert (first.exhausted(), shared.spent_for_a_new_run()) == ("calls", "calls")
    for run in (first, second):
        run.settle(await run.reserve(REQUEST, last_turn=True), Reservation(1, 1, 0.0))
    with pytest.raises(BudgetSpent):
        await first.reserve(REQUEST, last_turn=True)
    assert shared.spent.model_calls == 6


async def test_the_amount_kept_back_for_a_run_that_has_ended_is_there_for_others() -> None:
    shared = batch(max_calls=4)
    first, second = member(shared), member(shared)
    for run in (first, second):
        run.keep(REQUEST)
    for _ in range(2):
        second.settle(await second.reserve(REQUEST), Reservation(1, 1, 0.0))
    assert second.exhausted() == "calls"
    first.close()
    assert second.exhausted() is None
    second.settle(await second.reserve(REQUEST), Reservation(1, 1, 0.0))


async def test_a_child_of_a_run_reserves_with_its_batch_as_well() -> None:
    shared = batch(max_calls=1)
    child = member(shared).below(UsageTotals())
    child.settle(await child.reserve(REQUEST), Reservation(1, 1, 0.0))
    assert shared.spent.model_calls == 1 and child.exhausted() == "calls"


async def test_a_request_that_was_not_sent_or_has_no_answer_counts_for_all_as_it_does_for_its_run() -> None:
    shared = batch(max_calls=10)
    run = member(shared)
    run.give_back(await run.reserve(REQUEST))
    assert shared.spent.model_calls == 0
    run.settle(await run.reserve(REQUEST), None)
    assert shared.spent.uncertain.calls == 1 == shared.spent.model_calls


def test_the_time_that_is_left_is_the_least_of_both() -> None:
    now = [0.0]
    shared = BatchLedger(Limits(max_turns=1, max_calls=1, max_time=10.0), clock=lambda: now[0])
    run = BudgetLedger(
        Limits(max_turns=1, max_calls=1, max_time=60.0), UsageTotals(), shared=shared, clock=lambda: now[0]
    )
    now[0] = 4.0
    assert (run.seconds_left, run.below(UsageTotals()).seconds_left) == (6.0, 6.0)
