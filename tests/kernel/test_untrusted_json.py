"""JSON from a kernel is hostile: it is either valid or a bad message, and has no other effect."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_rlm.kernel import untrusted_json
from durable_rlm.kernel.messages import MAX_DEPTH, parse_chunks, parse_compared, parse_ended, parse_restored
from durable_rlm.kernel.posted_calls import parse_calls
from durable_rlm.kernel.results import Final
from durable_rlm.kernel.untrusted_json import BadMessage, depth, read

ENDED: dict[str, Any] = {"output": "", "snapshot": {}}
GROUP: dict[str, Any] = {"id": "a", "names": ["a"], "chunks": ["0" * 64], "lost": {}, "about": [], "form": ""}
VARIABLE: dict[str, Any] = {"name": "a", "type": "int", "size": None, "preview": "1"}
CALL: dict[str, Any] = {"id": 1, "kind": "llm", "prompt": "q"}


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_lone_surrogates_are_replaced_in_any_encoding() -> None:
    assert read(b'["\xed\xa0\x80x"]') == ["\ufffdx"]
    assert read(b'{"\\ud800": ["\\udfff", "\\ud83d\\ude00"]}') == {"\ufffd": ["\ufffd", "\U0001f600"]}
    assert read('["\ud800"]') == ["\ufffd"]


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff", b"{", b"[NaN]", b"[Infinity]", b"[-Infinity]", b"[1e999]", b"[-1e999]", b"9" * 5000, b"[" * 100_000],
)
def test_invalid_json_is_refused(text: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        read(text)
    for parse in (parse_calls, parse_ended, parse_restored, parse_compared):
        with pytest.raises(BadMessage):
            parse(text)


def test_values_are_counted_before_they_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untrusted_json, "MAX_VALUES", 1000)
    monkeypatch.setattr(untrusted_json, "_HARMLESS", 100)
    for many in ("[" + "[]," * 1001 + "[]]", "[" + '"",' * 1001 + '""]', "[" + "{}," * 1001 + "{}]"):
        with pytest.raises(ValueError, match="more values"):
            read(many)
    # Brackets in strings are text.
    assert read(json.dumps(["[],{}" * 1000, '\\"[' * 1000, "\\" * 999])) == ["[],{}" * 1000, '\\"[' * 1000, "\\" * 999]


def test_depth_is_measured_no_further_than_needed() -> None:
    assert [depth(value, 9) for value in (1, [], {}, [[1], {"a": [2]}])] == [0, 1, 1, 3]
    assert depth(deep(500), 9) == 10


@pytest.mark.parametrize(
    "more",
    [
        {"seconds": -1},
        {"seconds": "1"},
        {"output": None},
        {"output": ["x"]},
        {"variables": [VARIABLE] * 1001},
        {"variables": [{**VARIABLE, "name": "n" * 1_000_000}]},
        {"variables": [{**VARIABLE, "size": -1}]},
        {"variables": [{**VARIABLE, "size": 1 << 63}]},
        {"variables": [{**VARIABLE, "size": 10**4000}]},
        {"variables": [{**VARIABLE, "preview": "p" * 1001}]},
        {"final": "text"},
        {"error": "text"},
        {"snapshot": None},
        {"snapshot": {"groups": [{**GROUP, "chunks": ["../../etc/passwd"]}]}},
        {"snapshot": {"groups": [{**GROUP, "chunks": ["0" * 64 + "\n"]}]}},
        {"snapshot": {"groups": [{**GROUP, "names": [1]}]}},
        {"snapshot": {"groups": [{**GROUP, "names": ["n" * 1_000_000]}]}},
        {"snapshot": {"groups": [{**GROUP, "lost": {"a": None}}]}},
        {"snapshot": {"groups": [{**GROUP, "form": {}}]}},
        {"snapshot": {"gone": ["a"] * 100_001}},
    ],
    ids=str,
)
def test_an_invalid_result_is_a_bad_message(more: dict[str, Any]) -> None:
    parse_ended(json.dumps({**ENDED, "snapshot": {"groups": [GROUP]}, "variables": [VARIABLE]}))
    with pytest.raises(BadMessage, match="a result that is none"):
        parse_ended(json.dumps({**ENDED, **more}))


def test_an_answer_that_is_nested_too_deeply_becomes_its_text() -> None:
    assert parse_ended(json.dumps({**ENDED, "final": {"value": deep(MAX_DEPTH)}})).final == Final(deep(MAX_DEPTH))
    final = parse_ended(json.dumps({**ENDED, "final": {"value": deep(MAX_DEPTH + 1)}})).final
    assert final == Final(json.dumps(deep(MAX_DEPTH + 1)), "list")


@pytest.mark.parametrize(
    "calls",
    [
        [],
        [CALL, CALL],
        [{**CALL, "id": 2}, CALL],
        [{**CALL, "id": 0}],
        [{**CALL, "id": -1}],
        [{**CALL, "id": True}],
        [{**CALL, "id": 1.0}],
        [{**CALL, "id": (1 << 53) + 1}],
        [{**CALL, "kind": "shell"}],
        [{**CALL, "prompt": 1}],
        [{**CALL, "options": {"model": "m" * 201}}],
        [{**CALL, "options": {"schema": []}}],
        [{**CALL, "options": {"schema": {"a": deep(MAX_DEPTH)}}}],
        [{**CALL, "options": {"schema": {"a": "x" * (1 << 20)}}}],
        [{**CALL, "id": number} for number in range(1, 1002)],
        {"0": CALL},
    ],
    ids=lambda calls: str(calls)[:60],
)
def test_invalid_calls_are_a_bad_message(calls: Any) -> None:
    with pytest.raises(BadMessage):
        parse_calls(json.dumps(calls))


def test_the_weight_of_a_call_covers_its_texts_and_an_overhead_for_each() -> None:
    light, heavy = (
        parse_calls(json.dumps([{**CALL, "options": options}]))[0].weight
        for options in ({}, {"schema": {"a": "x" * 1000}, "context": {"kind": "own", "parts": []}})
    )
    assert 0 < light < 5000 and light + 1000 < heavy < light + 1100
    parts = {"kind": "documents", "parts": [{"name": ""}] * 100}
    assert parse_calls(json.dumps([{**CALL, "options": {"context": parts}}]))[0].weight > light + 100 * 100


def test_chunks_are_split_by_their_sizes() -> None:
    assert parse_chunks([1, 0, 2], b"abc") == [b"a", b"", b"bc"]
    for sizes in ([1, 3], [-1, 4], [1.0, 2], ["3"], None, {}, [4, -1], [1 << 70]):
        with pytest.raises(BadMessage):
            parse_chunks(sizes, b"abc")


NAMES = (
    *(
        "id",
        "kind",
        "prompt",
        "options",
        "origin",
        "ranges",
        "schema",
        "context",
        "parts",
        "name",
        "text",
        "start",
        "meta",
        "output",
        "error",
    ),
    *("final", "value", "variables", "snapshot", "groups", "names", "lost", "chunks", "about", "form", "other"),
)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from([1 << 53, 1 << 64, 10**400])
    | st.floats()
    | st.sampled_from(["llm", "own", "text", "documents", "\ud800", "0" * 64, ""])
)
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=15,
)


@st.composite
def changed(draw: st.DrawFn) -> Any:
    """Return a message that a kernel would send, with one part of it replaced, dropped or added."""
    part = {"name": "n", "text": "x", "meta": {"page": 1}}
    context = {"kind": "text", "parts": [part]}
    options = {"context": context, "schema": {"type": "object"}, "max_tokens": 5}
    origin = {"block": 1, "line": 2, "ranges": [["n", 0, 1]]}
    value: Any = draw(
        st.sampled_from(
            [
                [CALL, {**CALL, "id": 2, "options": options, "origin": origin, "attachments": ["0" * 64]}],
                {
                    **ENDED,
                    "variables": [VARIABLE],
                    "final": {"value": [1]},
                    "error": {"name": "E", "message": "m", "traceback": "t"},
                    "snapshot": {"groups": [{**GROUP, "about": [VARIABLE], "lost": {"a": "why"}}], "gone": ["b"]},
                },
                {"names": ["a"], "lost": {"b": "why"}, "other": ["a"]},
            ]
        )
    )
    top = value = json.loads(json.dumps(value))
    while True:
        keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw(st.sampled_from(keys)) if keys else None
        if key is not None and isinstance(value[key], dict | list) and draw(st.integers(0, 2)):
            value = value[key]
            continue
        if isinstance(value, dict):
            value[key or draw(st.sampled_from(NAMES))] = draw(ANYTHING)
        elif key is None:
            value.append(draw(ANYTHING))
        else:
            value[key] = draw(ANYTHING)
        return top


@settings(max_examples=2500, deadline=None, derandomize=True, database=None)
@given(changed() | ANYTHING, st.booleans())
def test_any_value_is_accepted_or_a_bad_message(value: Any, escaped: bool) -> None:
    said = json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    for parse in (parse_calls, parse_ended, parse_restored, parse_compared):
        try:
            taken = parse(said)
        except BadMessage as error:
            assert len(str(error)) < 300
        else:
            # An accepted value can be written again.
            json.dumps(str(taken), ensure_ascii=False).encode()


@settings(max_examples=1500, deadline=None, derandomize=True, database=None)
@given(st.binary(max_size=60) | st.text(st.characters(codec=None), max_size=60))
def test_any_bytes_are_a_bad_message(said: bytes | str) -> None:
    for parse in (parse_calls, parse_ended, parse_restored, parse_compared):
        with pytest.raises(BadMessage):
            parse(said)
