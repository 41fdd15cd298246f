"""The `rlm steps` command, which lists the saved steps of a run."""

from typing import TYPE_CHECKING, Any

from ..cli import options
from ..cli.common import command, from_library, thread_or_last
from ..invocation import Invocation
from ..terminal.console import put, say
from ..terminal.escape import safe_json

if TYPE_CHECKING:
    from ...graph.queries import RunQueries


@command
def steps(invocation: Invocation, thread: options.Thread = None) -> None:
    """List the saved steps of a run: the turn and kind of each, the time it was saved, and what it did.

    A step is one checkpoint; many sub-calls together are one. `rlm show THREAD --step N` shows the state after it.

    [bold]Examples[/bold]

      rlm steps
      rlm steps which-contracts-end-3f2a --json | jq length
    """
    from ..cli.summary import decide_line

    thread = thread_or_last(invocation, thread)

    async def read(library: "RunQueries") -> tuple[list[dict[str, Any]], dict[str, Any]]:
        return await library.steps(thread), await library.about(thread)

    found, about = from_library(invocation, read)
    if invocation.json:
        put(safe_json(found))
        return
    from ..terminal.tables import Column, ago, print_table

    columns = [
        Column("STEP", right=True),
        Column("TURN", right=True),
        Column("KIND"),
        Column("SAVED"),
        Column("WHAT IT DID", wide=True),
    ]
    rows = [(str(one["step"]), str(one["turn"]), one["kind"], ago(one["created"]), one["summary"]) for one in found]
    print_table(columns, rows)
    if about["status"] == "paused":
        say(f"It waits for approval. {decide_line(invocation, about['thread_id'])}", whole=True)
