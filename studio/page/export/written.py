"""Writes a run as one HTML file, for `rlm export --format html`."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ....state.wording import counted, megabytes
from ...cli.common import from_stores
from ...cli.files import AnswerFile
from ...invocation import Invocation
from ...terminal.console import put, say
from ...terminal.escape import safe_json

if TYPE_CHECKING:
    from ....state.stores import Stores
    from .document import Exporting

_STAYS = "The run still has it: choose another place."


def export_page(
    invocation: Invocation, thread: str, path: Path | None, *, inputs: bool, most_calls: int | None
) -> None:
    """Write a run to a file, whole or not at all, or to stdout. Say on stderr what is in it.

    Raises UnknownThread, StoreError, and UsageError when the file cannot be written.
    """
    file = AnswerFile(path, "The page", _STAYS) if path else None
    if file is None:
        done, _ = _written(invocation, thread, sys.stdout.buffer, inputs=inputs, most_calls=most_calls)
        sys.stdout.flush()
        return _say(done)
    found: list[tuple[Exporting, int]] = []

    def write(partial: Path) -> str:
        with partial.open("wb") as opened:
            found.append(_written(invocation, thread, opened, inputs=inputs, most_calls=most_calls))
        return ""

    lines = file.write_by(write)
    [(done, size)] = found
    _say(done)
    for line in lines:
        say(f"{line.removesuffix('.')}: {megabytes(size)}.", whole=True)
    if invocation.json:
        put(
            safe_json(
                {
                    **{"thread_id": done.thread_id, "format": "html", "path": str(path), "bytes": size},
                    **{"turns": done.turns, "calls": done.shown_calls, "calls_left_out": done.calls - done.shown_calls},
                    **{"documents": done.documents, "input_bytes_left_out": done.left_out, "secrets": done.secrets},
                }
            )
        )


def _written(
    invocation: Invocation, thread: str, opened: BinaryIO, *, inputs: bool, most_calls: int | None
) -> "tuple[Exporting, int]":
    """Write a run, and return what was written of it, and its bytes."""
    from ....graph.queries import RunQueries
    from .document import MOST_CALLS, Exporting

    async def work(stores: "Stores") -> "tuple[Exporting, int]":
        name = await RunQueries(stores).resolve(thread)
        invocation.thread = name
        most = MOST_CALLS if most_calls is None else most_calls
        exporting = Exporting(stores, name, most_calls=most, inputs=inputs)
        size = 0
        async for piece in exporting.pieces():
            size += len(piece)
            await asyncio.to_thread(opened.write, piece)
        return exporting, size

    return from_stores(invocation, work)


def _say(done: "Exporting") -> None:
    parts = [counted(done.turns, "turn"), counted(done.shown_calls, "call")]
    if done.inputs and done.documents:
        parts.append(counted(done.documents, "document"))
    say(f"Exported {', '.join(parts)}.", whole=True)
    if (left := done.calls - done.shown_calls) > 0:
        say(f"{counted(left, 'call')} left out: --most-calls has more.", whole=True)
    if done.left_out:
        bounds = "of a document it has the first 200 KB, of all of them 5 MB"
        say(f"{megabytes(done.left_out)} of the input left out of the page: {bounds}.", whole=True)
    if not done.inputs:
        say(
            "The input, and what models were sent, are left out; outputs, answers and variables may still quote them.",
            whole=True,
        )
    if done.secrets:
        say(f"{counted(done.secrets, 'secret')} replaced by marks.", whole=True)
