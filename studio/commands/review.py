"""The `rlm review` command, which shows the approval requests of a run and decides them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...state.errors import UsageError
from ..cli import options
from ..cli.agreeing import writes
from ..cli.common import command, thread_or_last
from ..invocation import Invocation
from ..terminal.console import at_terminal

if TYPE_CHECKING:
    from ..approval.reviewers import Reviewer

_DECISION = "The decision, without being asked"

ApproveFlag = Annotated[
    bool, typer.Option("--approve", help="Let it happen as it is shown.", rich_help_panel=_DECISION)
]
RejectFlag = Annotated[
    str | None,
    typer.Option(
        "--reject",
        metavar="TEXT",
        help="Do not let it happen; the model gets the reason.",
        rich_help_panel=_DECISION,
        show_default=False,
    ),
]
EditFlag = Annotated[
    str | None,
    typer.Option(
        "--edit",
        metavar="FILE",
        help="Go on with this instead: Python for code, else the arguments as JSON; - for stdin.",
        rich_help_panel=_DECISION,
        show_default=False,
    ),
]
RespondFlag = Annotated[
    str | None,
    typer.Option(
        "--respond",
        metavar="TEXT",
        help="Let it not happen, and give your words instead: to the model, or as the answer of each sub-call.",
        rich_help_panel=_DECISION,
        show_default=False,
    ),
]
InterruptFlag = Annotated[
    str | None,
    typer.Option("--interrupt", metavar="ID", help="Which, when several wait. Default: the only one"),
]
ShownFlag = Annotated[
    str | None,
    typer.Option(
        "--shown",
        metavar="HASH",
        help="Decide only if the request is still the one of this hash: its `shown` in --json. Default: what waits",
        rich_help_panel=_DECISION,
        show_default=False,
    ),
]


@command
@writes
def review(
    invocation: Invocation,
    thread: options.Thread = None,
    approve: ApproveFlag = False,
    reject: RejectFlag = None,
    edit: EditFlag = None,
    respond: RespondFlag = None,
    interrupt: InterruptFlag = None,
    shown: ShownFlag = None,
    unsandboxed: options.Unsandboxed = None,
    tracing: options.Tracing = None,
    output: options.Output = None,
    files: options.Files = None,
    detach: options.Detach = False,
) -> None:
    """Show what a run waits for, and decide it; the run then continues, as with `rlm resume`.

    At a terminal you are asked, and asked again about later requests. A flag decides once, and decides all requests
    that were made at once alike. With neither, the requests are printed and the exit status is 3. You decide about
    what you were shown: a decision is refused when the request has changed since.

    [bold]Examples[/bold]

      rlm review
      rlm review contracts --approve
      rlm review contracts --reject "Read only the files of 2024."
      rlm review contracts --edit better.py -o answer.md
      rlm review contracts --json | jq '.interrupts[].value.action_requests'
    """
    reviewer = _by_flag(interrupt, shown, approve=approve, reject=reject, edit=edit, respond=respond)
    from ..approval.requests import waiting_of
    from ..approval.reviewers import chosen
    from ..cli.notices import chosen as tracing_chosen
    from ..cli.run_loop import CliRun, OnEvent, execute
    from ..cli.shown_requests import check_waits, show_requests

    if reviewer is None and detach:
        raise UsageError("--detach goes on without you, so it needs a decision.", hint="Give --approve, for example.")
    thread = thread_or_last(invocation, thread)
    if reviewer is None and not (at_terminal() and not invocation.json):
        show_requests(invocation, thread, interrupt, output, files)
    if reviewer is None:
        from ..approval.terminal import TerminalReviewer

        reviewer = TerminalReviewer(interrupt)

    async def look(runner: Any, on_event: OnEvent) -> Any:
        run = await runner.read(thread)
        about = await runner.queries.about(run.thread_id)
        limits = await runner.suggested_limits(run.thread_id) if run.status == "budget" else {}
        check_waits(invocation, run, limits)
        chosen(waiting_of(run), interrupt, run)
        cli_run.unsandboxed = bool(unsandboxed or about["settings"].get("unsandboxed"))
        return run

    cli_run = CliRun(invocation, thread, look, output, reviewer=reviewer, tracing=tracing_chosen(tracing), files=files)
    cli_run.detach = detach
    execute(cli_run)


def _by_flag(
    interrupt: str | None,
    shown: str | None,
    *,
    approve: bool,
    reject: str | None,
    edit: str | None,
    respond: str | None,
) -> "Reviewer | None":
    """Return a reviewer that decides as the flags say, or None without such a flag. Raises UsageError."""
    from ..approval import decisions
    from ..approval.reviewers import FlagReviewer
    from ..cli.files import GivenFiles

    said = [approve, reject is not None, edit is not None, respond is not None]
    if sum(said) > 1:
        raise UsageError("--approve, --reject, --edit and --respond exclude each other.", hint="Give one of them.")
    for flag, words in (("--reject", reject), ("--respond", respond)):
        if words is not None and not words.strip():
            raise UsageError(f"{flag} is empty.", hint="The model gets what you write there.")
    if approve:
        return FlagReviewer("approve", lambda request: decisions.APPROVED, interrupt, shown)
    if reject is not None:
        return FlagReviewer("reject", lambda request: decisions.rejected(reject), interrupt, shown)
    if respond is not None:
        return FlagReviewer("respond", lambda request: decisions.responded(respond), interrupt, shown)
    if edit is not None:
        text = GivenFiles()("--edit", edit)
        return FlagReviewer("edit", lambda request: decisions.edit(request, text), interrupt, shown)
    if shown is not None:
        raise UsageError("--shown goes with a decision.", hint="Give --approve, --reject, --edit or --respond, too.")
    return None
