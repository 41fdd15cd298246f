"""Read the body of a chat completion as it arrives, streamed or whole: some servers only stream, some do unasked.

Servers are not trusted: a stream may be endless, a line of it may be, and a reply may repeat itself for ever.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, cast

from ..replies.repetition import LOOKED_AT, repeats_itself
from .error_words import one_line
from .errors import AttemptFailed, Failure
from .provider_protocol import OnPiece, ignore_piece

MOST_STREAMED = 64 << 20
"""Bytes of the longest stream that is read: 100,000 tokens, each an event with all that servers add to one."""
MOST_WHOLE = 8 << 20
"""Bytes of the longest reply that is not streamed, and of the longest line of a stream."""
MOST_LINES = 1_000_000
"""Lines of the longest stream that are not blank: an event takes one or two, and some 10 µs to read."""
MOST_EMPTY = 50_000
"""Events without a piece of a reply: some servers send one now and then while a model thinks."""
_CHECKED_EVERY = 1_000
"""New characters after which the end of a streamed text is looked at."""
_SHOWN = 1_000
_BEFORE_TEXT = b"\xef\xbb\xbf \t\r\n"
_BEGINS_WHOLE = (b"{", b"[", b"<", b'"')
_FACTS = ("id", "model", "created", "usage")
_TEXTS = frozenset({"content", "reasoning_content", "reasoning", "refusal"})
_MOST_CALLS = 16
_FIELDS = frozenset({b"data", b"error"})
"""Names of the lines of a stream that matter; `error` is llama.cpp's."""
_JSON = json.JSONDecoder()

Json = dict[str, Any]


class Incoming:
    """The body of a reply, as far as it has arrived. `on_piece` is called with each piece of text of a stream."""

    def __init__(self, on_piece: OnPiece = ignore_piece) -> None:
        self._assembly = _Assembly(on_piece)
        self._unread: list[bytes] = []
        """The part of a line that has arrived, or of a reply that is no stream."""
        self._unread_size = 0
        self._size = self._lines = self._empty = 0
        self._beginning = b""
        self._whole: bool | None = None
        """True for a reply that is no stream; None before its first character."""
        self._said_done = False

    @property
    def done(self) -> bool:
        """True when nothing that may follow belongs to the reply."""
        return self._said_done or self._assembly.repeats

    @property
    def repeats(self) -> bool:
        """True when the model repeats itself without end: the server must be stopped."""
        return self._assembly.repeats

    @property
    def finished(self) -> bool:
        """True when the server has said why the model stopped; only the usage may follow."""
        return self._assembly.finished

    def feed(self, data: bytes) -> None:
        """Take in the next bytes. Raises AttemptFailed for too many, ValueError with the server's dict for an error."""
        if self._whole is None and (first := data.lstrip(_BEFORE_TEXT)):
            self._whole, self._beginning = first.startswith(_BEGINS_WHOLE), first[:_SHOWN]
        self._size += len(data)
        lines, newline, rest = (b"", b"", data) if self._whole else data.rpartition(b"\n")
        self._check_size(len(lines) if newline else len(rest))
        if newline:
            # By bytes, not by `splitlines`: a text may have other line separators, such as U+2028, as they are.
            for line in b"".join([*self._unread, lines]).split(b"\n"):
                if line:
                    self._read_line(line)
            self._unread, self._unread_size = [], 0
        self._unread.append(rest)
        self._unread_size += len(rest)

    def completion(self) -> Any:
        """Return the completion at the end of the body, in the form of one that is not streamed.

        Raises AttemptFailed for a stream that broke off and for what is no completion.
        """
        rest = b"".join(self._unread)
        if self._whole:
            try:
                return json.loads(rest)
            except (ValueError, RecursionError):
                raise _no_completion(self._beginning) from None
        try:
            self._read_line(rest)
        except AttemptFailed:
            if not self._assembly.events:
                raise
        if not self._assembly.events and not self._said_done:
            raise _no_completion(self._beginning)
        if not (self.finished or self._said_done):
            raise AttemptFailed(Failure("server", "its answer broke off", True))
        return self._assembly.completion()

    def _check_size(self, line: int) -> None:
        if self._size > MOST_STREAMED or self._unread_size + line > MOST_WHOLE:
            raise AttemptFailed(Failure("garbage", f"its reply is longer than {MOST_WHOLE >> 20} MB", True))

    def _read_line(self, line: bytes) -> None:
        """Read one line of a stream: an event, or one that does not matter."""
        self._lines += 1
        if self._lines > MOST_LINES or self._empty > MOST_EMPTY:
            raise AttemptFailed(Failure("garbage", "its reply is a stream of too many events", True))
        name, _, value = line.partition(b":")
        if name not in _FIELDS or self._said_done or self._assembly.repeats:
            return
        data = value.strip().decode(errors="replace")
        if data == "[DONE]":
            self._said_done = True
            return
        try:
            # Half the time of `json.loads`, which is a third of what an event takes.
            event, end = _JSON.raw_decode(data)
        except (ValueError, RecursionError):
            event, end = None, -1
        if end != len(data):
            raise _no_completion(line)
        if name == b"error":
            raise ValueError(event)
        before = self._assembly.pieces
        if isinstance(event, dict):
            self._assembly.add(cast(Json, event))
        self._empty += self._assembly.pieces == before


