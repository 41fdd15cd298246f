"""Rendering of a run, for `rlm show`."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from ...state.errors import cli_command
from ...state.wording import counted, duration, megabytes
from ..progress.text import dollars, spent
from ..terminal.console import stdout_console
from ..terminal.escape import answer_text, safe, safe_line, safe_lines, short_id
from ..terminal.python_code import python_text
from ..terminal.tables import STATUS_STYLES, Column, ago, drawn, print_table
from .executions import executions_line

_CODE_LINES = 24
_OUTPUT_LINES = 12
_WIDTH = 160
_CHILDREN = 20
"""Sub-RLMs that are shown of each level of their tree."""

_SETTINGS = {
    "base_url": "at {}",
    "sub_model": "sub-calls by {}",
    "sub_base_url": "at {}",
    "then": "then {}",
    "max_depth": "depth {}",
    "concurrency": "{} calls in flight",
}
_LIMITS = {
    "max_turns": "{:,} turns",
    "max_calls": "{:,} calls",
    "max_tokens": "{:,} tokens",
    "max_cost": "${:g}",
    "max_time": "{:g} s",
}


def print_run(run: dict[str, Any], *, full: bool = False, waits: Sequence[str] = ()) -> None:
    """Print the result of `RunQueries.show`; all of it is escaped here.

    `waits` are the lines about what the run waits for, escaped already.
    """
    print_heading(run)
    for turn in run["turns"]:
        print_turn(turn, full=full)
    console = stdout_console()
    if run["cell"] and not any(turn["code"] == run["cell"] for turn in run["turns"]):
        console.print(Text("── about to run", style="bold"))
        console.print(_code("\n".join(run["cell"]), full=full), soft_wrap=True)
    if run["step"] and (variables := [one for turn in run["turns"] for one in [turn["variables"]] if one]):
        console.print(Text("\n── variables", style="bold"))
        for one in variables[-1]:
            size = "" if one["size"] is None else f", size {one['size']:,}"
            line = safe_line(f"{one['name']}: {one['type']}{size} = {one['preview']}", _WIDTH)
            console.print(Text(f"  {line}"), soft_wrap=True)
    print_outcome(run, full=full, waits=waits)


def print_heading(run: dict[str, Any]) -> None:
    """Print what is known of a run as a whole: question, status, settings, limits, input, and what it has spent."""
    console = stdout_console()
    for label, text in _facts(run):
        console.print(Text.assemble((f"{label:<10}", "bold"), text), soft_wrap=True)


def print_turn(turn: dict[str, Any], before: dict[str, Any] | None = None, *, full: bool = False) -> None:
    """Print a turn of `RunQueries.show`.

    `before` is the same turn as it was printed before, while it was under way: then what is the same is left out.
    """
    console = stdout_console()
    console.print()
    console.print(_heading(turn))
    for block in turn["code"] if before is None or before["code"] != turn["code"] else ():
        console.print(_code(block, full=full), soft_wrap=True)
    for text, style in _came_of(turn, before, full=full):
        console.print(Text(_indented(text), style=style), soft_wrap=True)


def print_outcome(run: dict[str, Any], *, full: bool = False, waits: Sequence[str] = ()) -> None:
    """Print what a run has come to: its sub-RLMs, what it waits for, its answer, and what belongs to that."""
    console = stdout_console()
    _print_children(run["children"], full=full)
    for place, line in enumerate(waits):
        console.print(Text(f"\n{line}" if place == 0 else line, style="bold yellow"), soft_wrap=True)
    if run["answer"] is not None:
        console.print(Text("\n── answer", style="bold green"))
        console.print(Text(safe(answer_text(run["answer"])).rstrip()), soft_wrap=True)
    if citations := run.get("citations"):
        false = sum(not one["verified"] for one in citations)
        found = f", {false:,} of them NOT FOUND in the input" if false else ", all found in the input"
        line = f"\n{counted(len(citations), 'citation')}{found}: {_command('show', run, '--citations')}"
        console.print(Text(line, style="bold red" if false else "bold"), soft_wrap=True)
    if files := run.get("files"):
        size = megabytes(sum(one["size"] for one in files))
        line = f"\n{counted(len(files), 'file')} ({size}): {_command('resume', run, '--files', 'DIR')}"
        console.print(Text(line, style="bold"), soft_wrap=True)


def _command(name: str, run: dict[str, Any], *flags: str) -> str:
    return cli_command(name, short_id(run["thread_id"]), *flags).strip("`")


def _print_children(children: list[dict[str, Any]] | None, *, full: bool) -> None:
    """Print the tree of sub-RLMs; nothing if there are none or they are not known."""
    if not children:
        return
    most = None if full else _CHILDREN
    levels = [children, *(one["children"] for one in _all(children))]
    cut = most is not None and any(len(level) > most for level in levels)
    only = f", the first {most} of a level (whole with --full)" if cut else ""
    stdout_console().print(Text(f"\n── {counted(sum(map(len, levels)), 'sub-RLM')}{only}", style="bold"))
    columns = [
        Column("THREAD", limit=60, safe=True),
        *(Column(title, right=title != "STATUS") for title in ("STATUS", "TURNS", "CALLS", "COST")),
        Column("ASKED", wide=True),
    ]
    print_table(columns, _child_rows(children, most), status_column=1)


def _all(children: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    waiting = list(children)
    while waiting:
        yield (one := waiting.pop())
        waiting += one["children"]


def _child_rows(children: list[dict[str, Any]], most: int | None) -> Iterator[tuple[str, ...]]:
    for guides, one in drawn(children, lambda child: child["children"], most):
        if isinstance(one, int):
            yield (f"{guides}… and {one:,} more", "", "", "", "", "")
            continue
        yield (
            f"{guides}{short_id(one['thread_id'])}",
            one["status"],
            f"{one['turns']:,}",
            f"{one['model_calls']:,}",
            dollars(one["cost_usd"]) or "?",
            one["question"],
        )


def _facts(run: dict[str, Any]) -> Iterator[tuple[str, Text]]:
    yield "Thread", Text(safe_line(run["thread_id"]))
    if called := run["called_by"]:
        turn = f" in turn {called['turn']}" if called["turn"] is not None else ""
        yield "Called by", Text(safe_line(f"{called['thread_id']} (call {called['call']}{turn})"))
    if run["fork_of"]:
        yield "Fork of", Text(safe_line(run["fork_of"]))
    if step := run["step"]:
        what = f"{step['step']}, made by {step['kind']} in turn {step['turn']} at {step['created']}: {step['summary']}"
        yield "Step", Text(safe_line(what))
    yield "Question", Text(safe(run["question"]))
    error = run["error"] or {}
    why = error.get("message") or run["note"] or ""
    waits = f", its cell waits for {counted(run['waiting'], 'sub-call')}" if run["waiting"] else ""
    status = Text(run["status"], style=STATUS_STYLES.get(run["status"], ""))
    yield "Status", status.append(f"{waits}{': ' if why else ''}{safe_line(why, 600)}", style="default")
    settings = run["settings"]
    named = [form.format(settings[key]) for key, form in _SETTINGS.items() if settings.get(key) not in (None, "")]
    yield "Model", Text(safe_line(" · ".join([run["model"], *named])))
    limits = [form.format(run["limits"][key]) for key, form in _LIMITS.items() if run["limits"].get(key) is not None]
    strict = ["lost answers count as all they may have taken"] if run["limits"].get("strict_budget") else []
    yield "Limits", Text(" · ".join([*limits, *strict]))
    if settings.get("schema"):
        yield "Schema", Text(safe_line(json.dumps(settings["schema"], ensure_ascii=False), 200))
    if settings.get("instructions"):
        yield "Instructions", Text(safe_line(settings["instructions"], 200))
    yield "Input", Text(_input(run["input"]))
    for note in (run["input"] or {}).get("notes", []):
        yield "", Text(safe_line(note, 300), style="dim")
    # The time of the execution under way is not saved yet.
    took = [] if run["step"] or run["status"] == "busy" or not run["seconds"] else [duration(run["seconds"])]
    yield "Spent", Text(" · ".join([*spent(run["usage"] or {}), *took]))
    if (line := executions_line(run["executions"] or ())) and not run["step"]:
        yield "Executed", Text(line)
    if run["status"] != "damaged":
        saved = "" if run["step"] else f", last saved {ago(run['updated'])}"
        yield "Begun", Text(f"{ago(run['created'])}{saved}")


def _input(reference: dict[str, Any] | None) -> str:
    if not reference or reference["kind"] == "none":
        return "none, the question alone"
    size = f"{reference['chars']:,} characters ({megabytes(reference['bytes'])})"
    names = ", ".join(reference["names"][:5]) + (", …" if reference["documents"] > 5 else "")
    if reference["kind"] == "text":
        return safe_line(f"one text, {size}{': ' if names else ''}{names}", 400)
    return safe_line(f"{counted(reference['documents'], 'document')}, {size}: {names}", 400)


def _heading(turn: dict[str, Any]) -> Text:
    status = turn["status"] or ("nothing to run" if turn["nudge"] else turn.get("under_way", "not run yet"))
    seconds = f" · {duration(turn['seconds'])}" if turn["seconds"] is not None else ""
    style = "bold red" if status in ("error", "timeout", "died") else "bold"
    return Text(f"── turn {turn['turn']} · {safe_line(status, 30)}{seconds}", style=style)


def _code(code: str, *, full: bool) -> Text:
    shown = safe(code) if full else safe_lines(code, _CODE_LINES, _WIDTH)
    text = python_text(_indented(shown))
    text.rstrip()
    return text


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))


def _came_of(turn: dict[str, Any], before: dict[str, Any] | None, *, full: bool) -> Iterator[tuple[str, str]]:
    """Yield the output, the error, the nudge and the notes of a turn that `before` has not, each with its style."""
    known = before or {}
    if turn["output"] and turn["output"] != known.get("output"):
        yield (safe(turn["output"]).rstrip() if full else safe_lines(turn["output"], _OUTPUT_LINES, _WIDTH)), "dim"
    if turn["error"] and turn["error"] != known.get("error"):
        yield safe_line(turn["error"], 300), "red"
    if turn["nudge"] and turn["nudge"] != known.get("nudge"):
        yield safe_line(turn["nudge"], 300), "yellow"
    for note in turn["notes"][len(known.get("notes", ())) :]:
        yield safe_line(note, 300), "yellow"
