"""Shows how much of a run's input models were shown."""

from ..invocation import Invocation
from ..terminal.console import put, say
from ..terminal.escape import safe_json
from .common import from_library, thread_or_last


def show_coverage(invocation: Invocation, thread: str | None) -> None:
    """Print which documents and lines were in a prompt or an output that models were shown."""
    name = thread_or_last(invocation, thread)
    found = from_library(invocation, lambda library: library.coverage(name))
    if invocation.json:
        put(safe_json(found))
    elif found is None:
        say("The run has no input, only its question.")
    else:
        from ..render.coverage import print_coverage

        print_coverage(found)
