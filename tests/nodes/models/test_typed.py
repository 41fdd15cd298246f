"""Typed answers: a value is read from the text of the model, repaired once, or refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from durable_rlm.nodes.models.errors import ModelCallFailed
from durable_rlm.nodes.models.provider_protocol import ModelRequest
from durable_rlm.nodes.models.schema_validation import SchemaMismatch, mismatch, parse
from durable_rlm.nodes.models.structured_output import ask_typed, estimate_request, instruction
from durable_rlm.nodes.models.tokens import estimate_messages, estimate_tokens
from durable_rlm.nodes.models.work_limit import SchemaInvalid
from tests.nodes.models.conftest import OpenTo
from tests.servers.openai_server import Fault, ScriptedServer

POINT: dict[str, Any] = {
    "type": "object",
    "properties": {"x": {"type": "integer"}},
    "required": ["x"],
    "additionalProperties": False,
}
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is it?"}]
REQUEST = ModelRequest(MESSAGES, 50, schema=POINT)


def server_with(*answers: str) -> ScriptedServer:
    following: Iterator[str] = iter(answers)
    return ScriptedServer(sub=lambda prompt: next(following))


@pytest.mark.parametrize(
    "text",
    [
        '{"x": 1}',
        '  {"x": 1}\n',
        '```json\n{"x": 1}\n```',
        'Of course!\n\n```\n{"x": 1}\n```\nAnything else?',
        'Here it is [as asked]: {"x": 1}. Bye {now}.',
        'First {"y": 2}, or rather {"x": 1}',
        '~~~~\n{"x": 1}\n~~~~',
        'The set {a, b} aside: {"x":\n1}',
    ],
)
def test_a_value_is_found_in_the_text_that_models_wrap_around_it(text: str) -> None:
    assert parse(text, POINT) == {"x": 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I do not know", "not JSON"),
        ('{"x": 1', "not JSON"),
        ('{"x": NaN}', "not JSON"),
        ('{"x": 1e999}', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"x": ' + "9" * 5000 + "}", "not JSON"),
        ('{"x": "1"}', r"\['x'\]: '1' is not of type 'integer'"),
        ("{}", "'x' is a required property"),
        ('{"x": 1, "y": 2}', "Additional properties"),
    ],
)
def test_an_answer_that_does_not_match_the_schema_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(SchemaMismatch, match=why):
        parse(text, POINT)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"type": "string", "pattern": "["},
        {"$ref": "http://127.0.0.1:9/schema"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#"},
    ],
)
def test_an_unusable_schema_is_reported_as_a_fault_of_the_schema_and_not_of_the_answer(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaInvalid):
        parse('"x"', schema)


def test_surrogates_in_json_become_storable() -> None:
    assert parse('["\\ud83d\\ude00", "\\ud800"]', {"type": "array"}) == ["😀", "\ufffd"]


async def test_a_matching_answer_takes_one_request_and_the_prompt_stays_the_last_message(client_of: OpenTo) -> None:
    with server_with('{"x": 4}') as server:
        async with client_of(server) as client:
            reply, value = await ask_typed(client, REQUEST)
    assert value == {"x": 4} and reply.attempts == 1
    system, user = server.requests[0].messages
    assert system == {"role": "system", "content": f"Be brief.\n\n{instruction(POINT)}"}
    assert user == MESSAGES[-1]


async def test_one_repair_is_requested_with_the_fault_and_both_requests_are_counted(client_of: OpenTo) -> None:
    numbers: list[int] = []

    async def before_attempt(number: int) -> None:
        numbers.append(number)

    with server_with("it is at four", '{"x": 4}') as server:
        async with client_of(server) as client:
            reply, value = await ask_typed(client, REQUEST, before_attempt=before_attempt)
    assert value == {"x": 4} and reply.attempts == 2 and numbers == [1, 2]
    system, user = server.requests[1].messages
    assert "it is at four" in system["content"] and "not JSON" in system["content"]
    assert user == MESSAGES[-1], "the prompt is the last user message in the repair too"
    sent = [len(str(seen.messages)) for seen in server.requests]
    assert reply.input_tokens > sent[0] // 5 + sent[1] // 5


async def test_the_estimate_of_a_typed_call_covers_its_requests_with_the_schema(client_of: OpenTo) -> None:
    with server_with("no " * 1_000, '{"x": 4}') as server:
        async with client_of(server) as client:
            await ask_typed(client, replace(REQUEST, max_output_tokens=8_192))
    sent = [estimate_tokens(json.dumps(seen.body)) for seen in server.requests]
    assert (
        estimate_messages(MESSAGES) < sent[0] < sent[1] <= estimate_request(replace(REQUEST, max_output_tokens=8_192))
    )
    assert estimate_request(replace(REQUEST, schema=None)) == estimate_messages(MESSAGES)


async def test_there_is_no_second_repair(client_of: OpenTo) -> None:
    with server_with("no", '{"x": "4"}', '{"x": 4}') as server:
        async with client_of(server) as client:
            with pytest.raises(ModelCallFailed, match="openai:sub did not answer in the asked form") as failed:
                await ask_typed(client, REQUEST)
    assert failed.value.kind == "schema" and failed.value.attempts == 2 and failed.value.input_tokens > 0
    assert "is not of type 'integer'" in failed.value.message


async def test_a_repair_that_fails_counts_the_first_answer_too(client_of: OpenTo) -> None:
    with server_with("no") as server:
        server.faults.append(Fault("status", requests=[2], status=401))
        async with client_of(server) as client:
            with pytest.raises(ModelCallFailed) as failed:
                await ask_typed(client, REQUEST)
    assert failed.value.kind == "auth" and failed.value.attempts == 2 and failed.value.input_tokens > 0


async def test_the_repair_of_a_cut_answer_names_the_output_limit(client_of: OpenTo) -> None:
    with ScriptedServer(sub=lambda prompt: '{"x": ', faults=[Fault("length")]) as server:
        async with client_of(server) as client:
            with pytest.raises(ModelCallFailed, match="cut off at 50 tokens"):
                await ask_typed(client, REQUEST)
    assert "cut off at 50 tokens" in server.requests[1].messages[0]["content"]


async def test_an_invalid_schema_sends_nothing(client_of: OpenTo) -> None:
    with ScriptedServer() as server:
        async with client_of(server) as client:
            with pytest.raises(ModelCallFailed, match="not a usable JSON Schema") as failed:
                await ask_typed(client, ModelRequest(MESSAGES, 50, schema={"type": "nonsense"}))
    assert failed.value.kind == "bad_request" and failed.value.attempts == 0 and not server.requests


def test_a_pattern_that_would_match_for_ever_is_refused_in_time() -> None:
    schema = {"type": "string", "pattern": "^(a|a)*$"}
    assert parse('"aaaa"', schema) == "aaaa"
    with pytest.raises(SchemaInvalid, match="takes too long"):
        parse(f'"{"a" * 60}!"', schema)


def test_patterns_have_the_meaning_of_json_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"id": {"type": "string", "pattern": "^[a-z]+-[0-9]$"}},
        "patternProperties": {"^n_": {"type": "integer"}},
        "additionalProperties": False,
    }
    assert mismatch({"id": "ab-1", "n_x": 3}, schema) == ""
    assert "does not match" in mismatch({"id": "AB-1"}, schema)
    assert "n_x" in mismatch({"n_x": "three"}, schema)
    assert "other" in mismatch({"other": 1}, schema)
    assert mismatch({"other": 1}, {**schema, "additionalProperties": {"type": "integer"}}) == ""
    assert "other" in mismatch({"other": "x"}, {**schema, "additionalProperties": {"type": "integer"}})


def test_an_invalid_pattern_is_reported_as_not_a_regular_expression() -> None:
    with pytest.raises(SchemaInvalid, match=r"not a .regex"):
        mismatch("x", {"pattern": "("})
