"""The private part of aiosqlite that is used: its thread, entered once for many statements.

aiosqlite's own methods enter the thread for each statement, which costs more than most statements here do. `_execute`
runs any function there, and `_conn` is the `sqlite3.Connection` that belongs to that thread.
"""

import sqlite3
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import aiosqlite

P = ParamSpec("P")
T = TypeVar("T")


async def run_in_thread(
    connection: aiosqlite.Connection,
    work: Callable[Concatenate[sqlite3.Connection, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run `work` on the `sqlite3.Connection` in the connection's thread and return its result."""
    result: Any = await connection._execute(work, connection._conn, *args, **kwargs)
    return result
