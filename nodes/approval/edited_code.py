"""Replace a cell's code by code of a reviewer or user."""

import ast
import warnings

from ...state.blobs.texts import Texts
from ...state.call_keys import cell_digest
from ...state.errors import UsageError
from ...state.records import CellRef, TurnRecord
from ..replies.python_source import SourceJudge
from ..runtime.turns import short_form


async def replaced(turn: int, code: str, texts: Texts, *, note: str) -> tuple[CellRef, TurnRecord]:
    """Return the cell that has `code`, and its turn's record for the trace."""
    block = await texts.put(code)
    record: TurnRecord = {
        "number": turn,
        # The model is shown the code that ran as its own reply: else it would take the result for that of the code it
        # wrote.
        "reply": await texts.put(_as_reply(code)),
        "blocks": [block],
        "replaced": True,
        "nudge": None,
        "notes": [note],
        "short": short_form("", [code]),
    }
    return {"turn": turn, "blocks": [block], "digest": cell_digest(turn, [block])}, record


def check_code(code: str, where: str = "The code") -> None:
    """Raise UsageError, naming the line, for a text that is not a cell's code."""
    if not code.strip():
        raise UsageError(f"{where} is empty.")
    if SourceJudge(characters=len(code) * 2).parses(code):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError as error:
        raise UsageError(f"{where} is not Python: line {error.lineno}: {error.msg}.") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{where} is not Python: {error}.") from error


def _as_reply(code: str) -> str:
    ticks = "```"
    while ticks in code:
        ticks += "`"
    return f"{ticks}repl\n{code.rstrip()}\n{ticks}\n"
