"""Work limits of schema checks: a hostile schema takes bounded work, and does not block other work meanwhile."""

import asyncio
import http.server
import itertools
import json
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import pytest
import regex as regex  # The program imports it late; the import is not to be counted as work.
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from durable_rlm.nodes.models import work_limit
from durable_rlm.nodes.models.errors import ModelCallFailed
from durable_rlm.nodes.models.json_schema import PatternUnusable
from durable_rlm.nodes.models.provider_protocol import ModelRequest
from durable_rlm.nodes.models.schema_validation import SchemaMismatch, check_schema, mismatch, parse
from durable_rlm.nodes.models.structured_output import ask_typed
from durable_rlm.nodes.models.work_limit import (
    QUICK_STEPS,
    CheckStopped,
    SchemaInvalid,
    SchemaTooCostly,
    WorkLimit,
    limited,
    off_loop,
    take,
)
from tests.nodes.models.conftest import CHECK_STEPS, OpenTo, Schema
from tests.servers.openai_server import ScriptedServer

CALLS_A_STEP = 50
"""The most calls of functions in a step; other work is in proportion to the length of the texts read and written."""
MESSAGES: list[dict[str, str]] = [{"role": "user", "content": "Give me a number."}]


def doubled(twice: Callable[[Schema], Schema], times: int = 28, leaf: Any = None) -> Schema:
    """Return a schema in which each definition contains the next one twice."""
    names = [f"a{number}" for number in range(times + 1)]
    definitions = {one: twice({"$ref": f"#/$defs/{other}"}) for one, other in itertools.pairwise(names)}
    return {"$defs": {**definitions, names[-1]: leaf or {"type": "integer"}}, "$ref": "#/$defs/a0"}


