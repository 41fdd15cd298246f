"""The journal and the ledger: nothing is paid twice, and no limit is passed."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.state.database import Database
from durable_rlm.state.journal import Entry, Journal, Outcome
from durable_rlm.state.keys import AnswerSet, call_key, content_key
from durable_rlm.state.ledger import BudgetSpent, Ledger, Limits, Reservation, Wanted
from durable_rlm.state.spending import Spending, Spent

ENTRY = Entry("1:abc:1", "llm", 1, 0, "m", "hash", input_tokens=100, output_tokens=50, cost=0.5)


async def test_a_settled_call_is_found_again_by_another_process(database: Database) -> None:
    journal = await Journal(database).of("t")
    await journal.open(ENTRY)
    assert (await Journal(database).of("t")).find(ENTRY.key) is None
    await journal.settle(ENTRY, Outcome(answer="h", input_tokens=10, output_tokens=5, cost=0.1))
    found = (await Journal(database).of("t")).find(ENTRY.key)
    assert found is not None and found.answer == "h"
    assert (await Journal(database).of("other")).find(ENTRY.key) is None


async def test_a_request_with_unknown_outcome_counts_with_what_was_reserved(database: Database) -> None:
    journal = await Journal(database).of("t")
    await journal.open(ENTRY)
    assert await Spending(database).by("t") == Spent(1, 0, 100, 50, 0.5)


async def test_what_a_killed_process_reserved_stays_counted(database: Database) -> None:
    await (await Journal(database).of("t")).open(ENTRY)
    again = await Journal(database).of("t")
    await again.open(ENTRY)
    await again.settle(ENTRY, Outcome(answer="h", input_tokens=10, output_tokens=5, cost=0.1))
    spent = await Spending(database).by("t")
    assert (spent.model_calls, spent.input_tokens, spent.output_tokens) == (2, 110, 55)
    assert spent.cost == pytest.approx(0.6)


async def test_retries_count_as_requests_but_not_as_tokens(database: Database) -> None:
    journal = await Journal(database).of("t")
    for _ in range(3):
        await journal.open(ENTRY)
    await journal.settle(ENTRY, Outcome(answer="h", attempts=3, input_tokens=10, output_tokens=5, cost=0.1))
    spent = await Spending(database).by("t")
    assert (spent.model_calls, spent.input_tokens, spent.output_tokens) == (3, 10, 5)


async def test_an_unknown_price_makes_the_cost_unknown(database: Database) -> None:
    journal = await Journal(database).of("t")
    entry = Entry("k", "llm", 1, 0, "m", "h", 1, 1, cost=None)
    await journal.open(entry)
    await journal.settle(entry, Outcome(answer="h", cost=None))
    assert (await Spending(database).by("t")).cost is None


def ledger(**limits: float) -> Ledger:
    return Ledger(Limits.model_validate({"max_turns": 9, "max_calls": 100, **limits}), Spent(), clock=lambda: 0.0)


def wanted(tokens_in: int, tokens_out: int, *, least: int | None = None, price: float = 0.0) -> Wanted:
    """`price` in dollars per token, of input and output alike."""
    return Wanted(tokens_in, tokens_out, tokens_out if least is None else least, lambda i, o: (i + o) * price)


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
def test_reservations_never_pass_a_limit_however_many_are_in_flight(
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


async def test_a_request_is_refused_whose_input_alone_costs_a_little_too_much() -> None:
    with pytest.raises(BudgetSpent):
        await ledger(max_cost=1.0).reserve(wanted(100, 10, least=0, price=0.0101))


async def test_a_request_waits_for_what_others_may_give_back() -> None:
    account = ledger(max_tokens=100)
    first = await account.reserve(wanted(10, 70))
    second = asyncio.ensure_future(account.reserve(wanted(10, 60)))
    await asyncio.sleep(0)
    assert not second.done()
    account.settle(first, Reservation(10, 5, 0.0))
    assert (await second).output_tokens == 60


async def test_a_request_that_cannot_fit_whatever_others_give_back_does_not_wait() -> None:
    account = ledger(max_tokens=100)
    await account.reserve(wanted(10, 70))
    with pytest.raises(BudgetSpent, match="tokens"):
        await account.reserve(wanted(90, 20))


async def test_the_output_limit_shrinks_to_what_is_left_but_not_below_what_is_needed() -> None:
    account = ledger(max_tokens=100)
    assert (await account.reserve(wanted(40, 1000, least=20))).output_tokens == 60
    account = ledger(max_cost=1.0)
    assert (await account.reserve(wanted(40, 1000, least=20, price=0.01))).output_tokens == 60
    account = ledger(max_cost=0.5)
    with pytest.raises(BudgetSpent, match="--max-cost"):
        await account.reserve(wanted(40, 1000, least=20, price=0.01))


async def test_what_a_last_turn_takes_is_kept_back_for_it() -> None:
    account = ledger(max_tokens=1000)
    account.keep(wanted(100, 200))
    held = await account.reserve(wanted(0, 1000, least=1))
    assert held.output_tokens == 700
    account.settle(held, None)
    with pytest.raises(BudgetSpent):
        await account.reserve(ONE)
    assert (await account.reserve(wanted(100, 200), last_turn=True)).output_tokens == 200


async def test_a_small_budget_is_not_all_kept_back() -> None:
    account = ledger(max_tokens=1000)
    account.keep(wanted(400, 4000))
    await account.reserve(wanted(400, 1000, least=100))


async def test_a_child_run_spends_out_of_the_account_above_it() -> None:
    top = ledger(max_calls=4)
    child = top.below(Spent())
    grandchild = child.below(Spent())
    held = await grandchild.reserve(ONE)
    grandchild.settle(held, Reservation(1, 1, 0.0))
    await child.reserve(ONE)
    await top.reserve(ONE)
    assert (top.spent.model_calls, child.spent.model_calls, grandchild.spent.model_calls) == (1, 1, 1)
    for account in (top, child, grandchild):
        assert account.exhausted() == "calls"
        assert account.counted.model_calls == 1
    with pytest.raises(BudgetSpent):
        await grandchild.reserve(ONE, last_turn=True)  # the one that is kept is the top run's
    await top.reserve(ONE, last_turn=True)


async def test_what_was_spent_before_a_fork_counts() -> None:
    limits = Limits(max_turns=9, max_calls=10)
    account = Ledger(limits, Spent(), before=Spent(model_calls=9), clock=lambda: 0.0)
    with pytest.raises(BudgetSpent):
        await account.reserve(ONE)
    assert account.spent.model_calls == 0


def test_a_raised_limit_is_validated() -> None:
    limits = Limits(max_turns=1, max_calls=1)
    assert limits.raised({"max_turns": 5, "max_cost": None}).max_turns == 5


def test_keys_are_content_and_occurrence() -> None:
    same = content_key("llm", "p", "m", None)
    assert same == content_key("llm", "p", "m", None)
    assert len({same, content_key("rlm", "p", "m", None), content_key("llm", "q", "m", None)}) == 3
    assert call_key(1, same, 1) != call_key(1, same, 2) != call_key(2, same, 2)


@given(st.permutations(list(range(8))))
def test_the_set_of_answers_has_no_order(order: list[int]) -> None:
    straight, shuffled = AnswerSet(), AnswerSet()
    for n in range(8):
        straight.add(str(n), f"answer {n}")
    for n in order:
        shuffled.add(str(n), f"answer {n}")
    assert straight.digest == shuffled.digest
    shuffled.add("0", "answer 0")
    assert straight.digest != shuffled.digest
