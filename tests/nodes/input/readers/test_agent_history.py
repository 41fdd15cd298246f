"""Histories of agents are one readable transcript, and no text of a record is passed over."""

import json
import time
from random import Random

import pytest

from tests.nodes.input.corpus.agent_history import claude, codex, lines, samples
from tests.nodes.input.corpus.silent import silently_lost
from tests.nodes.input.reading import only, read


@pytest.mark.parametrize("seed", range(5))
def test_no_text_of_a_record_is_lost_silently(seed: int) -> None:
    for one in samples(Random(seed)):
        assert silently_lost(one, read(one.name, one.data)) == [], one.name


def test_messages_have_a_number_a_role_and_a_time() -> None:
    draft = only(
        "s.jsonl", lines(claude("user", "please", timestamp="2026-01-02T10:00:00Z"), claude("assistant", "yes"))
    )
    assert draft.text == "## 1 user · 2026-01-02T10:00:00Z\nplease\n\n## 2 assistant · t\nyes\n"
    assert draft.places["messages"] == {"at": [0, 41], "label": ["user", "assistant"]}
    assert (draft.meta["history"], draft.meta["messages"]) == ("Claude Code session", 2)


def test_the_blocks_of_one_reply_are_one_message() -> None:
    first = claude("assistant", [{"type": "thinking", "thinking": "hm"}])
    second = claude("assistant", [{"type": "tool_use", "name": "Bash", "input": {"command": 'echo "a"\nls'}}])
    for one in (first, second):
        one["message"]["id"] = "msg_1"
    draft = only("s.jsonl", lines(first, second))
    assert draft.text == (
        '## 1 assistant · t\n[thinking]\nhm\n[end of thinking]\n[calls Bash]\ncommand: echo "a"\nls\n'
    )


def test_an_event_that_repeats_an_item_is_not_shown_again() -> None:
    item = codex("response_item", type="message", role="user", content=[{"type": "input_text", "text": "hello there"}])
    event = codex("event_msg", type="user_message", message="hello there")
    assert only("r.jsonl", lines(event, item, event)).text.count("hello there") == 1
    assert only("r.jsonl", lines(codex("session_meta", id="1"), event)).text.count("hello there") == 1


def test_texts_that_are_not_shown_are_counted_by_their_field() -> None:
    record = claude("user", [{"type": "tool_result", "content": "all of it"}])
    assert only("s.jsonl", lines({**record, "toolUseResult": {"stdout": "all of it"}})).all_losses() == []
    losses = only("s.jsonl", lines({**record, "toolUseResult": {"stdout": "more than that"}})).all_losses()
    assert losses == ["1 toolUseResult field not shown"]
    chinese = only("s.jsonl", lines({**record, "toolUseResult": "更多内容"})).all_losses()
    assert chinese == ["1 toolUseResult field not shown"]


def test_images_and_encrypted_thoughts_are_counted() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
    draft = only(
        "s.jsonl", lines(claude("user", [image]), claude("assistant", [{"type": "redacted_thinking", "data": "x"}]))
    )
    assert "[image: image/png]" in draft.text
    assert draft.all_losses() == ["1 image not shown", "1 encrypted thought not shown"]


def test_each_line_of_chats_is_a_section() -> None:
    message = {"messages": [{"role": "user", "content": "x"}]}
    draft = only("chat.jsonl", lines(message, {**message, "custom_id": "second"}))
    assert draft.places["sections"]["label"] == ["conversation 1", "second"]
    assert draft.places["messages"]["label"] == ["user", "user"]


def test_damaged_lines_are_shown_and_counted() -> None:
    data = lines(claude("user", "one")) + b'{"broken": "words he\n' + lines(claude("user", "two"))
    draft = only("s.jsonl", data)
    assert '[damaged line] {"broken": "words he' in draft.text
    assert draft.all_losses() == ["1 damaged line not shown"]
    assert draft.meta["messages"] == 2


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, [[3]], {"type": 3}, [{"type": "text"}], [{"type": "image"}]])
def test_records_of_any_shape_are_read(value: object) -> None:
    only("s.jsonl", lines(claude("user", "x"), claude("user", value), {"type": value, "message": value}, value))
    only(
        "r.jsonl",
        lines(codex("session_meta", id="1"), codex("response_item", type="message", role=value, content=value)),
    )
    for kind in ("reasoning", "function_call", "function_call_output", "local_shell_call"):
        item = codex("response_item", type=kind, arguments=value, output=value, summary=value, action=value, name=value)
        only("r.jsonl", lines(codex("session_meta", id="1"), item))
    chat = {"messages": [{"role": "user", "content": value, "tool_calls": value, "name": value}]}
    only("c.jsonl", lines(chat, {"custom_id": value, "response": {"body": value}, "body": value}))
    only("l.jsonl", lines({"run_type": "llm", "id": "1", "inputs": value, "outputs": value, "error": value}))
    export = [{"title": value, "create_time": 1, "mapping": {"a": {"message": value, "children": value}, "b": value}}]
    only("c.json", json.dumps([*export, value, {"mapping": {"a": {"message": {"content": value}}}}]).encode())


def test_a_record_with_too_many_texts_is_said_to_be_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_rlm.nodes.input.readers.transcript._LONGEST_CHECK", 10)
    losses = only("s.jsonl", lines(claude("user", ["some words", "more words"]))).losses
    assert losses == ["a record has too many texts to compare them with what is shown"]


def test_conversations_that_lead_to_themselves_end() -> None:
    content = {"content_type": "text", "parts": ["some words"]}
    message = {"author": {"role": "user"}, "content": content, "create_time": 1e99}
    mapping = {
        "a": {"parent": None, "children": ["b"]},
        "b": {"parent": "a", "children": ["b", "a"], "message": message},
    }
    assert (
        only("c.json", json.dumps([{"mapping": mapping, "current_node": "b"}]).encode()).text.count("some words") == 1
    )


def test_deep_and_long_records_take_linear_time() -> None:
    started = time.process_time()
    deep = b'{"sessionId":"s","type":"user","message":{"role":"user","content":' + b"[" * 900 + b"]" * 900 + b"}}\n"
    many = claude("user", [{"type": "text", "text": f"words {number}"} for number in range(5_000)])
    only("s.jsonl", lines(claude("user", "x")) + deep * 20 + b"[" * 200_000 + b"\n" + lines(many))
    assert time.process_time() - started < 5
