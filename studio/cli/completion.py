"""Names for the shell's Tab key: the threads of the home. Fast and silent: a shell that hangs or prints is worse."""

import sqlite3
from contextlib import closing

import typer

from ..terminal.escape import safe_line
from .common import DATABASE, invocation_of

_MOST = 200


def complete_threads(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Thread names that begin with `incomplete`, the one touched last first, each with its status and question.

    Sub-RLMs come last, and only once something of a name is typed: there may be thousands.
    """
    try:
        before = context.find_root().params.get("home")
        home = invocation_of(context.params.get("home") or before, as_json=False, debug=False).home
        # Read-only, straight from the file: LangGraph and the store would take a second to import.
        path = (home / DATABASE).absolute().as_uri()
        with closing(sqlite3.connect(f"{path}?mode=ro", uri=True, timeout=0.2)) as connection:
            child = "thread_id IN (SELECT thread_id FROM children)" if _knows_children(connection) else "FALSE"
            rows = connection.execute(
                f"SELECT thread_id, status, question FROM threads WHERE substr(thread_id, 1, ?) = ? "
                f"AND status != 'deleted' AND (? != '' OR NOT {child}) ORDER BY {child}, updated DESC LIMIT ?",
                (len(incomplete), incomplete, incomplete, _MOST),
            ).fetchall()
    except Exception:
        return []
    return [
        (name, f"{status}: {safe_line(question, 60)}") for name, status, question in rows if name == safe_line(name)
    ]


def _knows_children(connection: sqlite3.Connection) -> bool:
    """Whether the home is of a format that has them."""
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'children'").fetchone())
