"""`sub_call`: one worker of the dispatcher. It answers calls that the cell made, one after another, until it is to end.

It never raises for a call that failed (that is an answer, for the code), because one worker that raises would cancel
the others.
"""

import contextlib
from typing import Any

from ..state.errors import KernelLost
from ..state.run_state import RunState
from .runtime.active_runs import ActiveRuns
from .runtime.dependencies import Dependencies

INTERVAL = 5.0
"""Seconds after which a superstep ends even if the cell still runs, so that the saved state keeps up."""
MAX_WORKERS = 1_000
"""Tasks of one superstep."""
MOST_COMMITTING = 32
"""Answers that are committed at a time: about a thousand come a second, and a commit takes 10 ms."""


def max_workers(concurrency: int) -> int:
    """Return how many workers there may be for so many requests in flight.

    There are a few more: while one worker's answer is committed and delivered, another one's request is in flight.
    """
    return min(concurrency + min(concurrency, MOST_COMMITTING), MAX_WORKERS)


async def sub_call(state: RunState, active_runs: ActiveRuns, deps: Dependencies, thread_id: str) -> dict[str, Any]:
    """Answer calls until the cell ends, the interval has passed, or more workers are needed."""
    # A worker gets only a part of the state, so it opens nothing. Restarted in another process, or with a kernel that
    # was lost, it has nothing to do: execute_code restores the kernel.
    run = active_runs.find(thread_id)
    repl = run.repl if run else None
    answered = 0
    if run and repl:
        # A kernel that is lost meanwhile is reported by execute_code; answers given until then are recorded.
        with run.idle.needed(), contextlib.suppress(KernelLost):
            answered = await repl.serve(seconds=INTERVAL, max_workers=max_workers(run.settings.concurrency))
    deps.failpoint("sub_call-end")
    return {"step": [{"kind": "sub_call", "turn": state.get("turn", 0), "summary": "", "answered": answered}]}
