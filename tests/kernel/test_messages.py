"""Messages of kernels are hostile: an invalid call ends the kernel, not its host."""

import json
from typing import Any

import pytest

from durable_rlm.kernel import posted_calls
from durable_rlm.kernel.inside.protocol import CALL_WEIGHT, MAX_OUTPUT_TOKENS, MOST_BLOCKS, PART_WEIGHT
from durable_rlm.kernel.messages import parse_ended
from durable_rlm.kernel.posted_calls import parse_calls
from durable_rlm.kernel.results import CellResult
from durable_rlm.kernel.session import Origin, PostedCall
from durable_rlm.kernel.untrusted_json import BadMessage
from durable_rlm.state.input.child_context import PostedContext, PostedPart


def call(context: Any, **more: Any) -> str:
    return json.dumps([{"id": 1, "kind": "rlm", "prompt": "q", "options": {"context": context}, **more}])


def plain(**more: Any) -> str:
    return json.dumps([{"id": 1, "kind": "llm", "prompt": "q", **more}])


def text(**part: Any) -> dict[str, Any]:
    return {"kind": "text", "parts": [{"name": "", **part}]}


def test_valid_calls_are_parsed() -> None:
    [posted] = parse_calls(call({"kind": "own", "parts": []}))
    assert posted.context == PostedContext("own")
    [posted] = parse_calls(call(text(text="x\ud800")))
    assert posted.context == PostedContext("text", (PostedPart(text="x\ufffd"),))
    parts = [{"name": "a", "start": 1, "end": 2, "meta": {"page": 1}}, {"name": "b", "text": ""}]
    [posted] = parse_calls(call({"kind": "documents", "parts": parts}))
    assert posted.context == PostedContext(
        "documents", (PostedPart("a", None, 1, 2, {"page": 1}), PostedPart("b", text=""))
    )
    assert parse_calls(call(None))[0].context is None


@pytest.mark.parametrize(
    "context",
    [
        "text",
        {"kind": "text"},
        {"kind": "file", "parts": []},
        {"kind": "own", "parts": [{"name": "", "text": "x"}]},
        {"kind": "text", "parts": []},
        {"kind": "text", "parts": [{"name": "", "text": "x"}] * 2},
        text(start=2, end=1),
        text(start=-1, end=1),
        text(start=0, end=1.0),
        text(start=0, end=1 << 60),
        text(start="0", end="1"),
        text(text="x", start=0, end=1),
        text(text=5),
        text(text="x", name="n" * 10_001),
        text(text="x", name=None),
        text(text="x", meta=[]),
        text(text="x", other=1),
        {"kind": "own", "parts": [], "other": 1},
    ],
)
def test_an_invalid_context_is_a_bad_message(context: Any) -> None:
    with pytest.raises(BadMessage):
        parse_calls(call(context))


def test_texts_names_and_metadata_are_limited_together_with_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posted_calls, "MAX_PROMPT", 100)
    for part in ({"text": "x" * 100}, {"name": "x" * 100}, {"meta": {"x": "y" * 95}}):
        with pytest.raises(BadMessage, match="more text than a call may have"):
            parse_calls(call(text(**part)))
    parse_calls(call(text(text="x" * 99)))


def test_the_number_of_documents_is_limited() -> None:
    parts = [{"name": ""}] * (posted_calls.MAX_PARTS + 1)
    with pytest.raises(BadMessage, match="200000"):
        parse_calls(call({"kind": "documents", "parts": parts}))
    assert len(parse_calls(call({"kind": "documents", "parts": parts[1:]}))) == 1


HASH = "0a" * 32
OPTIONS = {"model": "m", "schema": {"type": "object"}, "cache": True, "context": None, "max_tokens": 5}
ORIGIN = {"block": 1, "line": 2, "ranges": [["a.txt", 0, 5], ["b.txt", 3, 3]]}


def test_a_call_has_this_shape() -> None:
    more = {"arguments": {"x": [1]}, "options": OPTIONS, "origin": ORIGIN, "attachments": [HASH], "rest": 3}
    [posted] = parse_calls(plain(**more))
    assert posted == PostedCall(
        id=1,
        kind="llm",
        prompt="q",
        model="m",
        schema={"type": "object"},
        cache=True,
        max_tokens=5,
        arguments={"x": [1]},
        origin=Origin(1, 2, (("a.txt", 0, 5), ("b.txt", 3, 3))),
        attachments=(HASH,),
    )
    assert posted.rest == 3


def test_all_of_a_call_but_its_kind_and_prompt_may_be_left_out() -> None:
    [posted] = parse_calls(plain())
    assert posted == PostedCall(1, "llm", "q")
    assert parse_calls(plain(options={}, origin={}, attachments=[], arguments=None)) == [posted]
    for missing in ("kind", "prompt"):
        with pytest.raises(BadMessage):
            parse_calls(json.dumps([{key: value for key, value in json.loads(plain())[0].items() if key != missing}]))


