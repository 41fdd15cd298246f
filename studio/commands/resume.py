"""The `rlm resume` command, which resumes a run."""

from datetime import date
from typing import Any

from ..cli import options
from ..cli.agreeing import writes
from ..cli.common import command, thread_or_last
from ..invocation import Invocation
from .view import page_of


@command
@writes
def resume(
    invocation: Invocation,
    thread: options.Thread = None,
    *,
    changes: options.ChangeFlags,
    strict: options.Strict = False,
    unsandboxed: options.Unsandboxed = None,
    tracing: options.Tracing = None,
    output: options.Output = None,
    files: options.Files = None,
    detach: options.Detach = False,
    view: options.View = False,
) -> None:
    """Resume a run that was stopped or killed, that failed, or that ran out of budget.

    The run continues from its last saved step, with the settings it was started with; recorded answers are not paid
    for again. A limit, a model or a server given here replaces the run's own; those of the environment and of rlm.toml
    do not. An answered run prints its answer and makes no call.

    The REPL comes back with its variables; a cell that was interrupted runs again with its recorded answers. If the
    cell asks for something else than before (because it reads a clock, for example), that is shown and paid for; with
    --strict the run fails instead.

    [bold]Examples[/bold]

      rlm resume
      rlm resume contracts --max-calls 4000 --max-cost 5
      rlm resume contracts --sub-base-url http://localhost:8000/v1
      rlm resume contracts -o answer.md
    """
    from ..cli.notices import chosen, price_warnings
    from ..cli.run_loop import CliRun, OnEvent, execute

    thread = thread_or_last(invocation, thread)

    async def go_on(runner: Any, on_event: OnEvent) -> Any:
        about = await runner.queries.about(thread)
        cli_run.unsandboxed = bool(unsandboxed or about["settings"].get("unsandboxed"))
        counted = about["limits"].get("max_cost") if changes["max_cost"] is None else changes["max_cost"]
        cli_run.warnings = price_warnings(about["settings"], counted, date.today())
        return await runner.resume(thread, strict=strict, unsandboxed=bool(unsandboxed), on_event=on_event, **changes)

    cli_run = CliRun(
        invocation,
        thread,
        go_on,
        output,
        tracing=chosen(tracing),
        files=files,
        detach=detach,
        view=page_of(invocation) if view else None,
    )
    execute(cli_run)
