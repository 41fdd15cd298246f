"""Structured output of providers: requested where it exists, left out where it is refused, and always checked."""

import asyncio
import json
from typing import Any

import pytest

from durable_rlm.nodes.models.errors import ModelCallFailed
from durable_rlm.nodes.models.provider_protocol import ModelRequest
from durable_rlm.nodes.models.schema_validation import mismatch
from durable_rlm.nodes.models.schema_wrapper import WORDS, wrapped
from durable_rlm.nodes.models.structured_output import ask_typed, instruction, is_strict, refuses_form, response_format
from tests.fake_sleep import FakeSleep
from tests.nodes.models.conftest import OpenTo
from tests.servers.openai_server import Body, Fault, ScriptedServer

POINT: dict[str, Any] = {
    "type": "object",
    "properties": {"x": {"type": "integer"}},
    "required": ["x"],
    "additionalProperties": False,
}
LIST: dict[str, Any] = {"type": "array", "items": {"type": "integer"}}


def request_with(schema: dict[str, Any] | None = POINT) -> ModelRequest:
    return ModelRequest([{"role": "user", "content": "Where is it?"}], 50, schema=schema)


def has_form(body: Body) -> bool:
    return "response_format" in body


def server_with(answer: str = '{"x": 4}', *faults: Fault) -> ScriptedServer:
    return ScriptedServer(sub=lambda prompt: answer, faults=faults)


async def test_a_schema_reaches_the_server_as_response_format_and_in_words(client_of: OpenTo) -> None:
    with server_with() as server:
        async with client_of(server) as client:
            reply, value = await ask_typed(client, request_with())
    assert value == {"x": 4} and reply.attempts == 1
    body = server.requests[0].body
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": POINT, "strict": True},
    }
    assert body["max_tokens"] == 50
    assert [message["content"] for message in body["messages"]] == [instruction(POINT), "Where is it?"]


async def test_a_request_without_a_schema_has_no_response_format(client_of: OpenTo) -> None:
    with server_with() as server:
        async with client_of(server) as client:
            await client.ask(request_with(None))
    assert not has_form(server.requests[0].body)


@pytest.mark.parametrize("answer", ['{"value": [1, 2]}', "[1, 2]", '<think>[3]</think>```json\n{"value": [1, 2]}\n```'])
async def test_a_value_that_is_no_object_is_asked_for_in_one_and_taken_out_of_it(
    client_of: OpenTo, answer: str
) -> None:
    with server_with(answer) as server:
        async with client_of(server) as client:
            reply, value = await ask_typed(client, request_with(LIST))
    assert value == [1, 2] and reply.attempts == 1
    body = server.requests[0].body
    assert body["response_format"]["json_schema"] == {"name": "answer", "schema": wrapped(LIST), "strict": True}
    assert body["messages"][0] == {"role": "system", "content": f"{instruction(LIST)}\n\n{WORDS}"}


async def test_a_value_is_asked_for_plainly_where_no_form_is_sent(client_of: OpenTo) -> None:
    refused = Fault("status", status=400, text="response_format is not supported", when=has_form)
    anything: dict[str, Any] = {"anyOf": [{"type": "object"}, {"type": "array"}]}
    with server_with('{"value": 5}', refused) as server:
        async with client_of(server) as client:
            assert (await ask_typed(client, request_with(anything))).value == {"value": 5}, "it is the value itself"
    assert [WORDS in seen.body["messages"][0]["content"] for seen in server.requests] == [True, False]
    with server_with('{"value": {"value": 5}}') as server:
        async with client_of(server) as client:
            assert (await ask_typed(client, request_with(anything))).value == {"value": 5}


async def test_a_wrong_value_in_an_object_is_repaired_in_an_object(client_of: OpenTo) -> None:
    answers = iter(['{"value": ["one"]}', '{"value": [1]}'])
    with ScriptedServer(sub=lambda prompt: next(answers)) as server:
        async with client_of(server) as client:
            reply, value = await ask_typed(client, request_with(LIST))
    assert value == [1] and reply.attempts == 2
    words = server.requests[1].body["messages"][0]["content"]
    assert "[0]: 'one' is not of type 'integer'" in words and words.endswith(WORDS)


