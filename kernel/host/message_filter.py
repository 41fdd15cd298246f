"""Filters a kernel's messages before anything else reads them: its code is assumed to be hostile.

A kernel signs its messages with a key that its code knows, so a signature says only whose connection it is. Only
messages that a kernel may send at this point are accepted. Their JSON is passed on as bytes: the host serves every
kernel, so it neither parses nor copies more than it must.
"""

import hmac
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ..inside.protocol import Message, reply_to

WINDOW = 4 << 20
"""The most that calls which a kernel posts ahead of their being taken may weigh (`PostedCall.weight`)."""
JUNK = 16
"""Number of meaningless messages that a kernel may send before it is ended."""
MOST_PARTS = 8
"""Most parts of a message."""
LATE = 16 << 20
"""Most bytes of calls that may still be on their way when their cell has ended, plus one message of any size."""

_DELIMITER = b"<IDS|MSG>"
_HEADER = 64 << 10
_SMALL = 1 << 20
_EACH = 1 << 10


class ProtocolViolation(Exception):
    """A message that a kernel cannot have sent by mistake: the kernel has to be ended."""


@dataclass(frozen=True)
class KernelMessage:
    """A message of a kernel that has passed the filter."""

    event: str
    """`setup`, `calls`, `chunks`, `part`, `ended`, `restored` or `compared`."""
    content: dict[str, Any] = field(default_factory=dict[str, Any])
    """For `setup`, a small object that is not checked further; for `chunks`, `sizes`, a list of int."""
    attached: bytes = b""


class _Junk(Exception):
    """A message that no unmodified kernel sends."""


class MessageFilter:
    """The filter of one kernel's messages. No message raises anything but ProtocolViolation."""

    def __init__(self, sign: Callable[[Sequence[bytes]], bytes]) -> None:
        """Use `sign` to compute the signature of the four parts of a message."""
        self._sign = sign
        self._expected: Counter[str] = Counter()
        self._junk = 0
        self._late = 0

    def expect_reply(self, kind: str) -> None:
        """Record that the kernel was sent a request of this kind, which it answers once."""
        self._expected[reply_to(kind)] += 1
        if kind == Message.CELL:
            self._late = 0

    def accept(self, parts: Sequence[bytes]) -> KernelMessage | None:
        """Return an accepted message; None for a meaningless one. Raises ProtocolViolation for too many of those."""
        try:
            return self._checked(parts)
        except _Junk as junk:
            self._junk += 1
            if self._junk > JUNK:
                raise ProtocolViolation(f"more than {JUNK} messages that are none, at last {junk}") from None
            return None

    def _checked(self, parts: Sequence[bytes]) -> KernelMessage | None:
        if not 6 <= len(parts) <= MOST_PARTS or parts[0] != _DELIMITER:
            raise _Junk("one of other parts")
        _, signature, *signed = parts[:6]
        beside = parts[6:]
        if sum(map(len, signed[:3])) > _HEADER or len(signed[3]) > _SMALL or len(signature) > _EACH:
            raise _Junk("one of great size")
        if not hmac.compare_digest(signature, self._sign(signed)):
            raise _Junk("one that is not signed")
        match _object(signed[0]).get("msg_type"):
            case Message.CALLS:
                return self._calls(_only(beside))
            case Message.CHUNKS:
                if not self._expected[Message.CELL_REPLY]:
                    raise _Junk("variables that nobody asked for")
                return KernelMessage("chunks", {"sizes": _sizes(signed[3])}, _only(beside))
            case Message.ANSWER_PART:
                if not self._expected[Message.CELL_REPLY]:
                    raise _Junk("a part of an answer that nobody asked for")
                return KernelMessage("part", attached=_only(beside))
            case Message.SETUP_REPLY:
                self._answered(Message.SETUP_REPLY)
                return KernelMessage("setup", _object(signed[3]))
            case str() as kind if kind in _EVENTS:
                self._answered(kind)
                return KernelMessage(_EVENTS[kind], attached=_only(beside))
            case _:
                raise _Junk("one of no known kind")

    def _answered(self, kind: str) -> None:
        if not self._expected[kind]:
            raise _Junk("an answer that nobody asked for")
        self._expected[kind] -= 1

    def _calls(self, body: bytes) -> KernelMessage:
        if not self._expected[Message.CELL_REPLY]:
            # The cell's end came over another socket and may have overtaken these calls.
            if self._late > LATE:
                raise ProtocolViolation("calls while no cell was running")
            self._late += len(body) + _EACH
        return KernelMessage("calls", attached=body)


def _only(beside: Sequence[bytes]) -> bytes:
    if len(beside) != 1:
        raise _Junk("one without what it tells")
    return beside[0]


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Junk("one that is no JSON") from error
    if not isinstance(value, dict):
        raise _Junk("one that is no object")
    return cast(dict[str, Any], value)


def _sizes(text: bytes) -> list[int]:
    sizes = _object(text).get("sizes")
    if not isinstance(sizes, list) or not all(type(size) is int for size in cast(list[Any], sizes)):
        raise _Junk("variables without their sizes")
    return cast(list[int], sizes)


_EVENTS = {
    Message.CELL_REPLY: "ended",
    Message.RESTORE_REPLY: "restored",
    Message.COMPARE_REPLY: "compared",
}
