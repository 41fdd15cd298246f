"""`sub_call`: one lane of the desk. Takes calls that the cell posted, one after another, until it is told to end.

It never raises for a call that failed (that is an answer, for the code), because one raising lane would
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
    """How many lanes there may be when so many requests may be in flight.

    Some more: while one lane's answer is committed and handed back, another one's request is in flight.
    """
    return min(concurrency + min(concurrency, MOST_COMMITTING), MAX_WORKERS)


async def sub_call(state: RunState, active_runs: ActiveRuns, deps: Dependencies, thread_id: str) -> dict[str, Any]:
    """Serve until the cell ends, the interval has passed, or more lanes are wanted."""
    # A lane has a part of the state only, so it opens nothing. Restarted in another process, or with a kernel that
    # was lost, there is nothing for it to do: execute_code restores it.
    run = active_runs.find(thread_id)
    kernel = run.kernel if run else None
    answered = 0
    if run and kernel and kernel.dispatcher:
        # A kernel that is lost meanwhile is execute_code's to tell: what was answered until then is recorded.
        with run.idle.needed(), contextlib.suppress(KernelLost):
            answered = await kernel.dispatcher.serve(
                seconds=INTERVAL, max_workers=max_workers(run.settings.concurrency)
            )
    deps.failpoint("sub_call-end")
    return {"step": [{"kind": "sub_call", "turn": state.get("turn", 0), "summary": "", "answered": answered}]}
