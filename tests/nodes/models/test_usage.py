"""Token counts that servers send: what they are made of, and those that cannot be true."""

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from durable_rlm.nodes.models.langchain import read_reply
from durable_rlm.nodes.models.pricing import cost_usd
from durable_rlm.nodes.models.token_usage import plausible_usage
from durable_rlm.nodes.models.tokens import estimate_messages, estimate_tokens
from tests.nodes.models.conftest import OpenTo, question
from tests.servers.openai_server import Fault, ScriptedServer

DETAILED = {
    "prompt_tokens": 1_000,
    "completion_tokens": 200,
    "total_tokens": 1_200,
    "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 300, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 150},
}


def reply_with(usage: Any, content: str = "yes", **facts: Any) -> Fault:
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return Fault("raw", text=json.dumps({"choices": [choice], "usage": usage, **facts}))


async def ask(client_of: OpenTo, *faults: Fault) -> Any:
    with ScriptedServer(faults=faults) as server:
        async with client_of(server) as client:
            return await client.ask(question())


async def test_thoughts_and_cached_tokens_are_counted_over_all_attempts(client_of: OpenTo) -> None:
    empty = reply_with(DETAILED, content="")
    empty.times = 1
    reply = await ask(client_of, empty, reply_with(DETAILED))
    assert (reply.attempts, reply.input_tokens, reply.output_tokens, reply.estimated) == (2, 2_000, 400, False)
    assert (reply.thought_tokens, reply.cached_tokens, reply.cache_write_tokens) == (300, 1_200, 600)


@pytest.mark.parametrize("tier", ["flex", "priority", "default"])
async def test_a_class_of_service_hides_no_details(client_of: OpenTo, tier: str) -> None:
    reply = await ask(client_of, reply_with(DETAILED, service_tier=tier))
    assert (reply.thought_tokens, reply.cached_tokens, reply.cache_write_tokens) == (150, 600, 300)


@pytest.mark.parametrize("count", [-1, 0, 10**30, 10**9 + 1, "12", 12.0, float("inf"), True, None, [], {"a": 1}])
async def test_a_count_that_cannot_be_true_is_replaced_by_an_estimate(client_of: OpenTo, count: Any) -> None:
    given = await ask(client_of, reply_with({**DETAILED, "prompt_tokens": count}))
    assert (given.text, given.attempts, given.estimated) == ("yes", 1, True)
    assert (given.input_tokens, given.output_tokens) == (estimate_messages(question().messages), 200)
    answered = await ask(client_of, reply_with({**DETAILED, "completion_tokens": count}))
    assert (answered.text, answered.attempts, answered.estimated) == ("yes", 1, True)
    assert (answered.input_tokens, answered.output_tokens) == (1_000, estimate_tokens("yes"))
    assert answered.thought_tokens <= answered.output_tokens


@pytest.mark.parametrize("usage", [None, [], "none", 7, {}, {"prompt_tokens_details": 3}, {"total_tokens": "many"}])
async def test_a_usage_of_any_form_breaks_no_call(client_of: OpenTo, usage: Any) -> None:
    reply = await ask(client_of, reply_with(usage))
    assert (reply.text, reply.attempts, reply.estimated, reply.cached_tokens) == ("yes", 1, True, 0)


@pytest.mark.parametrize("wrong", [-5, "x", 10**12, 1.5, True, []])
async def test_details_that_cannot_be_true_count_as_0(client_of: OpenTo, wrong: Any) -> None:
    details = {
        "prompt_tokens_details": {"cached_tokens": wrong},
        "completion_tokens_details": {"reasoning_tokens": wrong},
    }
    reply = await ask(client_of, reply_with({**DETAILED, **details}))
    assert (reply.input_tokens, reply.output_tokens, reply.estimated) == (1_000, 200, False)
    assert (reply.thought_tokens, reply.cached_tokens) == (0, 0)


async def test_details_are_never_more_than_what_they_are_parts_of(client_of: OpenTo) -> None:
    details = {"cached_tokens": 5_000, "cache_write_tokens": 5_000}
    usage = {**DETAILED, "prompt_tokens_details": details, "completion_tokens_details": {"reasoning_tokens": 900}}
    reply = await ask(client_of, reply_with(usage))
    assert (reply.cached_tokens, reply.cache_write_tokens, reply.thought_tokens) == (1_000, 0, 200)


async def test_an_estimate_includes_the_thoughts(client_of: OpenTo) -> None:
    message = {"role": "assistant", "content": "yes", "reasoning_content": "I think. " * 100}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]})
    reply = await ask(client_of, Fault("raw", text=body))
    assert reply.estimated and reply.output_tokens >= estimate_tokens("I think. " * 100)


@pytest.mark.parametrize(
    ("usage", "cached", "written"),
    [
        ({"prompt_cache_hit_tokens": 7, "prompt_cache_miss_tokens": 3}, 7, None),
        ({"cache_read_input_tokens": 1, "cache_creation_input_tokens": 5}, None, 5),
        ({"prompt_tokens_details": {"cached_tokens": 0}, "prompt_cache_hit_tokens": 7}, 7, None),
    ],
)
def test_cached_tokens_have_other_names_elsewhere(usage: Any, cached: int | None, written: int | None) -> None:
    read = plausible_usage({"prompt_tokens": 10, **usage})["prompt_tokens_details"]
    assert (read["cached_tokens"], read["cache_write_tokens"]) == (cached, written)


def test_thoughts_that_a_server_bills_beside_its_output_are_added_to_it() -> None:
    details = {"completion_tokens_details": {"reasoning_tokens": 150}}
    beside = plausible_usage({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 270, **details})
    within = plausible_usage({"prompt_tokens": 100, "completion_tokens": 170, "total_tokens": 270, **details})
    assert beside["completion_tokens"] == within["completion_tokens"] == 170


def test_details_of_other_providers_are_read() -> None:
    usage: Any = {
        "input_tokens": 1_000,
        "output_tokens": 200,
        "total_tokens": 1_200,
        "input_token_details": {"cache_read": 600, "cache_creation": 300},
        "output_token_details": {"reasoning": 150},
    }
    raw = read_reply(AIMessage("yes", usage_metadata=usage))
    assert (raw.input_tokens, raw.output_tokens) == (1_000, 200)
    assert (raw.thought_tokens, raw.cached_tokens, raw.cache_write_tokens) == (150, 600, 300)


def test_reading_and_writing_the_cache_have_prices_of_their_own() -> None:
    plain = cost_usd("anthropic:claude-sonnet-4-5", 1_000, 0)
    assert plain == pytest.approx(1_000 * 3 / 1e6)
    mixed = cost_usd("anthropic:claude-sonnet-4-5", 1_000, 0, cached_tokens=400, cache_write_tokens=300)
    assert mixed == pytest.approx((300 * 3 + 400 * 0.3 + 300 * 3.75) / 1e6)
    more = cost_usd("anthropic:claude-sonnet-4-5", 100, 0, cached_tokens=80, cache_write_tokens=80)
    assert more == pytest.approx((80 * 0.3 + 20 * 3.75) / 1e6), "never more than there is input"


def test_a_price_given_by_the_user_is_that_of_cached_tokens_too() -> None:
    cost = cost_usd("openai:m", 1_000, 100, cached_tokens=400, cache_write_tokens=300, price=(1.0, 2.0))
    assert cost == pytest.approx((1_000 + 200) / 1e6)