def _no_completion(body: bytes) -> AttemptFailed:
    said = body[:_SHOWN].decode(errors="replace").strip()
    return AttemptFailed(Failure("garbage", f"no JSON: {one_line(said)}" if said else "an empty reply", True))


@dataclass
class _Call:
    """A call of a tool, as far as it has arrived."""

    id: Any = None
    name: list[str] = field(default_factory=list[str])
    arguments: list[str] = field(default_factory=list[str])

    def completed(self) -> Json:
        function = {"name": "".join(self.name), "arguments": "".join(self.arguments)}
        return {"type": "function", "function": function, **({"id": self.id} if self.id else {})}


class _Assembly:
    """The first choice of a streamed completion, as far as it has arrived."""

    def __init__(self, on_piece: OnPiece) -> None:
        self.events = 0
        self.repeats = False
        self.pieces = 0
        """The pieces of text that have arrived."""
        self._on_piece = on_piece
        self._reply: Json = {}
        self._choice: Json = {"index": 0, "finish_reason": None}
        self._texts: defaultdict[str, list[str]] = defaultdict(list)
        self._calls: defaultdict[int, _Call] = defaultdict(_Call)
        self._tail = ""
        """The last characters of all texts, as of the last check."""
        self._unchecked: list[str] = []
        self._unchecked_size = 0

    @property
    def finished(self) -> bool:
        """True when it is known why the model stopped."""
        return bool(self._choice["finish_reason"])

    def add(self, event: Json) -> None:
        """Take in one event. Raises ValueError for an error."""
        self.events += 1
        if event.get("error") or event.get("object") == "error":
            raise ValueError(event.get("error") or event)
        for name in _FACTS:
            if value := event.get(name):
                self._reply[name] = value
        part = _first(event.get("choices"))
        if reason := part.get("finish_reason"):
            self._choice["finish_reason"] = reason
        if error := part.get("error"):
            self._choice.update(error=error, finish_reason="error")
        self._add_delta(_dict(part.get("delta") or part.get("message")))

    def _add_delta(self, delta: Json) -> None:
        before = None
        for name, text in delta.items():
            if name in _TEXTS and isinstance(text, str) and text:
                self._texts[name].append(text)
                # Some servers send a thought under both of its names.
                if text != before:
                    self._arrived(text)
                before = text
            elif name == "tool_calls" and isinstance(text, list):
                for call in cast("list[Any]", text):
                    self._add_call(_dict(call))

    def _arrived(self, text: str) -> None:
        self.pieces += 1
        self._on_piece(text)
        self._unchecked.append(text)
        self._unchecked_size += len(text)
        if self._unchecked_size < _CHECKED_EVERY:
            return
        self._tail = "".join([self._tail, *self._unchecked])[-LOOKED_AT:]
        self._unchecked.clear()
        self._unchecked_size = 0
        if repeats_itself(self._tail):
            self.repeats = True
            self._choice["finish_reason"] = "length"

    def _add_call(self, part: Json) -> None:
        index = part.get("index")
        place = index if isinstance(index, int) else max(self._calls, default=0)
        if place not in self._calls and len(self._calls) >= _MOST_CALLS:
            return
        call, function = self._calls[place], _dict(part.get("function"))
        call.id = part.get("id") or call.id
        for so_far, text in ((call.name, function.get("name")), (call.arguments, function.get("arguments"))):
            if isinstance(text, str) and text:
                so_far.append(text)
                self._arrived(text)

    def completion(self) -> Json:
        """Return the completion as a server sends it that does not stream."""
        message: Json = {"role": "assistant", "content": None, **{n: "".join(t) for n, t in self._texts.items()}}
        if self._calls:
            message["tool_calls"] = [call.completed() for _, call in sorted(self._calls.items())]
        return {**self._reply, "choices": [{**self._choice, "message": message}]}


def _first(choices: Any) -> Json:
    return _dict(cast("list[Any]", choices)[0]) if isinstance(choices, list) and choices else {}


def _dict(value: Any) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}
