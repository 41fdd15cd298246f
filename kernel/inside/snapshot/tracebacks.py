"""Tracebacks: saved as the places that they name, and made again so that they print the same lines.

The variables of their frames are not saved: they could be anything, and no code of a cell reads them by chance.
"""

import types
from collections.abc import Generator
from typing import Any

from .placeholder import Lost

Entry = tuple[str, str, str, int, str]
"""File, name and full name of a function, line, and module."""


def entries_of(traceback: "types.TracebackType | None") -> list[Entry]:
    """Return the places that a traceback names, the outermost first."""
    entries: list[Entry] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        entries.append((code.co_filename, code.co_name, code.co_qualname, traceback.tb_lineno, module))
        traceback = traceback.tb_next
    return entries


def traceback_of(entries: "list[Entry]") -> "types.TracebackType | None":
    """Return a traceback that names these places."""
    made: types.TracebackType | None = None
    for entry in reversed(entries):
        made = types.TracebackType(made, _frame(*entry[:3], entry[4]), -1, entry[3])
    return made


def _frame(file: str, name: str, full_name: str, module: str) -> types.FrameType:
    # Without a table of lines nothing but the line of the traceback itself is printed.
    code = _inside.__code__.replace(co_filename=file, co_name=name, co_qualname=full_name, co_linetable=b"")
    made: Any = types.FunctionType(code, {"__name__": module})
    return made(Lost("frame", "the variables of a frame are not saved")).gi_frame


def _inside(variables: Lost) -> Generator[Lost]:
    # Never begun, so that its frame has no frame before it: that would keep everything of the restore in memory.
    yield variables
