"""The `rlm export` command, which writes a variable of a run's REPL to a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..cli import options
from ..cli.agreeing import writes
from ..cli.common import command, from_runner, thread_or_last
from ..invocation import Invocation
from ..terminal.console import put, say
from ..terminal.escape import safe, safe_json

if TYPE_CHECKING:
    from ...graph.exports import Exported

VarFlag = Annotated[
    str,
    typer.Option("--var", metavar="NAME", help="The variable. `rlm vars` lists those there are."),
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
    var: VarFlag,
    step: StepFlag = None,
    output: OutputFlag = None,
    unsandboxed: options.Unsandboxed = None,
) -> None:
    """Write a variable of a run's REPL to a file: a table, a text, or any value that has a form in JSON.

    The variable is restored into a kernel, confined as the run's are, which hands it over as FINAL_VAR would. No model
    is asked, nothing is paid, and the run stays as it is; it may be running. In the middle of a cell the variable is as
    it was before it. A variable that could not be saved (a generator, an open file) is refused, with the reason.

    [bold]Examples[/bold]

      rlm export --var threshold
      rlm export contracts --var a -o a.txt
      rlm export contracts --var threshold --step 7 -o threshold.json
      rlm export contracts --var context --json | jq -r .value
    """
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
