"""The default run of a command that names none: the run of the home that was touched last."""

from typing import TYPE_CHECKING

from ...state.errors import UnknownThread
from ..invocation import Invocation
from ..terminal.console import say
from ..terminal.escape import safe_line

if TYPE_CHECKING:
    from ...state.threads import Thread

_QUESTION = 80


def thread_or_last(invocation: Invocation, thread: str | None) -> str:
    """Return the named run, else the one touched last, which is then reported on stderr.

    Raises UnknownThread when nothing is saved in the home.
    """
    if thread is not None:
        invocation.need_runs(thread)
        invocation.thread = thread
        return thread
    row = last_touched(invocation)
    invocation.thread = row.thread_id
    name = safe_line(row.thread_id)
    say(f"Thread {name}, the last one touched: {safe_line(row.question, _QUESTION)}", whole=True)
    return row.thread_id


def last_touched(invocation: Invocation) -> "Thread":
    """Return the run of the home that was touched last. Raises UnknownThread when there is none."""
    from .common import from_library

    row = from_library(invocation, lambda library: library.last_touched()) if invocation.has_runs else None
    if row is None:
        raise UnknownThread(
            f"No run is saved in {invocation.home}.",
            hint="Start with `rlm demo`, or name the folder of your runs with --home or RLM_HOME.",
        )
    return row
