"""Requests to stop a run that another process executes.

A request is saved beside the lease of the run at the top of the tree, because a tree is executed as a whole. It names
the token of the present holder: a later execution of the run has another one, so that an old request never stops it.
"""

import json
import sqlite3

from .db.connection import Database
from .leases import Leases
from .threads import TOP

_MARK = (
    "UPDATE leases SET stop_all = CASE WHEN stop = token THEN max(stop_all, ?) ELSE ? END, stop = token "
    "WHERE thread_id = ?"
)
_FOUND = (
    "SELECT thread_id, stop, stop_all FROM leases "
    "WHERE stop IS NOT NULL AND thread_id IN (SELECT value FROM json_each(?))"
)


class StopRequests:
    """Enters requests for runs of any process, and finds those for runs of this one."""

    def __init__(self, database: Database, leases: Leases) -> None:
        """`leases` are those of this process."""
        self._database = database
        self._leases = leases

    async def enter(self, thread_id: str, *, everything: bool = False) -> bool:
        """Request that the thread's tree be stopped, and with `everything` all runs of the process that executes it.

        Return False when no living process executes it. Raises StoreError.
        """
        return await self._database.commit(lambda connection: self._entered(connection, thread_id, everything), "stop")

    async def enter_for_all(self) -> list[str]:
        """Request that every process stop all its runs. Return the runs at the top of their trees. Raises StoreError.

        The request is one transaction: a process that goes from one run to the next is met by it at one of them.
        """

        def unit(connection: sqlite3.Connection) -> list[str]:
            return [top for top in self._running(connection) if self._entered(connection, top, everything=True)]

        return await self._database.commit(unit, "stop")

    async def running(self) -> list[str]:
        """Return the runs at the top of the trees that living processes execute, by name. Raises StoreError."""
        return await self._database.look(self._running)

    def _running(self, connection: sqlite3.Connection) -> list[str]:
        names = [name for [name] in connection.execute("SELECT thread_id FROM leases WHERE owner IS NOT NULL")]
        tops = sorted({_top_of(connection, name) for name in names})
        return [top for top in tops if self._leases.holder_in(connection, top)]

    def _entered(self, connection: sqlite3.Connection, thread_id: str, everything: bool) -> bool:
        top = _top_of(connection, thread_id)
        if self._leases.holder_in(connection, top) is None:
            return False
        connection.execute(_MARK, (everything, everything, top))
        return True

    async def look(self) -> dict[tuple[str, int], bool]:
        """Return the requests for what this process executes: the run at the top, its token, and if all runs are meant.

        Raises StoreError.
        """
        held = self._leases.held
        rows = await self._database.read(_FOUND, (json.dumps([*held]),)) if held else []
        return {(name, token): bool(everything) for name, token, everything in rows if held[name] == token}


def _top_of(connection: sqlite3.Connection, thread_id: str) -> str:
    return str(connection.execute(TOP, (thread_id,)).fetchone()[0])
