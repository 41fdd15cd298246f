"""Name the parts of the input that a root request shows: its beginning, the last cell's output, or all of it.

They are hints for `state/evidence/places.py`, which looks for them in the request's text. What is not there does not
count.
"""

import asyncio
from typing import TYPE_CHECKING

from ...state.blobs.store import Blobs
from ...state.errors import StoredDataDamaged
from ...state.evidence.places import Cut
from ...state.input.context import MOST_HEADS, PREVIEW
from ...state.input.index import document_lines, entry_of
from ...state.run_state import RunState

if TYPE_CHECKING:
    from .active_runs import ActiveRun


async def shown_cuts(state: RunState, run: "ActiveRun", blobs: Blobs) -> list[Cut]:
    """Return what the next root request shows of the input that the one before did not: at most these parts."""
    if turns := run.transcript.turns(state):
        return [(name, start, end) for name, start, end in turns[-1].get("seen", ())]
    return [(name, 0, min(chars, PREVIEW)) for name, chars in (await _documents(run, blobs))[:MOST_HEADS]]


async def whole_cuts(run: "ActiveRun", blobs: Blobs) -> list[Cut]:
    """Return the whole input, as the request of `--mode direct` shows it."""
    return [(name, 0, chars) for name, chars in await _documents(run, blobs)]


async def _documents(run: "ActiveRun", blobs: Blobs) -> list[tuple[str, int]]:
    """Return the names of the documents with their numbers of characters. Empty when the index cannot be read."""
    context = run.context
    if context is None or context["kind"] == "none":
        return []
    if not context["index"]:
        return [("", context["chars"])]
    try:
        lines = document_lines(await asyncio.to_thread(blobs.read, context["index"]))
    except StoredDataDamaged:
        return []
    return [(entry["name"], entry["chars"]) for entry in map(entry_of, lines)]
