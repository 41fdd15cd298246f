"""The stores of one home, as they are handed to whatever reads or writes it."""

from dataclasses import dataclass
from pathlib import Path

from .blobs.snapshots import Snapshots
from .blobs.store import Blobs
from .blobs.texts import Texts
from .call_journal import Journal
from .db.connection import Database
from .executions import Executions
from .home_size import HomeSize
from .leases import Leases
from .notifications import Notifications
from .run_pages import RunPages
from .threads import Threads
from .turn_rows import TurnRows
from .usage import Spending


@dataclass(frozen=True)
class Stores:
    """The stores of one home (`--home`)."""

    home: Path
    database: Database
    blobs: Blobs
    texts: Texts
    journal: Journal
    spending: Spending
    leases: Leases
    threads: Threads
    snapshots: Snapshots
    notifications: Notifications
    turn_rows: TurnRows
    executions: Executions
    run_pages: RunPages

    @property
    def size(self) -> HomeSize:
        """The size of the home."""
        return self.blobs.size
