"""`sub_call`: one worker of the dispatcher. Takes calls that the cell made, one after another, until it is to end.

It never raises for a call that failed (that is an answer, for the code), because one raising worker would
cancel the others.
"""

import contextlib
from typing import Any

from ..state.errors import KernelLost
from ..state.run_state import RunState
from .runtime.active_runs import ActiveRuns
from .runtime.dependencies import Dependencies

INTERVAL = 5.0
"""Seconds after which a superstep ends though the cell goes on, so that the saved state keeps up."""
MAX_WORKERS = 1_000
"""Tasks of one superstep."""
MOST_COMMITTING = 32
"""Answers that are committed at a time, at some thousand a second and 10 ms a commit."""


def max_workers(concurrency: int) -> int:
    """Return how many workers there may be when so many requests may be in flight.

    Some more: while one worker's answer is committed and handed back, another one's request is in flight.
    """
    return min(concurrency + min(concurrency, MOST_COMMITTING), MAX_WORKERS)


async def sub_call(state: RunState, active_runs: ActiveRuns, deps: Dependencies, thread_id: str) -> dict[str, Any]:
    """Serve until the cell ends, the interval has passed, or more workers are wanted."""
    # A worker has a part of the state only, so it opens nothing. Restarted in another process, or with a kernel that
    # was lost, there is nothing for it to do: execute_code restores it.
    run = active_runs.find(thread_id)
    repl = run.repl if run else None
    answered = 0
    if run and repl:
        # A kernel that is lost meanwhile is reported by execute_code: what was answered until then is recorded.
        with run.idle.needed(), contextlib.suppress(KernelLost):
            answered = await repl.serve(seconds=INTERVAL, max_workers=max_workers(run.settings.concurrency))
    deps.failpoint("sub_call-end")
    return {"step": [{"kind": "sub_call", "turn": state.get("turn", 0), "summary": "", "answered": answered}]}
