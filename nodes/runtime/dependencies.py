"""Define the live objects that nodes work with, bound once when the graph is built and never part of the state."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ...kernel.confined import OpenPrograms
from ...kernel.session import Kernels
from ...state.failpoints import Failpoint, no_failpoint
from ...state.model_specs import ModelSpec
from ...state.stores import Stores
from ..models.client import ModelClient
from .searching import Searches


class OpenModels(Protocol):
    """A function that opens the client of a configured model. Raises ModelSetupError."""

    def __call__(self, spec: ModelSpec) -> ModelClient: ...


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
