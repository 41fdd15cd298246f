"""Put a streamed chat completion together: some servers only stream, and some do although they were not asked to."""

import json
from collections import defaultdict
from typing import Any, cast

_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
_MOST_CALLS = 16

Json = dict[str, Any]


def completion_of(body: str) -> Json | None:
    """Return the completion that the server-sent events of a body add up to; None when it is no stream of one.

    Raises ValueError with the server's dict for an error in the stream, as LangChain does for one in a reply.
    """
    assembly = _Assembly()
    # Not `splitlines`: a text may have other line separators, such as U+2028, as they are.
    for line in body.split("\n"):
        data = line.removeprefix("data:").strip()
        if data == line.strip() or data == "[DONE]":
            continue
        try:
            event: Any = json.loads(data)
        except (ValueError, RecursionError):
            return None
        if isinstance(event, dict):
            assembly.add(cast(Json, event))
    return assembly.completion() if assembly.events else None


class _Assembly:
    """The first choice of a streamed completion, as far as it has arrived."""

    def __init__(self) -> None:
        self.events = 0
        self._reply: Json = {}
        self._choice: Json = {"index": 0, "finish_reason": None}
        self._texts: defaultdict[str, list[str]] = defaultdict(list)
        self._calls: dict[int, Json] = {}

    def add(self, event: Json) -> None:
        """Take in one event. Raises ValueError for an error."""
        self.events += 1
        if event.get("error"):
            raise ValueError(event["error"])
        self._reply.update({name: event[name] for name in ("id", "model", "created", "usage") if event.get(name)})
        part = _first(event.get("choices"))
        self._choice.update({name: part[name] for name in ("finish_reason", "error") if part.get(name)})
        delta = _dict(part.get("delta") or part.get("message"))
        for name in _TEXTS:
            if isinstance(text := delta.get(name), str):
                self._texts[name].append(text)
        calls = delta.get("tool_calls")
        for call in cast("list[Any]", calls) if isinstance(calls, list) else []:
            self._add_call(_dict(call))

    def _add_call(self, part: Json) -> None:
        index = part.get("index")
        place = index if isinstance(index, int) else max(self._calls, default=0)
        if place not in self._calls and len(self._calls) >= _MOST_CALLS:
            return
        call = self._calls.setdefault(place, {"type": "function", "function": {"name": "", "arguments": ""}})
        call.update({"id": part["id"]} if part.get("id") else {})
        for name, text in _dict(part.get("function")).items():
            if name in call["function"] and isinstance(text, str):
                call["function"][name] += text

    def completion(self) -> Json:
        """Return the completion as a server sends it that does not stream."""
        message: Json = {"role": "assistant", "content": None, **{n: "".join(t) for n, t in self._texts.items()}}
        if self._calls:
            message["tool_calls"] = [call for _, call in sorted(self._calls.items())]
        return {**self._reply, "choices": [{**self._choice, "message": message}]}


def _first(choices: Any) -> Json:
    return _dict(cast("list[Any]", choices)[0]) if isinstance(choices, list) and choices else {}


def _dict(value: Any) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}