@pytest.mark.parametrize(
    "more",
    [
        {"model": "m"},
        {"schema": {}},
        {"cache": True},
        {"context": None},
        {"max_tokens": 5},
        {"other": 1},
        {"kind": "tool"},
        {"prompt": None},
        {"rest": 0},
        {"arguments": []},
        {"arguments": {"x": "y" * posted_calls.MAX_ARGUMENTS}},
        {"options": None},
        {"options": {"other": 1}},
        {"options": {"model": "m" * 201}},
        {"options": {"schema": []}},
        {"options": {"cache": 1}},
        {"options": {"max_tokens": 0}},
        {"options": {"max_tokens": True}},
        {"options": {"max_tokens": 5.0}},
        {"options": {"max_tokens": MAX_OUTPUT_TOKENS + 1}},
        {"origin": {"other": 1}},
        {"origin": {"block": 0}},
        {"origin": {"line": 0}},
        {"origin": {"line": True}},
        {"origin": {"line": 1 << 60}},
        {"origin": {"ranges": [["a", 2, 1]]}},
        {"origin": {"ranges": [["a", -1, 1]]}},
        {"origin": {"ranges": [["a", 0, 1 << 60]]}},
        {"origin": {"ranges": [["a", 0.0, 1]]}},
        {"origin": {"ranges": [["a", "0", 1]]}},
        {"origin": {"ranges": [["a", False, 1]]}},
        {"origin": {"ranges": [["a", 0]]}},
        {"origin": {"ranges": [["a", 0, 1, 2]]}},
        {"origin": {"ranges": [[1, 0, 1]]}},
        {"origin": {"ranges": ["abc"]}},
        {"origin": {"ranges": [["n" * 10_001, 0, 1]]}},
        {"origin": {"ranges": [["a", 0, 1]] * (posted_calls.MAX_RANGES + 1)}},
        {"attachments": HASH},
        {"attachments": [HASH.upper()]},
        {"attachments": [HASH + "\n"]},
        {"attachments": ["../" + HASH]},
        {"attachments": [HASH] * (posted_calls.MAX_ATTACHMENTS + 1)},
    ],
)
def test_a_call_of_another_shape_is_a_bad_message(more: dict[str, Any]) -> None:
    with pytest.raises(BadMessage):
        parse_calls(plain(**more))


def test_arguments_that_are_nested_deep_are_a_bad_message() -> None:
    deep: dict[str, Any] = {}
    for _ in range(101):
        deep = {"x": deep}
    with pytest.raises(BadMessage, match="arguments"):
        parse_calls(plain(arguments=deep))


def test_a_message_of_many_unknown_keys_is_refused_without_an_error_for_each() -> None:
    many = {f"k{number}": 0 for number in range(1_000)}
    for more in (many, {"options": many}, {"origin": many}, {"options": {"context": text(text="x", **many)}}):
        with pytest.raises(BadMessage, match="more keys"):
            parse_calls(plain(**more))
    with pytest.raises(BadMessage, match="more keys"):
        parse_calls(plain(kind="search", arguments=many))


def test_all_that_a_call_carries_counts_as_its_weight() -> None:
    def weight(**more: Any) -> int:
        return parse_calls(plain(**more))[0].weight - CALL_WEIGHT - len("q")

    assert weight() == 0
    assert weight(arguments={"x": 1}) == len('{"x": 1}')
    assert weight(options={"schema": {"x": 1}}) == len('{"x": 1}')
    assert weight(origin=ORIGIN) == 2 * PART_WEIGHT + len("a.txtb.txt")
    assert weight(attachments=[HASH] * 3) == 3 * PART_WEIGHT
    assert weight(options={"context": text(text="four")}) == PART_WEIGHT + 4


def test_names_of_documents_in_ranges_are_limited_with_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posted_calls, "MAX_PROMPT", 100)
    with pytest.raises(BadMessage, match="more text than a call may have"):
        parse_calls(plain(origin={"ranges": [["n" * 100, 0, 1]]}))


def ended(output: str, *blocks: dict[str, Any], seconds: float = 1.0) -> CellResult:
    said = {
        "output": output,
        "seconds": seconds,
        "snapshot": {},
        "blocks": [{"seconds": 0, "computed": 0} | one for one in blocks],
    }
    return parse_ended(json.dumps(said))


def test_blocks_take_no_longer_than_their_cell() -> None:
    [block] = ended("ab", {"output": [0, 2], "seconds": 9e9, "computed": 8e9, "error": "E" * 9_999}).blocks
    assert (block.start, block.end, block.seconds, block.computed, len(block.error or "")) == (0, 2, 1.0, 1.0, 1_000)


@pytest.mark.parametrize("places", [[[0, 3]], [[1, 0]], [[0, 2], [1, 2]], [[0, 1 << 53]]])
def test_blocks_that_cannot_have_printed_the_output_are_left_out(places: list[list[int]]) -> None:
    assert ended("ab", *({"output": place} for place in places)).blocks == ()


@pytest.mark.parametrize(
    "block",
    [
        {"output": [-1, 1]},
        {"output": [0, 1 << 60]},
        {"output": [0]},
        {"output": "ab"},
        {"output": [0, 1], "seconds": -1},
        {"output": [0, 1], "seconds": "1"},
        {"output": [0, 1], "computed": None},
        {"output": [0, 1], "error": 5},
    ],
)
def test_a_malformed_block_ends_the_kernel(block: dict[str, Any]) -> None:
    with pytest.raises(BadMessage):
        ended("ab", block)


def test_more_blocks_than_a_kernel_says_end_it() -> None:
    with pytest.raises(BadMessage):
        ended("", *[{"output": [0, 0]}] * (MOST_BLOCKS + 1))
