"""The journal and the ledger: nothing is paid twice, and no limit is passed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.state.database import Database
from durable_rlm.state.journal import Entry, Journal, Outcome, Spent
from durable_rlm.state.keys import AnswerSet, call_key, content_key
from durable_rlm.state.ledger import BudgetSpent, Ledger, Limits, Reservation

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
    assert await Journal(database).spent("t") == Spent(1, 0, 100, 50, 0.5)


async def test_what_a_killed_process_reserved_stays_counted(database: Database) -> None:
    await (await Journal(database).of("t")).open(ENTRY)
    again = await Journal(database).of("t")
    await again.open(ENTRY)
    await again.settle(ENTRY, Outcome(answer="h", input_tokens=10, output_tokens=5, cost=0.1))
    spent = await Journal(database).spent("t")
    assert (spent.model_calls, spent.input_tokens, spent.output_tokens) == (2, 110, 55)
    assert spent.cost == pytest.approx(0.6)


async def test_retries_count_as_requests_but_not_as_tokens(database: Database) -> None:
    journal = await Journal(database).of("t")
    for _ in range(3):
        await journal.open(ENTRY)
    await journal.settle(ENTRY, Outcome(answer="h", attempts=3, input_tokens=10, output_tokens=5, cost=0.1))
    spent = await Journal(database).spent("t")
    assert (spent.model_calls, spent.input_tokens, spent.output_tokens) == (3, 10, 5)


async def test_an_unknown_price_makes_the_cost_unknown(database: Database) -> None:
    journal = await Journal(database).of("t")
    entry = Entry("k", "llm", 1, 0, "m", "h", 1, 1, cost=None)
    await journal.open(entry)
    await journal.settle(entry, Outcome(answer="h", cost=None))
    assert (await Journal(database).spent("t")).cost is None


def ledger(**limits: float) -> Ledger:
    return Ledger(Limits.model_validate({"max_turns": 9, "max_calls": 100, **limits}), Spent(), clock=lambda: 0.0)


def test_one_request_is_kept_for_a_last_turn() -> None:
    account = ledger(max_calls=3)
    one = Reservation(1, 1, 0.0)
    account.reserve(one)
    account.reserve(one)
    assert account.exhausted() == "calls"
    with pytest.raises(BudgetSpent, match="--max-calls"):
        account.reserve(one)
    account.reserve(one, last_turn=True)
    with pytest.raises(BudgetSpent):
        account.reserve(one, last_turn=True)


@given(
    wanted=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.floats(0, 1)), max_size=60),
    share=st.floats(0, 1),
)
def test_reservations_never_pass_a_limit(wanted: list[tuple[int, int, float]], share: float) -> None:
    account = ledger(max_tokens=500, max_cost=5.0)
    for tokens_in, tokens_out, cost in wanted:
        reservation = Reservation(tokens_in, tokens_out, cost)
        try:
            account.reserve(reservation)
        except BudgetSpent:
            continue
        used = Reservation(int(tokens_in * share), int(tokens_out * share), cost * share)
        account.settle(reservation, used)
        assert account.spent.tokens <= 500
        assert (account.spent.cost or 0) <= 5.0 + 1e-9
        assert account.spent.model_calls <= 99


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
