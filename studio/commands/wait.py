"""The `rlm wait` command, which waits until a run has ended and reports it."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from ..cli import options
from ..cli.agreeing import writes
from ..cli.common import command, from_stores, thread_or_last
from ..cli.signals import STOPPED
from ..invocation import Invocation
from ..terminal.console import say
from ..terminal.escape import safe_line

if TYPE_CHECKING:
    from ...graph.stopping import Holder
    from ...state.stores import Stores


@command
@writes
def wait(
    invocation: Invocation,
    thread: options.Thread = None,
    *,
    output: options.Output = None,
    files: options.Files = None,
) -> None:
    """Wait until a run that another process executes has ended or waits for a reviewer, and print its answer.

    The output and the exit status are those of the run, as `rlm resume` prints them: 0 answered, 1 failed, 3 waits for
    approval, 4 budget spent, 130 stopped, also when its process was killed. A run that no process executes is reported
    at once. Nothing is executed here. Ctrl-C ends the waiting, and the run goes on.

    [bold]Examples[/bold]

      rlm wait
      rlm wait contracts -o answer.md
      rlm wait contracts --json | jq .status
    """
    from ..cli.delivery import Delivery
    from ..cli.open_runner import OpenRunner
    from ..cli.run_loop import CliRun, OnEvent, drive, report_outcome

    thread = thread_or_last(invocation, thread)
    delivery, began = Delivery.to(output, files), time.monotonic()
    name, ended, waited = from_stores(invocation, lambda stores: _waited(stores, thread))
    if not ended:
        _report_interrupted(invocation, name)

    async def read(runner: Any, on_event: OnEvent) -> Any:
        return await runner.read(name)

    cli_run = CliRun(invocation, name, read, delivery=delivery)
    home = OpenRunner(invocation.home)
    try:
        came = drive(cli_run, home)
    finally:
        home.end()
    # The time of a run that had ended before is not that of this command.
    seconds = time.monotonic() - began if waited else None
    raise typer.Exit(report_outcome(invocation, replace(came, seconds=seconds), cli_run.delivery))


async def _waited(stores: "Stores", thread: str) -> tuple[str, bool, bool]:
    """Wait for the run. Return its name, False when a signal ended the waiting first, and whether it was executed."""
    from ...graph.queries import RunQueries
    from ...graph.stopping import wait_until_idle
    from ..cli.waiting import Remarks, process_named, uninterrupted

    name = await RunQueries(stores).resolve(thread)
    remarks = Remarks(asked_to_stop=False)
    begun = False

    def look(holder: "Holder") -> None:
        nonlocal begun
        if not begun:
            begun = True
            say(f"{process_named(holder)} runs {safe_line(name)}. Ctrl-C ends the waiting, and the run goes on.")
        remarks.look(holder)

    ended = await uninterrupted(wait_until_idle(stores, name, look))
    return name, ended, begun


def _report_interrupted(invocation: Invocation, name: str) -> None:
    from ...state.errors import cli_command
    from ..terminal.errors import NOT_BEGUN, report

    again = f"Wait again: {cli_command('wait', name)}"
    report(NOT_BEGUN, f"No longer waiting: {name} goes on.", again, as_json=invocation.json, invocation=invocation)
    raise typer.Exit(STOPPED)
