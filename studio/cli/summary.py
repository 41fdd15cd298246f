"""The summary of a run that has ended: its status, what it took, and what to do next."""

import math
from typing import TYPE_CHECKING, Any

from ...state.wording import counted, duration
from ..invocation import Invocation
from ..progress.text import spent
from ..terminal.escape import safe_line, sentence, short_id
from ..terminal.printed_commands import command_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...graph.run import Run
    from ...state.run_state import RestoreRecord

_UNFINISHED = ("failed", "stopped", "budget", "busy")


def ended(run: "Run", seconds: float | None, sub_rlms: int = 0, read: str = "") -> str:
    """Return one line with status, turns, sub-RLMs, calls, tokens, cost, time, what was read, and thread.

    `seconds` is None when the time is not known: that of an execution that was killed is not saved. What a busy run has
    taken by now only the process knows that executes it.
    """
    if run.status == "busy":
        return f"busy · thread {safe_line(run.thread_id)}"
    turns = "directly" if run.status == "answered" and not run.turns else counted(run.turns, "turn")
    children = [counted(sub_rlms, "sub-RLM")] if sub_rlms else []
    took = [] if seconds is None else [duration(seconds)]
    parts = [run.status, turns, *children, *spent(dict(run.usage)), *took, *([read] if read else [])]
    return " · ".join([*parts, f"thread {safe_line(run.thread_id)}"])


def failure(error: "Mapping[str, str]") -> list[str]:
    """Return what ended a run and, if anything must be done before the run can be resumed, that, as sentences."""
    return [said for part in ("message", "hint") if (said := sentence(error.get(part, "")))]


def to_json(run: "Run", next_lines: "Sequence[str]") -> dict[str, Any]:
    """Return the document that `--json` prints. The hint of an error ends in the command that resumes the run."""
    document = run.to_json()
    if run.error and run.status in _UNFINISHED:
        hint = sentence(run.error.get("hint", ""))
        document["error"] = {**run.error, "hint": " ".join(part for part in (hint, *next_lines[:1]) if part)}
    return document


def brought_back(restore: "RestoreRecord | None") -> list[str]:
    """Return lines about the REPL's variables after they had to be restored; none if they had not."""
    if restore is None:
        return []
    cells = counted(restore["cells"], "cell")
    lines = [f"The REPL was restored: {counted(len(restore['restored']), 'variable')} as they were."]
    if restore["rebuilt"]:
        lines.append(f"Rebuilt by running {cells} again: {safe_line(', '.join(restore['rebuilt']))}.")
    lines += [f"Lost: {safe_line(name)} ({safe_line(why)})." for name, why in sorted(restore["lost"].items())]
    lines += [sentence(f"{note[:1].upper()}{note[1:]}") for note in restore["notes"]]
    lines += [
        f"Turn {found['turn']}, run again, asked for other sub-calls than before: "
        f"{counted(len(found['missing']), 'recorded answer')} not asked for, {counted(len(found['new']), 'call')} new."
        for found in restore["diverged"]
    ]
    return lines


def what_next(run: "Run", invocation: Invocation, limits: dict[str, float]) -> list[str]:
    """Return lines with the commands to type next; for a run that could not continue, just one.

    `limits` are those with which it could continue, when its budget is spent.
    """
    name = short_id(run.thread_id)
    look = [command_line(invocation, "show", name), command_line(invocation, "calls", name)]
    match run.status:
        case "answered":
            return [f"Look: {' · '.join(look)}"]
        case "stopped":
            return [f"Go on: {command_line(invocation, 'resume', name)}", f"Look: {' · '.join(look)}"]
        case "failed":
            return [f"Go on: {command_line(invocation, 'resume', name)}"]
        case "budget":
            return [f"Go on: {command_line(invocation, 'resume', name, *as_flags(limits))}"]
        case "busy":
            return [f"Follow it: {command_line(invocation, 'show', name, '--follow')}"]
        case "paused":
            return [*waits_for(run, invocation), f"Look: {look[0]}"]


def waits_for(run: "Run", invocation: Invocation) -> list[str]:
    """Return lines about what a paused run waits for, with the command to decide it."""
    from ..approval.requests import purposes, waiting_of

    purpose = purposes(request for one in waiting_of(run) for request in one.requests)
    what = f"Waits for approval to {purpose}." if purpose else "Waits for approval."
    return [what, decide_line(invocation, run.thread_id)]


def decide_line(invocation: Invocation, thread_id: str) -> str:
    """Return a line with the command to decide what a run waits for."""
    return f"Decide: {command_line(invocation, 'review', short_id(thread_id))}"


def as_flags(limits: dict[str, float]) -> list[str]:
    """Return limits by name as words of a command line: `--max-cost 1.5`."""
    return [word for name, limit in limits.items() for word in (f"--{name.replace('_', '-')}", _as_word(name, limit))]


def _as_word(name: str, limit: float) -> str:
    if name != "max_home_size":
        return f"{limit:.12g}"
    unit, letter = (1 << 30, "G") if limit >= 10 * (1 << 30) else (1 << 20, "M")
    return f"{math.ceil(limit / unit)}{letter}"
