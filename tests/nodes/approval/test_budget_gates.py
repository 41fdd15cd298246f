"""The gates `cost>X` and `budget`: money is asked about before it is spent, and a spent budget is not the end."""

import pytest

from durable_rlm.state.errors import UsageError
from tests.nodes.approval.waiting_run import APPROVE, Reviewed, edit, names, reject, requests, respond

PRICE = (0.0, 1.0)
"""A dollar for a million tokens that come out: the output limit of a sub-call is 0.008192 dollars."""


@pytest.fixture
def priced(reviewed: Reviewed, monkeypatch: pytest.MonkeyPatch) -> Reviewed:
    """Scripted models cost nothing; here each output token costs a millionth of a dollar."""

    def cost(name: str, tokens_in: int, tokens_out: int, *, cached_tokens: int = 0, price: object = None) -> float:
        del name, tokens_in, cached_tokens, price
        return tokens_out / 1_000_000

    for module in ("sub_calls.model_call", "approval.requests", "runtime.output_limits", "models.client"):
        monkeypatch.setattr(f"durable_rlm.nodes.{module}.cost_usd", cost)
    return reviewed


async def test_nothing_more_is_spent_before_a_person_has_allowed_it(priced: Reviewed) -> None:
    run = await priced.start(["x = llm_query('a')", "FINAL(x)"], "cost>0.01")
    # A turn may take 0.016 dollars: it is asked about before it is sent.
    assert (names(run), priced.asked.roots) == (["spend"], [])
    args = requests(run)[0]["args"]
    assert args == {"asked_at_usd": 0.01, "spent_usd": 0.0, "wanted_usd": 0.016384, "up_to_usd": 0.02}
    run = await priced.decide(APPROVE)
    # Allowed were two steps of a cent, which is enough for everything, for little of what may be is used.
    assert (run.status, run.answer) == ("answered", "A")


async def test_a_sub_call_that_would_spend_more_waits_and_an_edit_says_how_much_may_be_spent(priced: Reviewed) -> None:
    cell = "x = llm_query_batched(['word ' * 2000] * 4)\ny = len(x)"
    run = await priced.start([cell, "FINAL(y)"], "cost>0.02", sub="return 'w ' * 4000")
    assert names(run) == ["spend"]
    spent = requests(run)[0]["args"]["spent_usd"]
    assert spent <= 0.02
    with pytest.raises(UsageError, match="spent already"):
        await priced.decide(edit(up_to_usd=0.0001))
    run = await priced.decide(edit(up_to_usd=1))
    assert (run.status, run.answer) == ("answered", 4)


async def test_spending_that_is_not_allowed_ends_the_run_and_it_can_be_gone_on_with(priced: Reviewed) -> None:
    await priced.start(["FINAL(1)"], "cost>0.01")
    run = await priced.decide(reject("too dear"))
    assert (run.status, run.exit_code) == ("budget", 4)
    assert "did not allow more than $0.01 to be spent: too dear" in str(run.error)
    run = await priced.resume(max_turns=40)
    assert names(run) == ["spend"], "it asks again before it spends"
    assert (await priced.decide(APPROVE)).answer == 1


async def test_spent_turns_are_asked_about_instead_of_ending_the_run(reviewed: Reviewed) -> None:
    run = await reviewed.start(["x = 1", "x = 2", "FINAL(x)"], "budget", max_turns=2)
    args = requests(run)[0]["args"]
    assert (names(run), args["resource"], args["limit"]) == (["budget"], "turns", 2)
    with pytest.raises(UsageError, match="does not raise"):
        await reviewed.decide(edit(limit=2))
    run = await reviewed.decide(edit(limit=5))
    assert (run.status, run.answer) == ("answered", 2)
    async with reviewed.open() as runner:
        assert (await runner.queries.about(reviewed.thread))["limits"]["max_turns"] == 5


async def test_answer_now_gives_the_last_turn_and_words_reach_the_model(reviewed: Reviewed) -> None:
    await reviewed.start(["x = 1", "FINAL(x)"], "budget", max_turns=2)
    run = await reviewed.decide(respond("just say what you have"))
    assert (run.status, run.answer) == ("answered", 1)
    assert "just say what you have" in reviewed.asked.roots[1]


async def test_a_stop_ends_it_without_another_request(reviewed: Reviewed) -> None:
    await reviewed.start(["x = 1", "FINAL(x)"], "budget", max_turns=2)
    run = await reviewed.decide(reject("enough"))
    assert (run.status, len(reviewed.asked.roots)) == ("budget", 1)
    assert "A reviewer stopped the run: enough" in str(run.error)
    run = await reviewed.resume(max_turns=3)
    assert (run.status, run.answer) == ("answered", 1)


async def test_calls_that_the_budget_forbids_wait_in_mid_cell_and_go_on_with_another_one(reviewed: Reviewed) -> None:
    cell = "x = llm_query_batched([f'q{i}' for i in range(8)])"
    run = await reviewed.start([cell, "FINAL(x)"], "budget", max_calls=5)
    args = requests(run)[0]["args"]
    assert (args["resource"], args["limit"], args["waiting_calls"]) == ("calls", 5, 5)
    run = await reviewed.decide(edit(limit=50))
    assert run.answer == [f"Q{i}" for i in range(8)]
    assert len(reviewed.asked.prompts) == 8, "nothing was paid twice"


async def test_calls_that_are_not_to_be_made_raise_as_a_spent_budget_does(reviewed: Reviewed) -> None:
    cell = """
        try:
            x = llm_query_batched(['a', 'b', 'c', 'd'])
        except BudgetExceeded as over:
            x = sum(map(bool, over.partial))
    """
    await reviewed.start([cell, "FINAL(x)"], "budget", max_calls=4)
    run = await reviewed.decide(APPROVE)
    assert (run.status, run.answer) == ("answered", 2)


async def test_a_stop_in_mid_cell_keeps_what_was_paid(reviewed: Reviewed) -> None:
    cell = "x = llm_query_batched(['a', 'b', 'c', 'd'])"
    await reviewed.start([cell, cell, "FINAL(x)"], "budget", max_calls=4)
    run = await reviewed.decide(reject())
    assert run.status == "budget"
    async with reviewed.open() as runner:
        assert len([call for call in await runner.queries.calls(reviewed.thread) if call.answer]) == 2


async def test_a_gate_of_money_needs_a_price(reviewed: Reviewed) -> None:
    with pytest.raises(UsageError, match=r"--approve cost>USD needs a price .* openai:unknown-1"):
        await reviewed.run("openai:unknown-1", "cost>1", base_url="http://127.0.0.1:9/v1")


async def test_a_limit_that_a_resume_raises_is_the_decision_about_it(reviewed: Reviewed) -> None:
    await reviewed.start(["x = 1", "FINAL(x)"], "budget", max_turns=2)
    assert (await reviewed.resume(max_calls=5000)).status == "paused", "that is not what it asks about"
    run = await reviewed.resume(max_turns=4)
    assert (run.status, run.answer) == ("answered", 1)