TREE: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "array",
    "items": {"$ref": "#/$defs/node"},
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"$ref": "#/definitions/name"},
                "$ref": {"const": {"$ref": "#"}},
                "below": {"$ref": "#"},
                "first": {"$ref": "#/items"},
            },
        }
    },
    "definitions": {"name": {"type": "string", "examples": [{"$ref": "#"}]}},
}


def test_references_of_a_schema_in_an_object_lead_to_the_same_places() -> None:
    inside = wrapped(TREE)
    assert inside is not None and inside["properties"].keys() == {"value"}
    assert inside["properties"]["value"] == {"type": "array", "items": {"$ref": "#/$defs/node"}}
    below = inside["$defs"]["node"]["properties"]
    assert below["below"] == {"$ref": "#/properties/value"}
    assert below["first"] == {"$ref": "#/properties/value/items"}
    assert below["$ref"] == {"const": {"$ref": "#"}}, "data stays as it is"
    good = [{"name": "a", "below": [{"name": "b", "below": []}], "first": {"name": "c"}}]
    for bad in ([{"name": 1}], [{"below": [{"name": 1}]}], [{"first": {"name": 1}}], [{"$ref": 1}]):
        for schema, value in ((TREE, bad), (inside, {"value": bad})):
            assert mismatch(value, schema)
    assert not mismatch(good, TREE) and not mismatch({"value": good}, inside)


def test_a_schema_that_names_itself_or_is_nested_too_deeply_is_sent_in_words_only() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(2_000):
        deep = {"type": "array", "items": deep}
    for schema in (deep, {"type": "array", "items": {"$id": "http://a/b", "$ref": "#"}}):
        assert response_format(schema) is None


async def test_an_answer_that_breaks_the_sent_schema_is_repaired_with_the_schema_sent_again(client_of: OpenTo) -> None:
    answers = iter(['{"y": 1}', '{"x": 4}'])
    with ScriptedServer(sub=lambda prompt: next(answers)) as server:
        async with client_of(server) as client:
            reply, value = await ask_typed(client, request_with())
    assert value == {"x": 4} and reply.attempts == 2
    assert [has_form(seen.body) for seen in server.requests] == [True, True]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "Unrecognized request argument supplied: response_format"),
        (400, "'response_format.type' must be 'json_object'"),
        (404, "No endpoints found that support structured outputs"),
        (422, "body.response_format: Input tag 'json_schema' is not one of 'text'"),
        (400, "'response_format' of type 'json_schema' is not supported with this model"),
        (500, "failed to parse grammar"),
    ],
)
async def test_a_refused_response_format_is_left_out_at_once_and_from_then_on(
    client_of: OpenTo, fake_sleep: FakeSleep, status: int, said: str
) -> None:
    numbers: list[int] = []

    async def before_attempt(number: int) -> None:
        numbers.append(number)

    with server_with('{"x": 4}', Fault("status", status=status, text=said, when=has_form)) as server:
        async with client_of(server) as client:
            first = await ask_typed(client, request_with(), before_attempt=before_attempt)
            second = await ask_typed(client, request_with({**POINT, "title": "Another"}))
    assert first.value == second.value == {"x": 4}
    assert numbers == [1, 2] and first.reply.attempts == 2, "the request that was refused counts like a retry"
    assert second.reply.attempts == 1 and fake_sleep.seconds == [0.0]
    assert [has_form(seen.body) for seen in server.requests] == [True, False, False]


async def test_calls_in_flight_while_response_format_is_refused_are_all_answered(client_of: OpenTo) -> None:
    fault = Fault("status", status=400, text="response_format is not supported", when=has_form)
    with server_with('{"x": 4}', fault) as server:
        async with client_of(server) as client:
            replies = await asyncio.gather(*[ask_typed(client, request_with()) for _ in range(20)])
    assert [one.value for one in replies] == [{"x": 4}] * 20
    assert sum(one.reply.attempts for one in replies) == len(server.requests)


