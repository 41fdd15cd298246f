"""The status of a run as callers see it, and the exit status of the command line for each.

Scripts rely on these numbers: `docs/command-line.md`, "Exit status". Errors before there is a run have exit codes of
their own (`state.errors.RlmError.exit_code`).
"""

from typing import Literal

RunStatus = Literal["answered", "paused", "budget", "stopped", "failed", "busy"]


EXIT_CODES: dict[RunStatus, int] = {
    "answered": 0,
    "failed": 1,
    "paused": 3,
    "budget": 4,
    "busy": 5,
    "stopped": 130,
}
