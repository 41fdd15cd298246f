"""durable-rlm: a Recursive Language Model as a durable LangGraph application.

The public Python API. This program asks a question over a folder, and prints the answer, its cost in US dollars and
the sub-calls behind it:

```python
import asyncio
from pathlib import Path
from durable_rlm import Runner

async def main() -> None:
    async with Runner.open(".rlm") as runner:
        run = await runner.run("Which contracts end?", Path("contracts/"), model="openai:gpt-5-mini", max_cost=2)
        print(run.status, run.answer, run.usage["cost_usd"])
        for call in await runner.queries.calls(run.thread_id):
            print(call.prompt, "→", call.answer)

asyncio.run(main())
```

Everything is imported on first use, so that `rlm --help` does not wait for LangGraph.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .graph.batch import Question, QuestionsRefused
    from .graph.exit_status import RunStatus
    from .graph.run import EndEvent, Run
    from .graph.runner import Runner
    from .nodes.runtime.events import Event
    from .state.budget import Limits
    from .state.errors import (
        InputError,
        KernelStartFailed,
        ModelFailed,
        ModelSetupError,
        NoSandbox,
        RlmError,
        RunBusy,
        StoreError,
        ThreadExists,
        UnknownThread,
        UsageError,
    )
    from .state.run_options import LimitOptions, ModelOptions, ResumeOptions, RunOptions
    from .state.settings import RunSettings

__all__ = [
    "EndEvent",
    "Event",
    "InputError",
    "KernelStartFailed",
    "LimitOptions",
    "Limits",
    "ModelFailed",
    "ModelOptions",
    "ModelSetupError",
    "NoSandbox",
    "Question",
    "QuestionsRefused",
    "ResumeOptions",
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
    "graph.batch": ("Question", "QuestionsRefused"),
    "graph.exit_status": ("RunStatus",),
    "graph.run": ("EndEvent", "Run"),
    "graph.runner": ("Runner",),
    "nodes.runtime.events": ("Event",),
    "state.budget": ("Limits",),
    "state.run_options": ("LimitOptions", "ModelOptions", "ResumeOptions", "RunOptions"),
    "state.settings": ("RunSettings",),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


NOT_FOR_WINDOWS = "durable-rlm does not run on Windows itself: install it in WSL, the Windows Subsystem for Linux."


def __getattr__(name: str) -> Any:
    if name in __all__:
        if sys.platform == "win32":
            raise ImportError(NOT_FOR_WINDOWS)
        return getattr(import_module(f".{_PLACES.get(name, 'state.errors')}", __name__), name)
    raise AttributeError(name)
