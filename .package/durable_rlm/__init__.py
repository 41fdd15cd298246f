"""durable-rlm: a Recursive Language Model as a durable LangGraph application.

The public Python API. Everything is imported on first use, so that `rlm --help` does not wait for LangGraph.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .graph.exit_status import RunStatus
    from .graph.run import Run
    from .graph.runner import Runner
    from .nodes.runtime.events import Event
    from .state.budget import Limits
    from .state.errors import (
        InputError,
        ModelFailed,
        ModelSetupError,
        RlmError,
        RunBusy,
        StoreError,
        ThreadExists,
        UnknownThread,
        UsageError,
    )
    from .state.settings import LimitOptions, RunOptions, RunSettings

__all__ = [
    "Event",
    "InputError",
    "LimitOptions",
    "Limits",
    "ModelFailed",
    "ModelSetupError",
    "RlmError",
    "Run",
    "RunBusy",
    "RunOptions",
    "RunSettings",
    "RunStatus",
    "Runner",
    "StoreError",
    "ThreadExists",
    "UnknownThread",
    "UsageError",
]

_MODULES = {
    "graph.exit_status": ("RunStatus",),
    "graph.run": ("Run",),
    "graph.runner": ("Runner",),
    "nodes.runtime.events": ("Event",),
    "state.budget": ("Limits",),
    "state.settings": ("LimitOptions", "RunOptions", "RunSettings"),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f".{_PLACES.get(name, 'state.errors')}", __name__), name)
    raise AttributeError(name)
