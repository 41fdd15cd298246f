"""The `rlm show` command, which shows one run as it is now or as it was after a step."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...state.errors import UsageError
from ..cli import options
from ..cli.common import command, from_saved_runs, thread_or_last
from ..invocation import Invocation
from ..terminal.console import put, say
from ..terminal.escape import safe_json
from ..terminal.printed_commands import pasteable_error

if TYPE_CHECKING:
    from ...graph.saved_runs import SavedRuns

StepFlag = Annotated[
    int | None,
    typer.Option("--step", metavar="N", help="Show the state after step N. Default: the last one", show_default=False),
]
FullFlag = Annotated[
    bool, typer.Option("--full", help="Show code, output and the tree of sub-RLMs whole. Default: their beginning")
]
InputFlag = Annotated[
    bool, typer.Option("--input", help="Show what was read of the input instead: every file, and what is not in it")
]
CoverageFlag = Annotated[
    bool, typer.Option("--coverage", help="Show how much of the input models were shown instead, document by document")
]
DocumentFlag = Annotated[
    str | None,
    typer.Option(
        "--document",
        metavar="NAME",
        help="Show the text of a document of the input instead; the end of its name is enough",
        show_default=False,
    ),
]
LinesFlag = Annotated[
    str | None,
    typer.Option(
        "--lines", metavar="A-B", help="Show these lines of the document, with their numbers", show_default=False
    ),
]
PageFlag = Annotated[
    int | None, typer.Option("--page", metavar="N", help="Show this page of the document", show_default=False)
]
CitationsFlag = Annotated[
    bool,
    typer.Option(
        "--citations", help="Show what the answer cites instead, with the lines around it: all, or citation N"
    ),
]
FollowFlag = Annotated[
    bool, typer.Option("--follow", help="Show the run live, whichever process runs it, until it ends or waits")
]
Number = Annotated[
    int | None,
    typer.Argument(
        metavar="[N]", help="With --citations: the number of one, from its marker [^N]", show_default=False, min=0
    ),
]


@command
def show(
    invocation: Invocation,
    thread: options.Thread = None,
    step: StepFlag = None,
    full: FullFlag = False,
    given: InputFlag = False,
    coverage: CoverageFlag = False,
    document: DocumentFlag = None,
    lines: LinesFlag = None,
    page: PageFlag = None,
    citations: CitationsFlag = False,
    number: Number = None,
    follow: FollowFlag = False,
) -> None:
    """Show a run: its question, input, settings, each turn's code and output, its sub-RLMs, and the answer.

    A sub-RLM is a run too: show its THREAD. Turns are a run's own; its calls, tokens and cost are those of its tree.
    --follow shows each turn as it is saved. It ends with the run, or when the run waits; Ctrl-C ends --follow alone.

    [bold]Examples[/bold]

      rlm show
      rlm show which-contracts-end-3f2a --full | less
      rlm show which-contracts-end-3f2a --follow
      rlm show which-contracts-end-3f2a --step 7
      rlm show which-contracts-end-3f2a --input
      rlm show which-contracts-end-3f2a --coverage
      rlm show which-contracts-end-3f2a --document contracts/lease.pdf --page 7
      rlm show which-contracts-end-3f2a --citations
      rlm show which-contracts-end-3f2a --json | jq -r '.turns[].code[]'
    """
    of_the_input = given or document is not None or lines is not None or page is not None
    of_the_run = step is not None or full
    if follow:
        if step is not None or of_the_input or coverage or citations or number is not None:
            raise UsageError("--follow shows the run as it goes on: it goes with --full and --json only.")
        from ..cli.shown_following import follow as follow_run

        follow_run(invocation, thread_or_last(invocation, thread), full=full)
    elif coverage:
        if of_the_run or of_the_input or citations:
            raise UsageError("--coverage goes with no other flag of `rlm show` but --json.")
        from ..cli.shown_coverage import show_coverage

        show_coverage(invocation, thread)
    elif citations or number is not None:
        if not citations:
            raise UsageError("The number of a citation goes with --citations.")
        if of_the_input or step is not None:
            raise UsageError("--citations is about the answer, and not about a step or the input.")
        from ..cli.shown_citations import show_citations

        show_citations(invocation, thread, number)
    elif of_the_input:
        if of_the_run:
            raise UsageError("--step and --full are about the run, not about its input.")
        from ..cli.shown_input import show_input

        show_input(invocation, thread, document, lines, page)
    else:
        _show_run(invocation, thread_or_last(invocation, thread), step, full=full)


def _show_run(invocation: Invocation, name: str, step: int | None, *, full: bool) -> None:
    from ..cli.summary import waits_for

    async def read(runs: "SavedRuns") -> tuple[dict[str, Any], list[str]]:
        found = await runs.queries.show(name, runs.checkpoints, step)
        waits = step is None and found["status"] == "paused" and not invocation.json
        return found, waits_for(await runs.read(found["thread_id"]), invocation) if waits else []

    run, waits = from_saved_runs(invocation, read)
    invocation.thread = run["thread_id"]
    run["error"] = pasteable_error(run["error"], invocation) if run["error"] else None
    if invocation.json:
        put(safe_json(run))
        return
    from ..render.run import print_run

    print_run(run, full=full, waits=waits)
    if step is None:
        _say_what_next(invocation, run)


def _say_what_next(invocation: Invocation, run: dict[str, Any]) -> None:
    """Print the command that follows a run under way, or resumes one that has stopped. A tree is resumed at its top."""
    from ..terminal.escape import short_id
    from ..terminal.printed_commands import command_line

    name = short_id(run["thread_id"])
    if run["status"] == "busy":
        say(f"A process runs it now. Follow it: {command_line(invocation, 'show', name, '--follow')}", whole=True)
    elif run["status"] == "stopped" and not run["called_by"]:
        say(f"No process runs it. Go on: {command_line(invocation, 'resume', name)}", whole=True)
