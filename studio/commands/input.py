"""The `rlm input` command, which says what of files would be read."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..cli import options
from ..cli.common import command
from ..cli.signals import STOPPED
from ..invocation import Invocation
from ..terminal.console import put, say
from ..terminal.escape import safe_json

if TYPE_CHECKING:
    from ...nodes.input.ingest import ReadSoFar

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH",
        help="Files, folders, patterns such as 'src/**/*.py', or - for stdin.",
        show_default=False,
    ),
]
InputFlags = Annotated[
    dict[str, Any], options.SettingFlags(("encoding", "hidden", "password", "unsandboxed", "model", "price"))
]


@command
def show_input(invocation: Invocation, paths: Paths, *, settings: InputFlags) -> None:
    """Say what would be read: every file, its kind, size, documents, pages and tokens, and what is not read and why.

    Nothing is sent, and no run is started. The files are read as `rlm run` reads them, by the same readers in the same
    sandbox. With a model, here or in RLM_MODEL, it says what reading everything once would cost. The same list of a
    run's input is `rlm show --input`.

    [bold]Examples[/bold]

      rlm input contracts/
      rlm input 'mail/**/*.eml' archive.zip --model openai:gpt-5-mini
      rlm input contracts/ --json | jq -r '.[] | select(.skipped or .losses != []) | .path'
    """
    from ...graph.survey import Surveyed, survey
    from ...state.settings import resolve
    from ..cli.agreeing import reads_copy, resolved_or_asked
    from ..progress.counter import Counting
    from ..progress.text import reading_line
    from ..render.input import print_notes, print_reports

    resolved = resolved_or_asked(invocation, lambda: resolve(settings)).settings

    # Texts that a stranger's home has kept may say what their files do not.
    keep = invocation.has_runs and not reads_copy(invocation)

    def work() -> Surveyed:
        with Counting("Reading the input") as display:
            return survey(
                paths, resolved, invocation.home, lambda so_far: display.update(lambda: line(so_far)), keep=keep
            )

    def line(so_far: "ReadSoFar") -> str:
        return reading_line(so_far.documents, so_far.bytes, so_far.files, so_far.of_files, so_far.seconds_left)

    try:
        surveyed = work()
    except KeyboardInterrupt:
        say("Stopped.")
        raise typer.Exit(STOPPED) from None
    if invocation.json:
        put(safe_json(surveyed.files))
    else:
        print_reports(surveyed.files, model=resolved.model)
        print_notes(surveyed.notes)
    raise typer.Exit(0 if any(one["skipped"] is None for one in surveyed.files) else 2)
