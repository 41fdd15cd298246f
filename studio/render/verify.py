"""Rendering of the report of a check, for `rlm verify`."""

from typing import TYPE_CHECKING

from rich.text import Text

from ...state.wording import counted, megabytes
from ..invocation import Invocation
from ..terminal.console import put, say, stdout_console
from ..terminal.escape import safe_line
from ..terminal.printed_commands import command_line

if TYPE_CHECKING:
    from ...state.maintenance.report import Kind, Part, Report

_KINDS: dict["Kind", str] = {
    "thread": "entry in the index",
    "step": "entry in the list of steps",
    "checkpoint": "checkpoint",
    "write": "write of a task",
    "call": "call",
    "text": "text",
    "snapshot": "snapshot",
    "piece": "piece of a variable",
    "input": "input",
    "child": "entry in the list of child runs",
    "turn": "row of a turn",
    "execution": "row of an execution",
    "database": "database",
    "citation": "citation",
}
_PARTS: dict["Part", str] = {
    "steps": "steps that can be opened",
    "turns": "turns",
    "calls": "calls",
    "variables": "variables of the last snapshot",
}


def print_report(report: "Report", invocation: Invocation) -> None:
    """Print the report on stdout and what to do next on stderr; all of it is escaped here."""
    records = sum(tally.records for tally in report.checked.values())
    size = sum(tally.bytes for tally in report.checked.values())
    put(f"{safe_line(report.thread_id)}: {counted(records, 'record')} checked, {megabytes(size)}.")
    if report.ok:
        put("All of it is what was saved.")
        return
    console = stdout_console()
    number = len(report.problems)
    console.print(Text(f"{counted(number, 'thing')} {'is' if number == 1 else 'are'} damaged:", style="bold red"))
    for problem in report.problems:
        what = Text.assemble(("✗ ", "red"), (f"{_KINDS[problem.kind]} ", "bold"), safe_line(problem.name))
        console.print(what.append(f": {safe_line(problem.fault)}, in {problem.where}"), soft_wrap=True)
        for lost in problem.needed_by:
            console.print(Text(f"    lost with it: {safe_line(lost)}"), soft_wrap=True)
    whole = [f"{part_whole:,} of {of:,} {_PARTS[part]}" for part, (part_whole, of) in report.whole.items() if of]
    console.print(Text(f"Whole all the same: {', '.join(whole)}."), soft_wrap=True)
    say("What is damaged cannot be made whole from here; a copy of the home from before may have it.")
    if (step := report.last_whole_step) is not None:
        fork = command_line(invocation, "fork", report.thread_id, "--step", str(step))
        say(f"To continue from the last step that can be opened: {fork}", whole=True)
