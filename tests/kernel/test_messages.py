"""Messages of kernels are hostile: an invalid call ends the kernel, not its host."""

import json
from typing import Any

import pytest

from durable_rlm.kernel import messages
from durable_rlm.kernel.messages import BadMessage, parse_calls
from durable_rlm.state.input.child_context import PostedContext, PostedPart


def call(context: Any, **more: Any) -> str:
    return json.dumps([{"id": 1, "kind": "rlm", "prompt": "q", "context": context, **more}])


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
    ],
)
def test_an_invalid_context_is_a_bad_message(context: Any) -> None:
    with pytest.raises(BadMessage):
        parse_calls(call(context))


def test_texts_names_and_metadata_are_limited_together_with_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_PROMPT", 100)
    for part in ({"text": "x" * 100}, {"name": "x" * 100}, {"meta": {"x": "y" * 95}}):
        with pytest.raises(BadMessage, match="more text than a call may have"):
            parse_calls(call(text(**part)))
    parse_calls(call(text(text="x" * 99)))


def test_the_number_of_documents_is_limited() -> None:
    parts = [{"name": ""}] * (messages.MAX_PARTS + 1)
    with pytest.raises(BadMessage, match="200000"):
        parse_calls(call({"kind": "documents", "parts": parts}))
    assert len(parse_calls(call({"kind": "documents", "parts": parts[1:]}))) == 1
