"""The `rlm vars` command, which shows the REPL's variables at a step."""

from typing import Annotated, Any

import typer

from ..cli import options
from ..cli.common import command, from_saved_runs, thread_or_last
from ..invocation import Invocation
from ..terminal.console import put, say
from ..terminal.escape import safe_json

StepFlag = Annotated[
    int | None,
    typer.Option("--step", metavar="N", help="Show them after step N. Default: the last one", show_default=False),
]


@command
def variables(invocation: Invocation, thread: options.Thread = None, step: StepFlag = None) -> None:
    """Show the variables of a run's REPL: type, size, a preview, and whether they can be restored.

    They are read from the saved records: no code runs, and no value is loaded. In the middle of a cell they are shown
    as they were before it. Variables that cannot be saved (a generator, an open file) are rebuilt, where that is
    possible, by running cells again with their recorded answers.

    [bold]Examples[/bold]

      rlm vars
      rlm vars which-contracts-end-3f2a --step 7
      rlm vars which-contracts-end-3f2a --json | jq 'map_values(select(.restorable | not))'
    """
    thread = thread_or_last(invocation, thread)
    found = from_saved_runs(invocation, lambda runs: runs.queries.variables(thread, runs.checkpoints, step))
    if invocation.json:
        put(safe_json(found))
        return
    if not found:
        say("There are no variables yet.")
        return
    from ..terminal.tables import Column, print_table

    columns = [
        Column("NAME", limit=60),
        Column("TYPE", limit=30),
        Column("SIZE", right=True),
        Column("RESTORABLE", limit=60),
        Column("PREVIEW", wide=True),
    ]
    print_table(columns, [_row(name, one) for name, one in found.items()])


def _row(name: str, one: dict[str, Any]) -> tuple[str, ...]:
    size = "" if one["size"] is None else f"{one['size']:,}"
    return name, one["type"], size, "yes" if one["restorable"] else f"no: {one['why_not']}", one["preview"]
