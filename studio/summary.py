"""What is said when a run has ended: how, what it took, and what to do next."""

import re
from typing import TYPE_CHECKING, Any

from .display.wording import counted, duration, spent
from .invocation import Invocation
from .pasteable import command_line
from .safe_text import safe, safe_line

if TYPE_CHECKING:
    from ..graph.results import Run
    from ..state.schema import RestoreRecord

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_FLAG = re.compile(r"--(max-[a-z]+)")


def short_id(thread_id: str) -> str:
    """A name that commands take for the thread: the first characters of a made-up one, a given one whole."""
    return thread_id[:8] if _UUID.fullmatch(thread_id) else safe_line(thread_id)


def ended(run: "Run", seconds: float, sub_rlms: int = 0) -> str:
    """One line: status, turns, sub-RLMs, calls, tokens, cost, time, thread."""
    turns = "directly" if run.status == "answered" and not run.turns else counted(run.turns, "turn")
    children = [counted(sub_rlms, "sub-RLM")] if sub_rlms else []
    parts = [run.status, turns, *children, *spent(dict(run.usage)), duration(seconds)]
    return " · ".join([*parts, f"thread {safe_line(run.thread_id)}"])


def sentence(text: str) -> str:
    """A message as a sentence, safe to show: a capital at its beginning and a stop at its end."""
    said = safe(text.strip())
    if not said:
        return ""
    return f"{said[0].upper()}{said[1:]}{'' if said[-1] in '.!?:)' else '.'}"


def brought_back(restore: "RestoreRecord | None") -> list[str]:
    """What became of the REPL's variables when they had to be restored; nothing when they had not."""
    if restore is None:
        return []
    cells = counted(restore["cells"], "cell")
    lines = [f"The REPL was restored: {counted(len(restore['restored']), 'variable')} as they were."]
    if restore["rebuilt"]:
        lines.append(f"Rebuilt by running {cells} again: {safe_line(', '.join(restore['rebuilt']))}.")
    lines += [f"Lost: {safe_line(name)} ({safe_line(why)})." for name, why in sorted(restore["lost"].items())]
    lines += [sentence(note) for note in restore["notes"]]
    lines += [
        f"Turn {found['turn']}, run again, asked for other sub-calls than before: "
        f"{counted(len(found['missing']), 'recorded answer')} not asked for, {counted(len(found['new']), 'call')} new."
        for found in restore["diverged"]
    ]
    return lines


def what_next(run: "Run", invocation: Invocation, limits: dict[str, Any]) -> list[str]:
    """Commands worth typing now. `limits` are those in force, for a budget that was spent."""
    name = short_id(run.thread_id)
    look = [command_line(invocation, "show", name), command_line(invocation, "calls", name)]
    match run.status:
        case "answered":
            return [f"Look: {' · '.join(look)}"]
        case "stopped" | "failed":
            return [f"Go on: {command_line(invocation, 'resume', name)}", f"Look: {' · '.join(look)}"]
        case "budget":
            more = raised(str((run.error or {}).get("message", "")), limits)
            return [f"Go on: {command_line(invocation, 'resume', name, *more)}", f"Look: {look[0]}"]
        case "busy":
            return [f"When it has ended: {command_line(invocation, 'resume', name)}", f"Look: {look[0]}"]
        case "paused":
            return [*waits_for(run, invocation), f"Look: {look[0]}"]


def waits_for(run: "Run", invocation: Invocation) -> list[str]:
    """What a paused run waits for, and the command to decide it."""
    from .reviewing.requests import purposes, waiting_of

    asked = purposes(request for one in waiting_of(run) for request in one.requests)
    what = f"Waits for a person, to be allowed to {asked}." if asked else "Waits for a person."
    return [what, decide_line(invocation, run.thread_id)]


def decide_line(invocation: Invocation, thread_id: str) -> str:
    """Where somebody decides what a run waits for."""
    return f"Decide: {command_line(invocation, 'review', short_id(thread_id))}"


def raised(message: str, limits: dict[str, Any]) -> list[str]:
    """The flag that the message of a spent budget names, with twice the limit that was in force."""
    found = _FLAG.search(message)
    name = found[1].replace("-", "_") if found else "max_turns"
    limit = limits.get(name)
    if not isinstance(limit, int | float):
        return []
    return [f"--{name.replace('_', '-')}", f"{limit * 2:g}" if isinstance(limit, float) else str(limit * 2)]
