"""The journal and the budget: no call is paid for twice, and no limit is exceeded."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.state.budget import BudgetLedger, BudgetSpent, Limits
from durable_rlm.state.call_journal import Journal
from durable_rlm.state.call_keys import AnswerSet, call_key, content_key
from durable_rlm.state.call_records import Entry, Outcome
from durable_rlm.state.db.connection import Database
from durable_rlm.state.reservations import CostEstimate, Reservation
from durable_rlm.state.usage import Spending, Uncertain, UsageTotals, usual_output

ENTRY = Entry("1:abc:1", "llm", 1, 0, "m", "hash", Reservation(100, 50, 0.5))


async def test_a_settled_call_is_found_by_another_process(database: Database) -> None:
    journal = await Journal(database).of("t")
    await journal.open(ENTRY)
    assert (await Journal(database).of("t")).find(ENTRY.key) is None
    await journal.settle(ENTRY, Outcome(answer="h", input_tokens=10, output_tokens=5, cost=0.1))
    found = (await Journal(database).of("t")).find(ENTRY.key)
    assert found is not None and found.answer == "h"
    assert (await Journal(database).of("other")).find(ENTRY.key) is None


LONG = Entry("1:abc:1", "llm", 1, 0, "m", "hash", Reservation(270, 12_000, 12.27, input_cost=0.27))
"""A dollar per thousand tokens, and room for a long answer."""


async def test_a_request_with_unknown_outcome_has_a_likely_and_a_largest_cost(database: Database) -> None:
    journal = await Journal(database).of("t")
    await journal.open(LONG)
    spent = await Spending(database).by("t")
    assert (spent.model_calls, spent.tokens, spent.most_tokens) == (1, 1_270, 12_270)
    assert (spent.total_cost, spent.most_cost) == (pytest.approx(1.27), pytest.approx(12.27))


async def test_tokens_reserved_for_a_repair_are_not_part_of_the_likely_cost(database: Database) -> None:
    journal = await Journal(database).of("t")
    await journal.open(replace(LONG, reserved=Reservation(4_270, 12_000, 16.27, expected_input=270, input_cost=0.27)))
    spent = await Spending(database).by("t")
    assert (spent.tokens, spent.most_tokens, spent.most_cost) == (1_270, 16_270, 16.27)


async def test_a_likely_cost_never_exceeds_its_reservation(database: Database) -> None:
    await (await Journal(database).of("t")).open(ENTRY)
    spent = await Spending(database).by("t")
    assert (spent.tokens, spent.most_tokens, spent.total_cost) == (150, 150, 0.5)


async def test_a_killed_process_leaves_a_likely_cost_beside_that_of_the_later_answer(database: Database) -> None:
    await (await Journal(database).of("t")).open(LONG)
    again = await Journal(database).of("t")
    await again.open(LONG)
    await again.settle(LONG, Outcome(answer="h", input_tokens=250, output_tokens=5, cost=0.255))
    spent = await Spending(database).by("t")
    assert spent.model_calls == 2
    assert spent.tokens == 255 + 1_270
    assert spent.most_tokens == 255 + 12_270
    assert spent.total_cost == pytest.approx(0.255 + 1.27)


async def test_the_likely_output_covers_99_of_100_answers_of_the_run(database: Database) -> None:
    journal = await Journal(database).of("t")
    for number in range(1, 101):
        entry = replace(LONG, key=f"1:{number}:1")
        await journal.open(entry)
        await journal.settle(entry, Outcome(answer="h", input_tokens=0, output_tokens=20 * number, cost=0.0))
    await journal.open(LONG)
    assert (await Spending(database).by("t")).estimated_tokens == 270 + 1_980


async def test_attempts_with_a_known_outcome_leave_nothing_uncertain(database: Database) -> None:
    journal = await Journal(database).of("t")
    for _ in range(3):
        await journal.open(LONG)
    await journal.settle(LONG, Outcome(answer="h", known=3, input_tokens=10, output_tokens=5, cost=0.1))
    assert await Spending(database).by("t") == UsageTotals(3, 0, 10, 5, 0.1)


async def test_attempts_that_never_reached_the_server_do_not_count_as_requests(database: Database) -> None:
    journal = await Journal(database).of("t")
    for _ in range(3):
        await journal.open(LONG)
    await journal.settle(LONG, Outcome(error_kind="network", error="refused", known=0, unsent=3, cost=0.0))
    assert await Spending(database).by("t") == UsageTotals()


async def test_a_timed_out_attempt_before_the_answer_stays_uncertain(database: Database) -> None:
    journal = await Journal(database).of("t")
    for _ in range(2):
        await journal.open(LONG)
    await journal.settle(LONG, Outcome(answer="h", known=1, input_tokens=10, output_tokens=5, cost=0.1))
    spent = await Spending(database).by("t")
    assert (spent.model_calls, spent.input_tokens, spent.uncertain) == (
        2,
        10,
        Uncertain(1, 270, 12_000, 12_270, 12.27, 0.27),
    )


@given(outputs=st.lists(st.integers(1, 10_000), min_size=1, max_size=300))
def test_at_most_one_answer_in_a_hundred_is_longer_than_usual(outputs: list[int]) -> None:
    usual = usual_output(sorted(outputs))
    assert usual in outputs
    assert sum(one > usual for one in outputs) <= len(outputs) / 100


async def test_an_unknown_price_makes_the_cost_unknown(database: Database) -> None:
    journal = await Journal(database).of("t")
    entry = Entry("k", "llm", 1, 0, "m", "h", Reservation(1, 1, None))
    await journal.open(entry)
    await journal.settle(entry, Outcome(answer="h", cost=None))
    assert (await Spending(database).by("t")).cost is None


def ledger(**limits: float) -> BudgetLedger:
    return BudgetLedger(
        Limits.model_validate({"max_turns": 9, "max_calls": 100, **limits}), UsageTotals(), clock=lambda: 0.0
    )


def wanted(tokens_in: int, tokens_out: int, *, least: int | None = None, price: float = 0.0) -> CostEstimate:
    """Return a request for a reservation: `price` in dollars per token, of input and output alike."""
    return CostEstimate(tokens_in, tokens_out, tokens_out if least is None else least, lambda i, o: (i + o) * price)


ONE = wanted(1, 1)


async def test_one_request_is_kept_for_a_last_turn() -> None:
    account = ledger(max_calls=3)
    await account.reserve(ONE)
    await account.reserve(ONE)
    assert account.exhausted() == "calls"
    with pytest.raises(BudgetSpent, match="--max-calls"):
        await account.reserve(ONE)
    await account.reserve(ONE, last_turn=True)
    with pytest.raises(BudgetSpent):
        await account.reserve(ONE, last_turn=True)


@given(
    requests=st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.floats(0, 0.05)), max_size=60
    ),
    share=st.floats(0, 1),
    at_once=st.integers(1, 8),
)
def test_reservations_never_exceed_a_limit_with_any_number_in_flight(
    requests: list[tuple[int, int, int, float]], share: float, at_once: int
) -> None:
    async def run() -> None:
        account = ledger(max_tokens=500, max_cost=5.0)
        slots = asyncio.Semaphore(at_once)

        async def request(tokens_in: int, tokens_out: int, least: int, price: float) -> None:
            async with slots:
                try:
                    held = await account.reserve(wanted(tokens_in, tokens_out, least=least, price=price))
                except BudgetSpent:
                    return
                assert min(least, tokens_out) <= held.output_tokens <= tokens_out
                await asyncio.sleep(0)
                used = int(held.output_tokens * share)
                account.settle(held, Reservation(tokens_in, used, (tokens_in + used) * price))
            assert account.spent.tokens <= 500
            assert (account.spent.cost or 0) <= 5.0 + 1e-9
            assert account.spent.model_calls <= 99

        await asyncio.gather(*(request(*one) for one in requests))

    asyncio.run(run())


async def test_a_request_whose_input_alone_exceeds_the_cost_limit_is_refused() -> None:
    with pytest.raises(BudgetSpent):
        await ledger(max_cost=1.0).reserve(wanted(100, 10, least=0, price=0.0101))


async def test_a_request_waits_for_reservations_that_others_may_return() -> None:
    account = ledger(max_tokens=100)
    first = await account.reserve(wanted(10, 70))
    second = asyncio.ensure_future(account.reserve(wanted(10, 60)))
    await asyncio.sleep(0)
    assert not second.done()
    account.settle(first, Reservation(10, 5, 0.0))
    assert (await second).output_tokens == 60


async def test_a_request_that_can_never_fit_does_not_wait() -> None:
    account = ledger(max_tokens=100)
    await account.reserve(wanted(10, 70))
    with pytest.raises(BudgetSpent, match="tokens"):
        await account.reserve(wanted(90, 20))


async def test_the_output_limit_shrinks_to_the_remaining_budget_but_not_below_the_minimum() -> None:
    account = ledger(max_tokens=100)
    assert (await account.reserve(wanted(40, 1000, least=20))).output_tokens == 60
    account = ledger(max_cost=1.0)
    assert (await account.reserve(wanted(40, 1000, least=20, price=0.01))).output_tokens == 60
    account = ledger(max_cost=0.5)
    with pytest.raises(BudgetSpent, match="--max-cost"):
        await account.reserve(wanted(40, 1000, least=20, price=0.01))


async def test_the_needs_of_a_last_turn_are_kept_back() -> None:
    account = ledger(max_tokens=1000)
    account.keep(wanted(100, 200))
    held = await account.reserve(wanted(0, 1000, least=1))
    assert held.output_tokens == 700
    account.settle(held, None)
    with pytest.raises(BudgetSpent):
        await account.reserve(ONE)
    assert (await account.reserve(wanted(100, 200), last_turn=True)).output_tokens == 200


async def test_a_small_budget_is_not_kept_back_entirely() -> None:
    account = ledger(max_tokens=1000)
    account.keep(wanted(400, 4000))
    await account.reserve(wanted(400, 1000, least=100))


async def test_a_sub_rlm_spends_from_its_callers_budget() -> None:
    top = ledger(max_calls=4)
    child = top.below(UsageTotals())
    grandchild = child.below(UsageTotals())
    held = await grandchild.reserve(ONE)
    grandchild.settle(held, Reservation(1, 1, 0.0))
    await child.reserve(ONE)
    await top.reserve(ONE)
    assert (top.spent.model_calls, child.spent.model_calls, grandchild.spent.model_calls) == (1, 1, 1)
    for account in (top, child, grandchild):
        assert account.exhausted() == "calls"
        assert account.counted.model_calls == 1
    with pytest.raises(BudgetSpent):
        await grandchild.reserve(ONE, last_turn=True)  # the last request is kept for the top run
    await top.reserve(ONE, last_turn=True)


async def test_spending_before_a_fork_counts() -> None:
    limits = Limits(max_turns=9, max_calls=10)
    account = BudgetLedger(limits, UsageTotals(), before=UsageTotals(model_calls=9), clock=lambda: 0.0)
    with pytest.raises(BudgetSpent):
        await account.reserve(ONE)
    assert account.spent.model_calls == 0


async def test_a_request_with_a_lost_answer_counts_as_likely() -> None:
    account = ledger(max_tokens=20_000, max_cost=20.0)
    held = await account.reserve(wanted(270, 12_000, price=0.001))
    account.settle(held, None)
    assert (account.counted.tokens, account.counted.cost) == (1_270, pytest.approx(1.27))
    assert (await account.reserve(wanted(270, 12_000))).output_tokens == 12_000


async def test_with_a_strict_budget_a_lost_request_counts_as_its_whole_reservation() -> None:
    account = ledger(max_tokens=20_000, max_cost=20.0, strict_budget=True)
    held = await account.reserve(wanted(270, 12_000, price=0.001))
    account.settle(held, None)
    assert (account.counted.tokens, account.counted.cost) == (12_270, pytest.approx(12.27))
    with pytest.raises(BudgetSpent, match="tokens"):
        await account.reserve(wanted(270, 12_000))


async def test_the_likely_cost_follows_the_answers_of_the_whole_tree() -> None:
    account = ledger()
    child = account.below(UsageTotals())
    lost = await child.reserve(wanted(0, 12_000))
    child.settle(lost, None)
    answered = await child.reserve(wanted(0, 12_000))
    child.settle(answered, Reservation(0, 3_000, 0.0))
    assert account.counted.tokens == 3_000 + 3_000
    assert child.spent.tokens == account.spent.tokens


def test_a_raised_limit_is_validated() -> None:
    limits = Limits(max_turns=1, max_calls=1)
    assert limits.raised({"max_turns": 5, "max_cost": None}).max_turns == 5


def test_call_keys_depend_on_content_and_occurrence() -> None:
    same = content_key("llm", "p", "m", None)
    assert same == content_key("llm", "p", "m", None)
    assert len({same, content_key("rlm", "p", "m", None), content_key("llm", "q", "m", None)}) == 3
    assert same == content_key("llm", "p", "m", None, None, None), "what is not given adds nothing"
    limited = [content_key("llm", "p", "m", None, max_tokens=number) for number in (1, 2)]
    assert len({same, *limited, content_key("llm", "p", "m", None, "1")}) == 4
    assert call_key(1, same, 1) != call_key(1, same, 2) != call_key(2, same, 2)


@given(st.permutations(list(range(8))))
def test_the_hash_of_a_set_of_answers_does_not_depend_on_their_order(order: list[int]) -> None:
    straight, shuffled = AnswerSet(), AnswerSet()
    for n in range(8):
        straight.add(str(n), f"answer {n}")
    for n in order:
        shuffled.add(str(n), f"answer {n}")
    assert straight.digest == shuffled.digest
    shuffled.add("0", "answer 0")
    assert straight.digest != shuffled.digest
