"""Histories of agents and chats with sentences in every kind of record."""

import json
from random import Random
from typing import Any

from . import Planted, Sample, sentence


def lines(*records: object) -> bytes:
    """Return JSON Lines."""
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def claude(kind: str, content: object, **more: object) -> dict[str, Any]:
    """Return a record of a Claude Code session."""
    message = {"role": kind, "content": content}
    return {
        "parentUuid": "p",
        "sessionId": "s",
        "type": kind,
        "uuid": "u",
        "message": message,
        "timestamp": "t",
        **more,
    }


def codex(kind: str, **payload: object) -> dict[str, Any]:
    """Return a record of a Codex session."""
    return {"timestamp": "2026-01-02T10:00:00Z", "type": kind, "payload": payload}


class _Planter:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.planted: list[Planted] = []

    def __call__(self, part: str, loss: str = "") -> str:
        words = sentence(self.random, part)
        self.planted.append(Planted(words, part, loss))
        return words

    def sample(self, name: str, *records: object, whole: bool = False) -> Sample:
        planted, self.planted = self.planted, []
        return Sample(name, json.dumps(records).encode() if whole else lines(*records), planted)


def samples(random: Random) -> list[Sample]:
    """Make a history of each kind."""
    plant = _Planter(random)
    return [_claude(plant), _codex(plant), _chats(plant), _runs(plant), _exported(plant)]


def _claude(plant: _Planter) -> Sample:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": plant("result")}, image]}
    return plant.sample(
        "s.jsonl",
        {"type": "summary", "summary": plant("summary"), "leafUuid": "x"},
        claude("user", plant("user")),
        claude("user", [{"type": "text", "text": plant("block")}], isMeta=True),
        claude("assistant", [{"type": "thinking", "thinking": plant("thought"), "signature": "abc"}]),
        claude(
            "assistant", [{"type": "tool_use", "name": "Edit", "input": {"new": f'"{plant("argument")}"', "n": [1]}}]
        ),
        claude("user", [result], toolUseResult={"stdout": plant("raw result", "toolUseResult")}),
        claude("user", [{"type": "tool_result", "content": plant("plain result"), "is_error": True}]),
        claude("assistant", [{"type": "novel", "inside": {"text": plant("unknown block")}}]),
        {"type": "system", "sessionId": "s", "content": plant("system"), "subtype": "x"},
        {"type": "queue-operation", "sessionId": "s", "content": plant("queue")},
        {"type": "novel", "sessionId": "s", "deep": {"list": [plant("unknown record")]}},
    )


def _codex(plant: _Planter) -> Sample:
    said = plant("user")
    thought = plant("thought")
    return plant.sample(
        "rollout.jsonl",
        codex("session_meta", id="1", cwd="/work", instructions=plant("instructions")),
        codex("response_item", type="message", role="user", content=[{"type": "input_text", "text": said}]),
        codex("event_msg", type="user_message", message=said),
        codex("event_msg", type="agent_reasoning", text=thought),
        codex("response_item", type="reasoning", summary=[{"type": "summary_text", "text": thought}]),
        codex("event_msg", type="agent_message", message=plant("event")),
        codex("turn_context", model="m", user_instructions=plant("context")),
        codex("response_item", type="function_call", name="shell", arguments=json.dumps({"command": [plant("call")]})),
        codex("response_item", type="function_call_output", output=json.dumps({"output": plant("output"), "code": 0})),
        codex("response_item", type="custom_tool_call", name="patch", input=plant("patch")),
        codex("response_item", type="custom_tool_call_output", output=plant("plain output")),
        codex("response_item", type="local_shell_call", action={"command": ["ls", plant("shell")]}),
        codex("response_item", type="novel", inside={"x": plant("unknown item")}),
        codex("compacted", message=plant("compacted")),
        codex("event_msg", type="token_count", info={"total": 3}),
    )


def _chats(plant: _Planter) -> Sample:
    call = {
        "id": "1",
        "type": "function",
        "function": {"name": "f", "arguments": json.dumps({"city": plant("argument")})},
    }
    answer = {"role": "assistant", "content": plant("choice"), "reasoning_content": plant("thought")}
    return plant.sample(
        "chat.jsonl",
        {
            "messages": [
                {"role": "system", "content": plant("system")},
                {"role": "user", "name": "x", "content": [{"type": "text", "text": plant("user")}]},
                {"role": "assistant", "content": None, "tool_calls": [call], "refusal": plant("refusal")},
                {"role": "tool", "tool_call_id": "1", "content": plant("result")},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "description": plant("tool")}}],
        },
        {"custom_id": "a", "body": {"model": "m", "input": plant("input"), "instructions": plant("instructions")}},
        {"custom_id": "b", "response": {"status_code": 200, "body": {"choices": [{"message": answer}]}}, "error": None},
        {"custom_id": "c", "response": None, "error": {"message": plant("error")}},
    )


def _runs(plant: _Planter) -> Sample:
    human = {"lc": 1, "type": "constructor", "id": ["langchain", "HumanMessage"], "kwargs": {"content": plant("human")}}
    answer = {
        "text": "",
        "message": {"id": ["AIMessage"], "type": "constructor", "kwargs": {"content": plant("answer")}},
    }
    run = {"id": "1", "trace_id": "t", "start_time": "2026-01-02"}
    return plant.sample(
        "runs.jsonl",
        {**run, "run_type": "llm", "inputs": {"messages": [[human]]}, "outputs": {"generations": [[answer]]}},
        {**run, "run_type": "tool", "inputs": {"input": plant("input")}, "outputs": {"output": plant("output")}},
        {**run, "run_type": "chain", "inputs": {"deep": {"x": [plant("deep")]}}, "error": plant("error")},
        {**run, "run_type": "chain", "inputs": {}, "extra": {"metadata": plant("extra", "extra")}},
    )


def _exported(plant: _Planter) -> Sample:
    def node(parent: str | None, *children: str, **message: object) -> dict[str, object]:
        return {"parent": parent, "children": list(children), "message": message or None}

    parts: list[object] = [plant("part"), {"content_type": "image_asset_pointer", "asset_pointer": "file://x"}]
    mapping = {
        "root": node(None, "a"),
        "a": node("root", "b", "c", author={"role": "user"}, content={"content_type": "text", "parts": parts}),
        "b": node(
            "a", author={"role": "assistant"}, content={"content_type": "text", "parts": [plant("first branch")]}
        ),
        "c": node("a", author={"role": "tool"}, content={"content_type": "code", "text": plant("second branch")}),
    }
    return plant.sample(
        "conversations.json", {"title": plant("title"), "mapping": mapping, "current_node": "c"}, whole=True
    )
