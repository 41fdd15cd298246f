"""Content-based names: call keys, by which an answer is found again whatever the order, and positions.

A call's key is its turn, the hash of what is asked, and its occurrence number among equal requests of that
turn. Order is not part of it: threads and asyncio in a cell make order meaningless.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

START = "0" * 64
"""The position of a kernel that has run nothing."""


def digest(*parts: Any) -> str:
    """Return the SHA-256 in hex of plain JSON data."""
    return digest_of_written(*map(written, parts))


def written(part: Any) -> str:
    """Return plain JSON data as it enters a digest."""
    return json.dumps(part, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest_of_written(*parts: str) -> str:
    """Return the same digest, of parts already passed through `written`."""
    return hashlib.sha256(f"[{','.join(parts)}]".encode()).hexdigest()


def content_key(
    kind: str,
    prompt: str,
    model: str | None,
    schema: dict[str, Any] | None,
    context: str | None = None,
    max_tokens: int | None = None,
) -> str:
    """Return the hash of what code asks in a sub-call; equal calls have equal keys.

    `model` is the name that the code gave, None when it gave none: with another model or server the key stays. Until
    format 4 it was that of the model which answered. `context`: the context's digest. It and `max_tokens` add nothing
    where they are None, so that the keys of calls recorded before they existed stay the same.
    """
    added = [*([] if context is None else [context]), *([] if max_tokens is None else [{"max_tokens": max_tokens}])]
    return digest("call", kind, prompt, model, schema, *added)


def request_digest(model: str, server: str, parameters: Mapping[str, Any], *asked: Any) -> str:
    """Return the hash of a request: `asked` is sent, as plain JSON, to `model` at `server` with these parameters.

    `server` is an address without credentials, empty for the provider's own.
    """
    return digest("request", model, server, dict(parameters), *asked)


def call_key(turn: int, content: str, occurrence: int) -> str:
    """Return a sub-call's key within its thread; `occurrence` counts equal requests of the turn from 1."""
    return f"{turn}:{content[:40]}:{occurrence}"


def shared_key(request: str) -> str:
    """Return the key of a `cache=True` call from its request's digest: the same for a whole run, whichever turn asks.

    Until format 4 it was made from the content's digest.
    """
    return f"shared:{request[:40]}"


def turn_of_call(key: str) -> int | None:
    """Return the turn whose cell made the sub-call with this key; None for a `cache=True` call.

    A `cache=True` call may come from any turn.
    """
    turn, _, _ = key.partition(":")
    return int(turn) if turn.isdecimal() else None


def root_key(turn: int, request: str, *, last: bool) -> str:
    """Return a root turn's key: `request` is the digest of what the root model is sent, without the rest of the budget.

    The rest of the budget changes with a resume, and must not make a recorded turn unfindable.
    """
    return f"{turn}:root:{request[:40]}{':last' if last else ''}"


def direct_key(request: str) -> str:
    """Return the key of the one request that contains the whole input: `request` is the digest of its parts."""
    return f"0:direct:{request[:40]}"


def cell_digest(turn: int, blocks: Iterable[str]) -> str:
    """Return the hash of one cell's code."""
    return digest("cell", turn, list(blocks))


class AnswerSet:
    """An order-independent digest over the answers delivered to one cell."""

    def __init__(self) -> None:
        self._sum = 0
        self.count = 0

    def add(self, key: str, answer: str) -> None:
        """Add one delivered answer (or failure), by its key and the hash of what was delivered."""
        self._sum = (self._sum + int(digest(key, answer), 16)) % (1 << 256)
        self.count += 1

    @property
    def digest(self) -> str:
        """The digest in 64 hex digits."""
        return f"{self._sum:064x}"


def advance(position: str, cell: str, answers: str) -> str:
    """Return the position after a cell has ended, from the previous position, its code, and the set of its answers."""
    return digest("position", position, cell, answers)


def edited(position: str, values: Mapping[str, str]) -> str:
    """Return the position after variables were edited, from the previous one and the values' hashes by name."""
    return digest("edit", position, dict(values))
