"""The status of a run as callers see it, and the exit status of the command line for each.

Scripts rely on these numbers: `docs/command-line.md`, "Exit status". Errors before there is a run have exit codes of
their own (`state.errors.RlmError.exit_code`).
"""

from typing import Literal

RunStatus = Literal["answered", "paused", "budget", "stopped", "failed", "busy"]
"""The status of a run.

- `answered`: it has its answer.
- `paused`: it waits for a reviewer, see `Run.interrupts`. `Runner.decide` resumes it.
- `budget`: a limit is reached. `Runner.resume` with a higher one continues it.
- `stopped`: it was stopped, or its process died. `Runner.resume` continues it.
- `failed`: `Run.error` says why. `Runner.resume` tries again from the last saved step.
- `busy`: a process is running it; after a call that would have executed it, another process is.
"""


EXIT_CODES: dict[RunStatus, int] = {
    "answered": 0,
    "failed": 1,
    "paused": 3,
    "budget": 4,
    "busy": 5,
    "stopped": 130,
}
