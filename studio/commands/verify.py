"""The `rlm verify` command, which checks the saved data of a run."""

import typer

from ..cli import options
from ..cli.common import command, from_stores, thread_or_last
from ..invocation import Invocation
from ..terminal.console import put
from ..terminal.escape import safe_json


@command
def verify(invocation: Invocation, thread: options.Thread = None) -> None:
    """Read and check every stored byte that a run needs.

    Checks its steps, calls, texts, variables and input, what it shares with the runs it was forked from, and the pages
    of the database. Reports which records are damaged, what is lost with each, and how much is intact. It changes
    nothing, and may be used at any time, even while the run is being executed.

    Exit status 0 when everything is intact, else 1.

    [bold]Examples[/bold]

      rlm verify
      rlm verify which-contracts-end-3f2a --json | jq -r '.problems[] | .kind + " " + .name + " " + .problem'
    """
    from ...state.wording import counted, megabytes
    from ..progress.counter import Counting

    thread = thread_or_last(invocation, thread)
    from ...graph.maintenance import verify_run

    with Counting("Checking") as display:

        def on_progress(records: int, size: int, kind: str) -> None:
            display.update(lambda: f"Checking: {counted(records, 'record')}, {megabytes(size)}")

        report = from_stores(invocation, lambda stores: verify_run(stores, thread, on_progress))
    if invocation.json:
        put(safe_json(report.to_json()))
    else:
        from ..render.verify import print_report

        print_report(report, invocation)
    raise typer.Exit(0 if report.ok else 1)
