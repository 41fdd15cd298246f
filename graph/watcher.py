"""What has changed in the index of runs since it was looked at last, whichever process has changed it."""

from dataclasses import dataclass
from typing import Literal

from ..nodes.runtime.dependencies import Stores
from ..state.errors import StoreError
from ..state.records import Status
from ..state.threads import DELETED, Thread

Standing = Status | Literal["busy"]
_OUTLINE = f"SELECT thread_id, status, updated FROM threads WHERE status != '{DELETED}'"
_FEW = 50
"""So many rows are asked for one by one."""


@dataclass(frozen=True)
class Changed:
    """A run that is new, or stands otherwise than it did; `busy` while a process runs it."""

    row: Thread
    standing: Standing


class IndexWatch:
    """Looks again and again: at next to nothing while nothing is written, at three columns of the index when it is."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._version: tuple[int, int] | None = None
        self._seen: dict[str, tuple[Standing, float]] = {}

    async def look(self) -> tuple[list[Changed], list[str]]:
        """The runs that have changed, the one touched last first, and the names of those that are no more.

        Raises StoreError.
        """
        # What others commit changes the first number, what this process does the second.
        [[others]] = await self._stores.database.read("PRAGMA data_version")
        version = (int(others), self._stores.database.commits)
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
    """`look`, for whom it is enough to look again later when the store cannot be read now."""
    try:
        return await watch.look()
    except StoreError:
        return [], []
