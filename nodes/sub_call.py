"""`sub_call`: one lane of the desk. Takes calls that the cell posted, one after another, until it is told to end.

It never raises for a call that failed (that is an answer, for the code), because one raising lane would
cancel the others.
"""

import contextlib
from typing import Any

from ..state.errors import KernelLost
from ..state.run_state import RunState
from .runtime.active_runs import LiveRuns
from .runtime.dependencies import Hands

INTERVAL = 5.0
"""Seconds after which a superstep ends though the cell goes on, so that the saved state keeps up."""
MOST_LANES = 1_000
"""Tasks of one superstep."""
MOST_COMMITTING = 32
"""Answers that are committed at a time, at some thousand a second and 10 ms a commit."""


def most_lanes(concurrency: int) -> int:
    """How many lanes there may be when so many requests may be in flight.

    Some more: while one lane's answer is committed and handed back, another one's request is in flight.
    """
    return min(concurrency + min(concurrency, MOST_COMMITTING), MOST_LANES)


async def sub_call(state: RunState, live: LiveRuns, hands: Hands, thread_id: str) -> dict[str, Any]:
    """Serve until the cell ends, the interval has passed, or more lanes are wanted."""
    # A lane has a part of the state only, so it opens nothing. Restarted in another process, or with a kernel that
    # was lost, there is nothing for it to do: execute_code restores it.
    run = live.find(thread_id)
    kernel = run.kernel if run else None
    answered = 0
    if run and kernel and kernel.desk:
        # A kernel that is lost meanwhile is execute_code's to tell: what was answered until then is recorded.
        with run.idle.needed(), contextlib.suppress(KernelLost):
            answered = await kernel.desk.serve(seconds=INTERVAL, most_lanes=most_lanes(run.settings.concurrency))
    hands.probe("sub_call-end")
    return {"step": [{"kind": "sub_call", "turn": state.get("turn", 0), "summary": "", "answered": answered}]}
