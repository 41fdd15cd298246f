"""Define the live objects that nodes work with, bound once when the graph is built and never part of the state."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ...kernel.confined import OpenPrograms
from ...kernel.session import Kernels
from ...state.blobs.snapshots import Snapshots
from ...state.blobs.store import Blobs
from ...state.blobs.texts import Texts
from ...state.call_journal import Journal
from ...state.db.connection import Database
from ...state.executions import Executions
from ...state.failpoints import Failpoint, no_failpoint
from ...state.home_size import HomeSize
from ...state.leases import Leases
from ...state.model_specs import ModelSpec
from ...state.notifications import Notifications
from ...state.run_pages import RunPages
from ...state.threads import Threads
from ...state.turn_rows import TurnRows
from ...state.usage import Spending
from ..models.client import ModelClient
from .searching import Searches


class OpenModels(Protocol):
    """A function that opens the client of a configured model. Raises ModelSetupError."""

    def __call__(self, spec: ModelSpec) -> ModelClient: ...


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


@dataclass(frozen=True)
class Dependencies:
    """The objects that a node may use."""

    stores: Stores
    kernels: Kernels
    open_model: OpenModels
    open_programs: OpenPrograms
    """Opens the processes in which files are read."""
    searches: Searches
    """Searches inputs."""
    tracing: bool = False
    """True when LangChain's and LangGraph's traces are sent to LangSmith."""
    clock: Callable[[], float] = field(default=time.monotonic)
    failpoint: Failpoint = field(default=no_failpoint)
