"""Names by content: of calls, so that an answer is found again whatever the order, and of positions.

A call's key is its turn, the hash of what is asked, and its occurrence number among equal asks of that
turn. Order is no part of it: threads and asyncio in a cell make order meaningless.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

START = "0" * 64
"""The position of a kernel that has run nothing."""


def digest(*parts: Any) -> str:
    """SHA-256 in hex of plain JSON data."""
    return digest_of_written(*map(written, parts))


def written(part: Any) -> str:
    """Plain JSON data as it goes into a digest."""
    return json.dumps(part, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest_of_written(*parts: str) -> str:
    """The same digest, of parts that are written already."""
    return hashlib.sha256(f"[{','.join(parts)}]".encode()).hexdigest()


def content_key(kind: str, prompt: str, model: str, schema: dict[str, Any] | None, context: str | None = None) -> str:
    """The hash of what a sub-call asks, `context` being that of what it hands over: equal asks have equal keys."""
    return digest("call", kind, prompt, model, schema, *([] if context is None else [context]))


def call_key(turn: int, content: str, occurrence: int) -> str:
    """A sub-call's key within its thread; `occurrence` counts equal asks of the turn from 1."""
    return f"{turn}:{content[:40]}:{occurrence}"


def shared_key(content: str) -> str:
    """The key of a `cache=True` call: one for the whole run, whichever turn asks."""
    return f"shared:{content[:40]}"


def turn_of_call(key: str) -> int | None:
    """The turn whose cell made the sub-call with this key; None for a `cache=True` call, which any may have made."""
    turn, _, _ = key.partition(":")
    return int(turn) if turn.isdecimal() else None


def root_key(turn: int, told: str, *, last: bool) -> str:
    """A root turn's key: `told` is the digest of what the root model is told, but for what is left of the budget.

    What is left changes with a resume, and must not make a recorded turn unfindable.
    """
    return f"{turn}:root:{told[:40]}{':last' if last else ''}"


def direct_key(told: str) -> str:
    """The key of the one request that is given the whole input: `told` is the digest of what it is made from."""
    return f"0:direct:{told[:40]}"


def cell_digest(turn: int, blocks: Iterable[str]) -> str:
    """The hash of one cell's code."""
    return digest("cell", turn, list(blocks))


class AnswerSet:
    """An order-free digest over the answers delivered to one cell."""

    def __init__(self) -> None:
        self._sum = 0
        self.count = 0

    def add(self, key: str, answer: str) -> None:
        """Count one delivered answer (or failure), by its key and the hash of what was delivered."""
        self._sum = (self._sum + int(digest(key, answer), 16)) % (1 << 256)
        self.count += 1

    @property
    def digest(self) -> str:
        """64 hex digits."""
        return f"{self._sum:064x}"


def advance(position: str, cell: str, answers: str) -> str:
    """The position after a cell has ended: the chain so far, its code, and the set of its answers."""
    return digest("position", position, cell, answers)


def edited(position: str, values: Mapping[str, str]) -> str:
    """The position after a person set variables: the chain so far, and the hashes of the values by name."""
    return digest("edit", position, dict(values))
