"""The choice of a command that runs something whether to trace it."""

import os

from ...graph.tracing import asked_for, switch_set
from ..terminal.console import say


def chosen(flag: bool | None) -> bool:
    """Return whether to trace. Print a note when a LangSmith variable asks for traces and the user has not.

    Raises UsageError for an invalid `RLM_TRACING`.
    """
    if flag or asked_for(os.environ):
        return True
    if name := switch_set(os.environ):
        say(
            f"{name} is set, but nothing is traced. With --tracing, questions, excerpts of the input, code and answers "
            "are sent to LangSmith."
        )
    return False
