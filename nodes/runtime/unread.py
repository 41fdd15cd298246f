"""Say which documents of the input no model was shown, while the run can still ask about them.

The note is for a cell that has made sub-calls. A finish is held back, once in a run, only where sub-calls went through
the documents one by one and left some out. Code that reads everything by itself (it counts, or it selects by what is in
the documents) is not held back.
"""

import ast
import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from ...kernel.results import CellResult
from ...state.blobs.texts import Texts
from ...state.evidence.coverage import coverage_of
from ...state.evidence.journal_places import PlacedRow, rows_until
from ...state.evidence.recorded import asked_alone
from ...state.run_state import RunState, TurnRecord
from ...state.wording import counted
from ..replies.python_source import parse
from .active_runs import ActiveRun
from .dependencies import Dependencies
from .turns import turns_of
from .untrusted_text import cut_output, one_line

_FEWEST = 3
"""Documents of an input from which anything is said."""
_LEAST = 256
"""Bytes of a document that may count as left out: passages of shorter ones cannot always be placed."""
_BETWEEN = 3
"""Turns between two notes."""
_NAMED = 3
_LONGEST_NAME = 60
_LONGEST = 50_000
_SELECTING = re.compile(r"\bre\.|\bfilter\(|\.(?:grep|search|find|count|startswith|endswith)\(")


@dataclass(frozen=True)
class Unread:
    """The documents that models were shown, and were not shown, after a cell."""

    names: tuple[str, ...]
    """Documents that were in no prompt and no output."""
    documents: int
    """The number of documents with text."""
    alone: int
    """The number of documents that sub-calls were about, one by one."""
    unplaced: int
    """Sub-calls of whose prompts nothing is found in the input: they may have been about any document."""

    @property
    def left_out(self) -> bool:
        """True when sub-calls went through the documents one by one, and some were left out."""
        count = len(self.names)
        return 0 < count <= self.documents // 2 <= self.alone and self.unplaced < count

    def __str__(self) -> str:
        were = "was" if len(self.names) == 1 else "were"
        return f"{len(self.names):,} of {counted(self.documents, 'document')} {were} in no prompt or output"


async def unread_after(
    run: ActiveRun, deps: Dependencies, turn: int, result: CellResult, requested: set[str]
) -> Unread | None:
    """Return what models were shown after the cell of a turn; None when nothing is to be said about it.

    A cell that runs again with the same calls gives the same. Raises StoreError.
    """
    context = run.context
    if not requested or context is None or context["documents"] < _FEWEST or run.placing.source is not context:
        return None
    if await run.placing.finish():
        await deps.stores.database.catch_up()
    documents = await run.placing.documents()
    rows = await rows_until(deps.stores.database, run.thread_id, turn, frozenset(requested))
    shown = await run.placing.begin(cut_output(result.output), result.seen)
    rows.append(PlacedRow(run.thread_id, "", "root", turn, True, shown, None))
    pack = context["pack"]

    def summed() -> Unread:
        found = coverage_of(rows, run.thread_id, pack, documents, deps.stores.blobs.path(pack), asked=True)
        placed = [row.places for row in rows if row.places and row.kind != "root"]
        alone, unplaced = asked_alone(placed, pack, documents)
        names = tuple(one.name for one in found.never if one.size >= _LEAST)
        return Unread(names, len(found.with_text), alone, unplaced)

    try:
        return await asyncio.to_thread(summed)
    except OSError:
        return None


def note_on(unread: Unread, turns: Sequence[TurnRecord], turn: int) -> str | None:
    """Return a note for the model; None when it would say nothing new, or was said a short while ago."""
    said = [(one.get("number", 0), one["unread"]) for one in turns if "unread" in one]
    if not unread.names or (said and (turn - said[-1][0] < _BETWEEN or said[-1][1] == len(unread.names))):
        return None
    return f"{unread} so far."


async def reason_to_ask_on(state: RunState, unread: Unread, texts: Texts) -> str | None:
    """Return the note to the model when a finish is held back because documents were left out; None when it counts."""
    turns = turns_of(state)
    if state.get("last") or not unread.left_out or any("unread" in turn or turn.get("replaced") for turn in turns):
        return None
    blocks = [await texts.get(block) for block in chain.from_iterable(turn.get("blocks", []) for turn in turns)]
    if selects(blocks):
        return None
    names = ", ".join(one_line(name[-_LONGEST_NAME:], _LONGEST_NAME) for name in unread.names[:_NAMED])
    more = ", …" if len(unread.names) > _NAMED else ""
    return (
        f"FINAL was held back: {unread} ({names}{more}). Ask about them as about the others and finish again, or "
        "finish with the same value if they do not matter."
    )


def selects(blocks: Sequence[str]) -> bool:
    """Return whether code may have chosen documents by what is in them. In doubt it has."""
    for code in blocks:
        tree = parse(code) if len(code) <= _LONGEST and not _SELECTING.search(code) else None
        if tree is None or any(map(_is_choice, ast.walk(tree))):
            return True
    return False


def _is_choice(node: ast.AST) -> bool:
    """Return whether a node compares something in order to choose."""
    match node:
        case ast.If(test=test) | ast.IfExp(test=test):
            tests = [test]
        case ast.comprehension(ifs=tests):
            pass
        case _:
            return False
    found = chain.from_iterable(map(ast.walk, tests))
    return any(isinstance(one, ast.Compare) and not isinstance(one.ops[0], ast.Is | ast.IsNot) for one in found)
