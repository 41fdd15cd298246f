"""Budgets compared with what the server received: requests, tokens, dollars, with hundreds of calls in flight."""

from typing import Any

import pytest

from durable_rlm import Runner
from tests.nodes.sub_calls.conftest import cells, models
from tests.servers.faults import Fault
from tests.servers.openai_server import ScriptedServer

PRICE = (2.0, 10.0)
COUNT = 240
SPENDING = f"""
try:
    got = llm_query_batched([f'question {{n}} ' + 'word ' * (n % 50) for n in range({COUNT})])
except BudgetExceeded as spent:
    got = spent.partial
"""
ROOT = cells(SPENDING, "FINAL([len(got), sum(map(bool, got))])")


def rambling(prompt: str) -> str:
    """Return an answer that uses up any output limit."""
    return "word " * 20_000


def terse(prompt: str) -> str:
    return "yes"


UNRELIABLE = [Fault("status", status=429, share=0.1), Fault("status", status=500, share=0.1), Fault("reset", share=0.1)]
BREAKING_OFF = [Fault("reset", after=50, share=0.2)]

LIMITS: dict[str, dict[str, Any]] = {
    "calls": {"max_calls": 100},
    "tokens": {"max_tokens": 400_000},
    "few tokens": {"max_tokens": 60_000},
    "cost": {"max_cost": 3.0, "price": PRICE},
    "all": {"max_calls": 60, "max_tokens": 400_000, "max_cost": 3.0, "price": PRICE},
}


@pytest.mark.parametrize(
    ("sub", "faults"),
    [(rambling, []), (rambling, UNRELIABLE), (terse, BREAKING_OFF)],
    ids=["rambling", "rambling and unreliable", "terse and breaking off"],
)
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
async def test_the_server_never_gets_more_than_a_strict_budget_allows(
    runner: Runner, limits: dict[str, Any], faults: list[Fault], sub: Any
) -> None:
    with ScriptedServer(ROOT, sub, cuts=True, jitter=0.01, faults=faults) as server:
        given = {"max_calls": 5_000, "strict_budget": True, **limits}
        run = await runner.run("Q?", concurrency=200, **given, **models(server))
    assert len(server.requests) <= limits.get("max_calls", 5_000)
    assert server.billed.total <= limits.get("max_tokens", server.billed.total)
    assert server.billed.cost(PRICE) <= limits.get("max_cost", server.billed.cost(PRICE))
    assert all(seen.output_limit for seen in server.requests), "every request carries an output limit"
    assert run.usage["model_calls"] == len(server.requests)
    # A retry that finds no budget left may end the run otherwise; the tests below distinguish these cases.
    assert run.status == "answered" or faults
    if isinstance(run.answer, list):
        assert run.answer[0] == COUNT and 0 < run.answer[1] <= len(server.asked)


TOKENS_OR_COST: list[dict[str, Any]] = [{"max_tokens": 600_000}, {"max_cost": 5.0, "price": PRICE}]


@pytest.mark.parametrize("limits", TOKENS_OR_COST, ids=["tokens", "cost"])
async def test_a_strict_budget_counts_a_reply_that_broke_off_as_spent_when_its_retry_is_answered(
    runner: Runner, limits: dict[str, Any]
) -> None:
    breaking_off = Fault("reset", after=50, share=0.5)
    with ScriptedServer(ROOT, rambling, cuts=True, faults=[breaking_off]) as server:
        await runner.run("Q?", concurrency=4, strict_budget=True, **limits, **models(server))
    assert server.billed.total <= limits.get("max_tokens", server.billed.total)
    assert server.billed.cost(PRICE) <= limits.get("max_cost", server.billed.cost(PRICE))


async def test_a_request_that_a_server_refused_costs_nothing_when_no_budget_is_left_for_a_retry(runner: Runner) -> None:
    refusing = Fault("status", status=429, share=0.5)
    with ScriptedServer(ROOT, terse, cuts=True, faults=[refusing]) as server:
        run = await runner.run("Q?", concurrency=50, max_tokens=60_000, **models(server))
    assert run.usage["input_tokens"] + run.usage["output_tokens"] == server.billed.total


async def test_a_cell_that_prints_much_and_spends_the_rest_is_followed_by_a_last_turn(runner: Runner) -> None:
    root = cells(f"print('lorem ipsum ' * 2_500)\n{SPENDING}", "FINAL(len(got))")
    with ScriptedServer(root, rambling, cuts=True) as server:
        run = await runner.run("Q?", concurrency=50, max_tokens=300_000, **models(server))
    assert (run.status, run.answer) == ("answered", COUNT)


@pytest.mark.parametrize("limits", TOKENS_OR_COST, ids=["tokens", "cost"])
async def test_a_budget_can_be_used_although_reservations_far_exceed_the_actual_usage(
    runner: Runner, limits: dict[str, Any]
) -> None:
    with ScriptedServer(ROOT, terse, cuts=True, jitter=0.01) as server:
        run = await runner.run("Q?", concurrency=200, **limits, **models(server))
    assert run.answer == [COUNT, COUNT], "small answers all fit, though their output limits together would not"
    assert run.usage["input_tokens"] + run.usage["output_tokens"] == server.billed.total


async def test_the_spending_that_is_shown_equals_the_bill_of_the_server(runner: Runner) -> None:
    with ScriptedServer(ROOT, terse, faults=[Fault("status", status=429, share=0.2)]) as server:
        run = await runner.run("Q?", price=PRICE, **models(server))
    assert run.usage["input_tokens"] == server.billed.input and run.usage["output_tokens"] == server.billed.output
    assert run.usage["cost_usd"] == pytest.approx(server.billed.cost(PRICE))
    assert run.usage["model_calls"] == len(server.requests)


async def test_a_spent_budget_raises_at_once_and_the_rest_of_the_cell_sends_nothing(runner: Runner) -> None:
    code = (
        "got = []\n"
        "for n in range(50):\n"
        "    try:\n"
        "        got.append(llm_query(f'question {n}'))\n"
        "    except BudgetExceeded as spent:\n"
        "        got.append('--max-calls' in str(spent))\n"
    )
    with ScriptedServer(cells(code, "FINAL(got)"), terse) as server:
        run = await runner.run("Q?", max_calls=10, **models(server))
    assert run.answer == ["yes"] * 8 + [True] * 42
    assert len(server.requests) == 10


async def test_a_cell_that_swallows_a_spent_budget_for_ever_is_ended_with_a_note(runner: Runner) -> None:
    code = "while True:\n    try:\n        llm_query('question')\n    except Exception:\n        pass"
    with ScriptedServer(cells(code, "FINAL('as far as it went')"), terse) as server:
        run = await runner.run("Q?", max_calls=5, **models(server))
        assert (run.answer, run.turns) == ("as far as it went", 2)
        assert len(server.requests) == 5
        sent = server.requests[-1].messages[-1]["content"]
    assert "was interrupted" in sent and "is refused again" in sent


async def test_the_output_limit_that_code_asks_for_reaches_the_server(runner: Runner) -> None:
    code = "FINAL(llm_query('a', max_tokens=7) + llm_query('a') + llm_query('a', max_tokens=7, cache=True))"
    with ScriptedServer(cells(code), terse) as server:
        run = await runner.run("Q?", **models(server))
        assert run.answer == "yesyesyes"
        limits = [seen.output_limit for seen in server.requests[1:]]
    assert limits[0] == limits[2] == 7 and limits[1] not in (7, None)