async def test_a_refusal_of_one_schema_does_not_affect_the_others(client_of: OpenTo) -> None:
    odd = {**POINT, "description": "odd"}
    fault = Fault(
        "status",
        status=400,
        text="Invalid schema for response_format 'answer': 'odd' is not permitted",
        when=lambda body: has_form(body) and "odd" in json.dumps(body["response_format"]),
    )
    with server_with('{"x": 4}', fault) as server:
        async with client_of(server) as client:
            for schema in (odd, POINT, odd):
                assert (await ask_typed(client, request_with(schema))).value == {"x": 4}
    assert [has_form(seen.body) for seen in server.requests] == [True, False, True, False]


async def test_other_refusals_are_not_taken_for_refusals_of_response_format(client_of: OpenTo) -> None:
    with server_with('{"x": 4}', Fault("status", status=400, text="temperature must be 1")) as server:
        async with client_of(server) as client:
            with pytest.raises(ModelCallFailed) as failed:
                await ask_typed(client, request_with())
    assert failed.value.kind == "bad_request" and failed.value.attempts == 1
    assert not refuses_form(401, "response_format") and not refuses_form(None, "response_format")


async def test_a_server_that_refuses_both_the_limit_field_and_response_format_still_answers(client_of: OpenTo) -> None:
    limit = Fault("status", status=400, text="Use 'max_completion_tokens'.", when=lambda body: "max_tokens" in body)
    form = Fault("status", status=400, text="response_format is unknown", when=has_form)
    with server_with('{"x": 4}', limit, form) as server:
        async with client_of(server) as client:
            reply, value = await ask_typed(client, request_with())
    assert value == {"x": 4} and reply.attempts == 3
    assert server.requests[-1].body["max_completion_tokens"] == 50


@pytest.mark.parametrize(
    "schema",
    [
        POINT,
        {**POINT, "title": "Point", "description": "where"},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/P"}, "b": {"type": "array", "items": {"type": ["string", "null"]}}},
            "required": ["b", "a"],
            "additionalProperties": False,
            "$defs": {"P": POINT},
        },
        {**POINT, "properties": {"x": {"anyOf": [{"type": "null"}, {"enum": ["a", "b"]}]}}},
    ],
)
def test_a_schema_of_the_strict_subset_is_sent_as_strict(schema: dict[str, Any]) -> None:
    form = response_format(schema)
    assert form is not None and form["json_schema"]["strict"] is True


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {**POINT, "additionalProperties": True},
        {**POINT, "required": []},
        {**POINT, "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}},
        {**POINT, "properties": {"x": {"type": "string", "minLength": 3}}},
        {**POINT, "properties": {"x": {"type": "integer", "default": 1}}},
        {**POINT, "properties": {"x": {"type": "object", "properties": {"z": {"type": "null"}}}}},
        {**POINT, "properties": {"x": {"type": "array", "items": {"type": "object"}}}},
        {**POINT, "properties": {"x": {}}},
        {**POINT, "properties": {"x": True}},
        {**POINT, "properties": {"x": {"$ref": "http://127.0.0.1/x"}}},
        {**POINT, "allOf": [{"type": "object"}]},
    ],
)
def test_a_schema_outside_the_strict_subset_is_sent_as_not_strict(schema: dict[str, Any]) -> None:
    assert not is_strict(schema)
    form = response_format(schema)
    assert form is not None and form["json_schema"]["strict"] is False and form["json_schema"]["schema"] == schema


@pytest.mark.parametrize("schema", [LIST, {"type": "string"}, {"enum": [1]}, {}, {**POINT, "anyOf": [POINT]}])
def test_a_schema_that_no_server_accepts_at_the_top_level_is_put_into_an_object(schema: dict[str, Any]) -> None:
    form = response_format(schema)
    assert form is not None
    sent = form["json_schema"]["schema"]
    assert sent["type"] == "object" and sent["required"] == ["value"] and sent["properties"] == {"value": schema}


def test_a_deeply_nested_schema_is_not_strict() -> None:
    schema: dict[str, Any] = POINT
    for _ in range(200):
        schema = {**POINT, "properties": {"x": schema}}
    assert not is_strict(schema)
