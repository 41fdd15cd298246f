"""The `rlm export` command, which writes a variable of a run's REPL, or the whole run as a page, to a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...state.errors import UsageError
from ..cli import options
from ..cli.agreeing import writes
from ..cli.common import command, from_runner, thread_or_last
from ..invocation import Invocation
from ..terminal.console import put, say
from ..terminal.escape import safe, safe_json

if TYPE_CHECKING:
    from ...graph.exports import Exported

VarFlag = Annotated[
    str | None,
    typer.Option("--var", metavar="NAME", help="The variable. `rlm vars` lists those there are.", show_default=False),
]
FormatFlag = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="Write the run itself: html, one page without scripts, for a browser anywhere",
        show_default=False,
    ),
]
NoInputFlag = Annotated[
    bool, typer.Option("--no-input", help="With --format: leave out the input, and what models were sent.")
]
MostCallsFlag = Annotated[
    int | None,
    typer.Option(
        "--most-calls",
        metavar="N",
        min=0,
        help="With --format: the calls that are written with their texts. Default: the first 1,000",
        show_default=False,
    ),
]
StepFlag = Annotated[
    int | None,
    typer.Option("--step", metavar="N", help="As it was after step N. Default: as it is now", show_default=False),
]
OutputFlag = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write it to FILE, whole or not at all, in the form of its suffix: .txt, .md, .html, .json, .jsonl, or "
        "for a table .csv, .tsv, .xlsx, .parquet. Default: stdout, as JSON unless it is a text",
        show_default=False,
    ),
]

_STAYS = "The run still has it: choose another place, or another form by the suffix."


@command
@writes
def export(
    invocation: Invocation,
    thread: options.Thread = None,
    *,
    var: VarFlag = None,
    step: StepFlag = None,
    output: OutputFlag = None,
    form: FormatFlag = None,
    no_input: NoInputFlag = False,
    most_calls: MostCallsFlag = None,
    unsandboxed: options.Unsandboxed = None,
) -> None:
    """Write a variable of a run's REPL to a file, or with --format html the whole run as one page to send to others.

    The page has the answer and what speaks for it, every turn, calls, and the input with what models were shown of it.
    Nothing in it runs and nothing is fetched. Secrets of the environment and in addresses are replaced by marks.

    With --var, a table, a text, or any value that has a form in JSON is written. The variable is restored into a
    kernel, confined as the run's are, which hands it over as FINAL_VAR would. No model is asked, nothing is paid, and
    the run stays as it is; it may be running. In the middle of a cell the variable is as it was before it. A variable
    that could not be saved (a generator, an open file) is refused, with the reason.

    [bold]Examples[/bold]

      rlm export --var threshold
      rlm export contracts --var a -o a.txt
      rlm export contracts --var threshold --step 7 -o threshold.json
      rlm export contracts --var context --json | jq -r .value
      rlm export contracts --format html -o contracts.html
      rlm export contracts --format html --no-input -o for-a-colleague.html
    """
    if (var is None) == (form is None):
        raise UsageError("Say what to export: --var NAME, or --format html for the whole run.")
    if form is not None:
        if step is not None or unsandboxed is not None:
            raise UsageError("--step and --unsandboxed are about a variable, and go with --var.")
        return _export_page(invocation, thread, form, output, inputs=not no_input, most_calls=most_calls)
    if no_input or most_calls is not None:
        raise UsageError("--no-input and --most-calls go with --format html.")
    _export_variable(invocation, thread, var or "", step, output, unsandboxed=unsandboxed)


def _export_page(
    invocation: Invocation,
    thread: str | None,
    form: str,
    output: Path | None,
    *,
    inputs: bool,
    most_calls: int | None,
) -> None:
    from ..page.export.written import export_page

    if form != "html":
        raise UsageError(f"There is no format {safe(form)!r}.", hint="There is html.")
    path = None if output is None or str(output) == "-" else output
    if invocation.json and path is None:
        raise UsageError("--json says where the page is, so it needs -o FILE.")
    export_page(invocation, thread_or_last(invocation, thread), path, inputs=inputs, most_calls=most_calls)


def _export_variable(
    invocation: Invocation,
    thread: str | None,
    var: str,
    step: int | None,
    output: Path | None,
    *,
    unsandboxed: bool | None,
) -> None:
    from ..cli.files import AnswerFile

    file = AnswerFile(output, safe(var), _STAYS) if output and str(output) != "-" else None
    thread = thread_or_last(invocation, thread)

    async def hand_over(runner: Any) -> "Exported":
        about = await runner.queries.about(thread)
        if unsandboxed or about["settings"].get("unsandboxed"):
            from ..cli.run_loop import NOT_SANDBOXED

            say(NOT_SANDBOXED)
        return await runner.exports.variable(thread, var, step, unsandboxed=bool(unsandboxed))

    found = from_runner(invocation, hand_over)
    if found.text_of is not None:
        say(f"{var} is a {found.text_of}, which has no form in JSON: this is its text.", whole=True)
    if found.problem:
        say(safe(found.problem), whole=True)
    if file:
        lines = file.write(found.value) if found.table is None else file.write_table(found.table)
        for line in lines:
            say(line, whole=True)
    if invocation.json:
        put(safe_json(_document(found, file.written if file else None)))
    elif file is None:
        _put(found)


def _document(found: "Exported", path: Path | None) -> dict[str, Any]:
    """Return what `--json` prints: where the value is, or the value itself when it is in no file."""
    table = found.table
    return {
        "thread_id": found.thread_id,
        "step": found.step,
        "name": found.name,
        "columns": None if table is None else [{"name": one.name, "type": one.type} for one in table.columns],
        "rows": None if table is None else table.rows_count,
        "text_of": found.text_of,
        "path": None if path is None else str(path),
        **({"value": _value(found)} if path is None else {}),
    }


def _value(found: "Exported") -> Any:
    if found.table is None:
        return found.value
    from ..answer_files.tables import records_of

    return list(records_of(found.table))


def _put(found: "Exported") -> None:
    """Print the value on stdout, as a run's answer is printed."""
    from ..cli.shown_answer import put_answer

    put_answer(_value(found))
