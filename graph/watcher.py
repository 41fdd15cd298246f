"""Finds what has changed in the index of runs since the last look, by any process."""

from dataclasses import dataclass
from typing import Literal

from ..state.errors import StoreError
from ..state.records import Status
from ..state.stores import Stores
from ..state.threads import DELETED, Thread

Standing = Status | Literal["busy"]
_OUTLINE = f"SELECT thread_id, status, updated FROM threads WHERE status != '{DELETED}'"
_FEW = 50
"""Number of rows up to which they are read one by one."""


@dataclass(frozen=True)
class Changed:
    """A run that is new or has changed, with its status: `busy` while a process runs it."""

    row: Thread
    standing: Standing


class IndexWatch:
    """A repeated look at the index: it costs almost nothing without writes, and else reads three of its columns."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._version: tuple[int, int] | None = None
        self._seen: dict[str, tuple[Standing, float]] = {}

    async def look(self) -> tuple[list[Changed], list[str]]:
        """Return the runs that have changed, the one touched last first, and the names of those that no longer exist.

        Raises StoreError.
        """
        version = await self._stores.database.version()
        running = [name for name, (standing, _) in self._seen.items() if standing == "busy"]
        if version == self._version and not running:
            return [], []
        outline = await self._stores.database.read(_OUTLINE)
        alive = await self._stores.leases.holder_alive([name for name, status, _ in outline if status == "running"])
        now: dict[str, tuple[Standing, float]] = {
            name: (_standing(status, name in alive), updated) for name, status, updated in outline
        }
        different = [name for name, seen in now.items() if self._seen.get(name) != seen]
        gone = [name for name in self._seen if name not in now]
        found = [Changed(row, now[row.thread_id][0]) for row in await self._rows(different)]
        self._version, self._seen = version, now
        return sorted(found, key=lambda one: -one.row.updated), gone

    async def _rows(self, names: list[str]) -> list[Thread]:
        if len(names) <= _FEW:
            return [await self._stores.threads.look(name) for name in names]
        wanted = set(names)
        return [row for row in await self._stores.threads.all() if row.thread_id in wanted]


def _standing(status: Status, alive: bool) -> Standing:
    if status != "running":
        return status
    return "busy" if alive else "stopped"


async def find_changes(watch: IndexWatch) -> tuple[list[Changed], list[str]]:
    """Return `watch.look()`, or no changes when the store cannot be read now: a later look finds them."""
    try:
        return await watch.look()
    except StoreError:
        return [], []
