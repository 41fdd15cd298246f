"""The gates `cost>X` and `budget`: approval is requested before money is spent, and when a budget is spent."""

from typing import Any

import pytest
from langgraph.types import Command

from durable_rlm.graph.executor import config_of
from durable_rlm.state.errors import UsageError
from tests.nodes.approval.waiting_run import APPROVE, Reviewed, edit, names, reject, requests, respond

PRICE = (0.0, 1.0)
"""Dollars for a million input and output tokens: the output limit of a sub-call costs 0.004096 dollars."""


@pytest.fixture
def priced(reviewed: Reviewed, monkeypatch: pytest.MonkeyPatch) -> Reviewed:
    """Give scripted models a price: they cost nothing, but here each output token costs a millionth of a dollar."""

    def cost(name: str, tokens_in: int, tokens_out: int, **rest: object) -> float:
        del name, tokens_in, rest
        return tokens_out / 1_000_000

    for module in ("runtime.output_limits", "models.client"):
        monkeypatch.setattr(f"durable_rlm.nodes.{module}.cost_usd", cost)
    return reviewed


async def test_nothing_more_is_spent_before_a_reviewer_has_approved_it(priced: Reviewed) -> None:
    run = await priced.start(["x = llm_query('a')", "FINAL(x)"], "cost>0.003")
    # A turn may cost 0.004 dollars, so approval is requested before it is sent.
    assert (names(run), priced.asked.roots) == (["spend"], [])
    args = requests(run)[0]["args"]
    assert args == {"asked_at_usd": 0.003, "spent_usd": 0.0, "wanted_usd": 0.004096, "up_to_usd": 0.006}
    run = await priced.decide(APPROVE)
    # Two steps were approved. This is enough for the whole run, which uses little of its reservations.
    assert (run.status, run.answer) == ("answered", "A")


async def test_a_fork_asks_again_before_it_spends_what_the_other_run_was_allowed(priced: Reviewed) -> None:
    await priced.start(["x = llm_query('a')", "FINAL(x)"], "cost>0.003")
    async with priced.open() as runner:
        answer: Any = Command(resume={"decisions": [APPROVE]})
        await runner.graph.ainvoke(answer, config_of(priced.thread), interrupt_after=["review"])
        step = (await runner.queries.steps(priced.thread))[-1]["step"]
        await runner.fork(priced.thread, step, into="fork")
        fork = await runner.resume("fork")
        assert (names(fork), requests(fork)[0]["thread_id"], priced.asked.roots) == (["spend"], "fork", [])
        assert (await runner.decide("fork", [APPROVE])).answer == "A"


async def test_a_sub_call_beyond_the_approved_cost_waits_and_an_edit_sets_the_approved_cost(priced: Reviewed) -> None:
    cell = "x = llm_query_batched(['word ' * 2000] * 4)\ny = len(x)"
    run = await priced.start([cell, "FINAL(y)"], "cost>0.02", sub="return 'w ' * 4000")
    assert names(run) == ["spend"]
    spent = requests(run)[0]["args"]["spent_usd"]
    assert spent <= 0.02
    with pytest.raises(UsageError, match="spent already"):
        await priced.decide(edit(up_to_usd=0.0001))
    run = await priced.decide(edit(up_to_usd=1))
    assert (run.status, run.answer) == ("answered", 4)


async def test_a_run_whose_spending_is_rejected_ends_and_can_be_resumed(priced: Reviewed) -> None:
    await priced.start(["FINAL(1)"], "cost>0.003")
    run = await priced.decide(reject("too dear"))
    assert (run.status, run.exit_code) == ("budget", 4)
    assert "did not allow more than $0.003 to be spent: too dear" in str(run.error)
    run = await priced.resume(max_turns=40)
    assert names(run) == ["spend"], "approval is requested again before anything is spent"
    assert (await priced.decide(APPROVE)).answer == 1