DOUBLING: dict[str, Callable[[Schema], Schema]] = {
    "allOf": lambda one: {"allOf": [one, one]},
    "anyOf": lambda one: {"anyOf": [one, one]},
    "oneOf": lambda one: {"oneOf": [one, one]},
    "not": lambda one: {"allOf": [{"not": {"not": one}}, one]},
    "if": lambda one: {"if": one, "then": one, "else": one},
    "then": lambda one: {"if": True, "then": {"allOf": [one], "if": True, "then": one}},
    "dependentSchemas": lambda one: {"dependentSchemas": {"x": one, "y": one}},
    "properties": lambda one: {"allOf": [{"properties": {"x": one}}] * 2},
    "patternProperties": lambda one: {"patternProperties": {"x": one, "x|y": one}},
    "additionalProperties": lambda one: {"allOf": [{"additionalProperties": one}] * 2},
    "propertyNames": lambda one: {"propertyNames": {"allOf": [one, one]}},
    "items": lambda one: {"allOf": [{"items": one}] * 2},
    "prefixItems": lambda one: {"allOf": [{"prefixItems": [one] * 3}] * 2},
    "contains": lambda one: {"contains": one, "items": one},
    "unevaluatedItems": lambda one: {"unevaluatedItems": one, "contains": one},
    "unevaluatedProperties": lambda one: {"unevaluatedProperties": one, "allOf": [one]},
}
OTHERS: list[Schema] = [
    {"$dynamicAnchor": "n", "allOf": [{"properties": {"x": {"$dynamicRef": "#n"}}}] * 2},
    {"properties": {"x": {"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [{"$ref": "#"}] * 3}}},
    {"uniqueItems": True, "items": {"uniqueItems": True}},
    {"anyOf": [{"type": "string"}] * 150},
    {"not": {"allOf": [{"not": {"type": "string"}}] * 150}},
    {"items": {"enum": [[number, "x"] for number in range(500)]}},
    {"$defs": {"c": {"const": [[0] * 20] * 20}}, "allOf": [{"$ref": "#/$defs/c"}] * 100},
    {"$defs": {"c": {"$anchor": "far"}}, "allOf": [{"$ref": "#far"}] * 100},
    {"patternProperties": {f"x{number}": True for number in range(100)}},
    {"required": [1, "a"] * 500},
    {"dependentRequired": {"x": ["x", "y"] * 50}},
]


def nested(wrap: Callable[[Any], Any], times: int) -> Any:
    value: Any = 1
    for _ in range(times):
        value = wrap(value)
    return value


def _doubling(name: str, times: int, leaf: Any, more: Schema) -> Schema:
    return {**doubled(DOUBLING[name], times, leaf), **more}


doublings = st.builds(
    _doubling,
    st.sampled_from(sorted(DOUBLING)),
    st.integers(1, 60),
    st.sampled_from([{"type": "integer"}, True, {"type": ["object", "array", "string"]}, {"const": {"x": [1]}}]),
    st.sampled_from([{}, {"unevaluatedProperties": False}, {"unevaluatedItems": False}]),
)
bombs = doublings | st.sampled_from(OTHERS)
replies = st.sampled_from(
    [
        *(1, "x" * 100, None, {"x": 1, "y": 2}, [[0] * 20] * 20),
        *(nested(lambda value: {"x": value, "y": "!"}, times) for times in (3, 30)),
        *(nested(lambda value: [value, value], times) for times in (3, 8)),
        nested(lambda value: [value], 30),
        # Numbers of the same hash.
        [number * (2**61 - 1) for number in range(500)],
        [{"x": number} for number in range(200)],
        {f"x{number}": [number] for number in range(200)},
    ]
)


@contextmanager
def counting_calls() -> Generator[list[int]]:
    """Count the calls of functions, a measure of work that needs no clock."""
    calls = [0]

    def count(frame: FrameType, event: str, arg: object) -> None:
        calls[0] += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(before)


@given(bombs, replies)
@hypothesis_settings(max_examples=50)
def test_a_check_of_any_reply_against_any_schema_ends_within_its_steps(schema: Schema, value: Any) -> None:
    reply = json.dumps(value)
    limit = WorkLimit(CHECK_STEPS, grows=False)
    with limited(limit), counting_calls() as calls, suppress(SchemaMismatch, SchemaInvalid):
        assert parse(reply, schema) == value
    assert calls[0] <= CALLS_A_STEP * CHECK_STEPS, "the counted steps limit the actual work"
    assert calls[0] <= CALLS_A_STEP * limit.taken + 10 * len(json.dumps(schema) + reply)


def test_numbers_with_equal_hashes_are_compared_in_no_more_steps_than_others() -> None:
    taken: list[int] = []
    for factor in (1, 2**61 - 1):
        limit = WorkLimit()
        with limited(limit):
            assert mismatch([number * factor for number in range(3_000)], {"uniqueItems": True}) == ""
        taken.append(limit.taken)
    assert taken[1] <= taken[0] and taken[1] < 20_000


def test_a_pattern_in_another_dialect_cannot_match_for_ever_either() -> None:
    for dialect in ("http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"):
        schema = {"properties": {"x": {"$schema": dialect, "pattern": "^(a|a)*$"}}}
        with pytest.raises(PatternUnusable, match="takes too long"):
            mismatch({"x": "a" * 60 + "!"}, schema)


def test_the_step_limit_grows_with_the_size_of_the_answer() -> None:
    schema = {"items": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}
    check_schema(schema)
    records = [{"n": number} for number in range(1_000)]
    with limited(WorkLimit(QUICK_STEPS)):
        assert mismatch(records, schema) == ""
    with limited(WorkLimit(1_000, grows=False)), pytest.raises(SchemaTooCostly):
        mismatch(records, schema)


def test_a_check_ends_at_a_time_limit_too() -> None:
    now = [0.0]
    with limited(WorkLimit(seconds=5, clock=lambda: now[0])):
        check_schema({"type": "integer", "title": "timed"})
        now[0] = 6
        with pytest.raises(SchemaTooCostly, match="too much work"):
            for _ in range(100):
                mismatch(1, {"allOf": [{}] * 20})


async def test_a_slow_check_does_not_block_the_event_loop() -> None:
    loop, heard = asyncio.get_running_loop(), threading.Event()

    def check() -> bool:
        take(QUICK_STEPS + 1)
        loop.call_soon_threadsafe(heard.set)
        return heard.wait(30)

    assert await off_loop(check), "the loop sets the event while the check waits for it"


async def test_a_quick_check_uses_no_thread() -> None:
    schema = {"type": "integer", "title": "quick"}
    await off_loop(check_schema, schema)
    assert await off_loop(threading.get_ident) == threading.get_ident()
    limit = WorkLimit(QUICK_STEPS, grows=False)
    with limited(limit):
        assert parse("3", schema) == 3
    assert limit.taken < 10


async def test_a_check_ends_when_its_caller_is_cancelled() -> None:
    begun, ended = threading.Event(), threading.Event()

    def check() -> None:
        take(QUICK_STEPS + 1)
        begun.set()
        try:
            for _ in range(100_000_000):
                take(0)
        except CheckStopped:
            ended.set()

    task = asyncio.create_task(off_loop(check))
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    assert await asyncio.to_thread(ended.wait, 30)


async def test_a_too_costly_schema_is_refused_unsent_and_does_not_block_the_event_loop(
    client_of: OpenTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_limit, "STEPS", 2 * CHECK_STEPS)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(tick())
    request = ModelRequest(MESSAGES, 50, schema=doubled(DOUBLING["allOf"]))
    with ScriptedServer() as server:
        async with client_of(server) as client:
            before = ticks
            with pytest.raises(ModelCallFailed, match="takes too much work to check") as failed:
                await ask_typed(client, request)
    others.cancel()
    assert failed.value.kind == "bad_request" and failed.value.attempts == 0 and not server.requests
    assert ticks > before + 10


async def test_a_too_costly_schema_that_is_given_again_takes_almost_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = doubled(DOUBLING["oneOf"])
    monkeypatch.setattr(work_limit, "STEPS", CHECK_STEPS)
    with pytest.raises(SchemaInvalid, match="too much work"):
        await off_loop(check_schema, schema)
    limit = WorkLimit()
    with limited(limit), pytest.raises(SchemaInvalid, match="too much work"):
        check_schema(schema)
    assert limit.taken < 100


async def test_a_reply_that_makes_a_schema_too_costly_fails_the_call_and_is_counted(
    client_of: OpenTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_limit, "STEPS", 2 * CHECK_STEPS)
    schema = doubled(DOUBLING["items"])
    deep = json.dumps(nested(lambda value: [value], 28))
    for answers in ([deep], ["no JSON", deep]):
        following = iter(answers)
        with ScriptedServer(sub=lambda prompt, following=following: next(following)) as server:
            async with client_of(server) as client:
                with pytest.raises(ModelCallFailed, match="takes too much work to check") as failed:
                    await ask_typed(client, ModelRequest(MESSAGES, 50, schema=schema))
        assert failed.value.kind == "bad_request" and failed.value.attempts == len(answers)
        assert failed.value.input_tokens > 0


def test_no_reference_is_fetched() -> None:
    requested: list[str] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        for schema in (
            *({key: f"{url}/one"} for key in ("$ref", "$dynamicRef", "$schema")),
            {"$id": f"{url}/here/", "properties": {"x": {"$ref": "there"}}},
            {"properties": {"x": {"$schema": f"{url}/dialect", "$ref": f"{url}/two#/a"}}, "unevaluatedProperties": {}},
        ):
            try:
                mismatch({"x": 1}, schema)
            except SchemaInvalid as error:
                assert "leads nowhere" in str(error)
        server.shutdown()
        thread.join()
    assert requested == []
