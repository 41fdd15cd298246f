"""Shows what an answer cites: each passage with the text around it."""

from ..invocation import Invocation
from ..terminal.console import put
from ..terminal.escape import safe_json
from .common import from_saved_runs, thread_or_last

_SHORTEST_NAME = 4
"""Characters of the shortest beginning of a run's name that commands take."""


def show_citations(invocation: Invocation, thread: str | None, number: int | None) -> None:
    """Print the citations of a run's answer, or one of them. Raises UsageError when there is none of this number."""
    if thread is not None and number is None and thread.isdecimal() and len(thread) < _SHORTEST_NAME:
        # `rlm show --citations 3`: the thread is left out.
        thread, number = None, int(thread)
    name = thread_or_last(invocation, thread)
    found = from_saved_runs(invocation, lambda runs: runs.queries.cited(name, runs.checkpoints, number))
    if invocation.json:
        put(safe_json(found))
        return
    from ..render.citations import print_citations

    print_citations(found)