async def test_a_spent_turn_limit_requests_approval_instead_of_ending_the_run(reviewed: Reviewed) -> None:
    run = await reviewed.start(["x = 1", "x = 2", "FINAL(x)"], "budget", max_turns=2)
    args = requests(run)[0]["args"]
    assert (names(run), args["resource"], args["limit"]) == (["budget"], "turns", 2)
    with pytest.raises(UsageError, match="does not raise"):
        await reviewed.decide(edit(limit=2))
    run = await reviewed.decide(edit(limit=5))
    assert (run.status, run.answer) == ("answered", 2)
    async with reviewed.open() as runner:
        assert (await runner.queries.about(reviewed.thread))["limits"]["max_turns"] == 5


async def test_a_response_grants_the_last_turn_and_its_words_reach_the_model(reviewed: Reviewed) -> None:
    await reviewed.start(["x = 1", "FINAL(x)"], "budget", max_turns=2)
    run = await reviewed.decide(respond("just say what you have"))
    assert (run.status, run.answer) == ("answered", 1)
    assert "just say what you have" in reviewed.asked.roots[1]


async def test_a_rejection_ends_the_run_without_another_model_request(reviewed: Reviewed) -> None:
    await reviewed.start(["x = 1", "FINAL(x)"], "budget", max_turns=2)
    run = await reviewed.decide(reject("enough"))
    assert (run.status, len(reviewed.asked.roots)) == ("budget", 1)
    assert "A reviewer stopped the run: enough" in str(run.error)
    run = await reviewed.resume(max_turns=3)
    assert (run.status, run.answer) == ("answered", 1)


async def test_calls_beyond_the_budget_wait_in_mid_cell_and_are_sent_after_it_is_raised(reviewed: Reviewed) -> None:
    cell = "x = llm_query_batched([f'q{i}' for i in range(8)])"
    run = await reviewed.start([cell, "FINAL(x)"], "budget", max_calls=5)
    args = requests(run)[0]["args"]
    assert (args["resource"], args["limit"], args["waiting_calls"]) == ("calls", 5, 5)
    run = await reviewed.decide(edit(limit=50))
    assert run.answer == [f"Q{i}" for i in range(8)]
    assert len(reviewed.asked.prompts) == 8, "nothing was paid twice"


async def test_an_approval_without_a_new_limit_raises_budget_exceeded_in_the_waiting_calls(reviewed: Reviewed) -> None:
    cell = """
        try:
            x = llm_query_batched(['a', 'b', 'c', 'd'])
        except BudgetExceeded as over:
            x = sum(map(bool, over.partial))
    """
    await reviewed.start([cell, "FINAL(x)"], "budget", max_calls=4)
    run = await reviewed.decide(APPROVE)
    assert (run.status, run.answer) == ("answered", 2)


async def test_a_rejection_in_mid_cell_keeps_the_answers_that_were_paid(reviewed: Reviewed) -> None:
    cell = "x = llm_query_batched(['a', 'b', 'c', 'd'])"
    await reviewed.start([cell, cell, "FINAL(x)"], "budget", max_calls=4)
    run = await reviewed.decide(reject())
    assert run.status == "budget"
    async with reviewed.open() as runner:
        assert len([call for call in await runner.queries.calls(reviewed.thread) if call.answer]) == 2


async def test_a_cost_gate_needs_a_price(reviewed: Reviewed) -> None:
    with pytest.raises(UsageError, match=r"--approve cost>USD needs a price .* openai:unknown-1"):
        await reviewed.run("openai:unknown-1", "cost>1", base_url="http://127.0.0.1:9/v1")


async def test_a_resume_that_raises_the_requested_limit_counts_as_the_decision(reviewed: Reviewed) -> None:
    await reviewed.start(["x = 1", "FINAL(x)"], "budget", max_turns=2)
    assert (await reviewed.resume(max_calls=5000)).status == "paused", "the request is about another limit"
    run = await reviewed.resume(max_turns=4)
    assert (run.status, run.answer) == ("answered", 1)
