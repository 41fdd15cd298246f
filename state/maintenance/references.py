"""What a run's records refer to: texts, snapshots and input, by hash.

Two ways to find out. `hashes_in` takes everything that looks like a hash, however it is stored: what collecting
spares. `references_in` knows the wire format, and says what each reference is for: what verifying reports.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ..blobs.store import HASH_LENGTH

# In msgpack as in JSON a hash is its 64 characters, behind a length or a quote.
_HASH = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}")
_WHOLE = re.compile(r"[0-9a-f]{64}")
_OPAQUE = {"settings", "short", "variables", "changed", "gone", "about", "restore"}
"""What holds a user's or a model's own words, and no references."""


@dataclass(frozen=True)
class Reference:
    """One reference."""

    kind: Literal["text", "snapshot", "input"]
    name: str
    what: str
    """What it is for, such as `the output of turn 3`."""
    turn: int | None = None


def hashes_in(data: bytes) -> set[str]:
    """Everything in a stored value that could be a reference."""
    return {found.decode() for found in _HASH.findall(data)}


def references_in(value: Any) -> Iterator[Reference]:
    """The references in a decoded part of a run's state: a checkpoint, a write, or what a run was started with."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from references_in(item)
    elif isinstance(value, dict):
        yield from _own(value)
        for key, item in value.items():
            if key not in _OPAQUE:
                yield from references_in(item)
    elif hasattr(value, "arg"):
        # LangGraph's Send: a task that is to be started.
        yield from references_in(value.arg)


def _own(record: dict[str, Any]) -> Iterator[Reference]:
    """What a record refers to itself, told by its shape (`schema.py`)."""
    if "pack" in record and "index" in record:
        yield from _some(Reference("input", record["pack"], "the input"))
        yield from _some(Reference("input", record["index"], "the list of the input's documents"))
    elif "typed" in record and "text" in record:
        yield from _some(Reference("text", record["text"], "the answer"))
    elif "asked" in record:
        yield from _some(Reference("text", record["asked"], "what waits for a person"))
    elif "decided" in record:
        yield from _some(Reference("text", record["decided"], "what a person decided"))
    elif "values" in record and "position" in record:
        turn = record.get("turn")
        for name, value in record["values"].items():
            yield from _some(Reference("text", value, f"the value given to {name} after turn {turn}", turn))
        yield from _some(
            Reference("snapshot", record.get("snapshot") or "", f"variables as set after turn {turn}", turn)
        )
    elif "number" in record or ("blocks" in record and "digest" in record):
        turn = record.get("number", record.get("turn"))
        for part in ("reply", "output"):
            yield from _some(Reference("text", record.get(part) or "", f"the {part} of turn {turn}", turn))
        for block in record.get("blocks") or []:
            yield from _some(Reference("text", block, f"the code of turn {turn}", turn))
        yield from _some(Reference("snapshot", record.get("snapshot") or "", f"variables after turn {turn}", turn))


def _some(reference: Reference) -> Iterator[Reference]:
    name: Any = reference.name
    if isinstance(name, str) and len(name) == HASH_LENGTH and _WHOLE.fullmatch(name):
        yield reference
