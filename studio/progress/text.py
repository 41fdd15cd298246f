"""The texts of the display: numbers with units, and one line for each notable event. All of them are safe to show."""

from collections.abc import Mapping
from typing import Any

from ...state.wording import counted, duration, megabytes
from ..terminal.escape import safe_line
from .state import Progress, Retry

_OF_CHILDREN = ("running", "answered", "failed", "waiting for approval")
_MARKS = {"ok": "ran", "error": "ended in an error", "timeout": "was stopped", "died": "died"}


def dollars(cost: float | None) -> str:
    """Return a cost in US dollars as text, empty when it is not known."""
    if cost is None:
        return ""
    return f"${cost:,.2f}" if cost >= 1 or cost == 0 else f"${cost:.4f}"


def spent(usage: Mapping[str, Any]) -> list[str]:
    """Return the spent calls, tokens and, if known, dollars as texts, and what lost answers may have taken.

    What is held for requests in flight is the last of them, where it is known.
    """
    calls, reused = int(usage.get("model_calls", 0)), int(usage.get("reused_calls", 0))
    tokens = int(usage.get("input_tokens", 0)) + int(usage.get("output_tokens", 0))
    parts = [counted(calls, "model call") + (f" + {reused:,} reused" if reused else "")]
    parts += [counted(tokens, "token")] if tokens else []
    cost = dollars(usage.get("cost_usd"))
    parts += [cost] if cost else []
    if lost := int(usage.get("uncertain_calls", 0)):
        most, more = int(usage.get("uncertain_tokens", 0)), dollars(usage.get("uncertain_cost_usd") or None)
        beyond = f"up to {counted(most, 'token')}{f' ({more})' if more else ''} more of " if most else ""
        parts.append(f"{beyond}{counted(lost, 'lost call')}")
    if held := int(usage.get("held_calls", 0)):
        most, cost = int(usage.get("held_tokens", 0)), dollars(usage.get("held_cost_usd") or None)
        parts.append(f"up to {cost or counted(most, 'token')} held for {counted(held, 'call')} in flight")
    return parts


def turn_title(progress: Progress) -> str:
    """Return a text like `turn 3 of 30`, with a remark if it is the last."""
    of = f" of {progress.turns}" if progress.turns else ""
    last = ", the last: it must answer" if progress.last else ""
    return f"turn {progress.turn}{of}{last}"


def calls_line(progress: Progress) -> str:
    """Return the numbers of the running cell's sub-calls: answered, reused, failed and in flight."""
    calls = progress.calls
    parts = [f"{calls.answered:,} of {calls.posted:,} sub-calls answered"]
    parts += [f"{calls.reused:,} reused"] if calls.reused else []
    parts += [f"{calls.failed:,} failed"] if calls.failed else []
    parts += [f"{calls.in_flight:,} in flight"] if calls.in_flight else []
    return " · ".join(parts)


def children_line(progress: Progress) -> str:
    """Return how many sub-RLMs of the running cell run, have answered, failed or wait, by depth; empty without any."""
    counts = progress.children.counts
    levels = [
        (depth, [f"{number:,} {what}" for number, what in zip(counts[depth], _OF_CHILDREN, strict=True) if number])
        for depth in sorted(counts)
    ]
    by_depth = [(depth, " · ".join(parts)) for depth, parts in levels if parts]
    if len(by_depth) == 1:
        return f"sub-RLMs: {by_depth[0][1]}"
    return "sub-RLMs " + "; ".join(f"at depth {depth}: {parts}" for depth, parts in by_depth) if by_depth else ""


def latest_line(progress: Progress) -> str:
    """Return the turn and question of the running sub-RLM with the latest event; empty when none runs."""
    if (latest := progress.children.latest) is None:
        return ""
    thread, child = latest
    return f"{safe_line(thread, 60)[:8]} in turn {child.turn}: {safe_line(child.question, 100)}"


def writing_line(progress: Progress) -> str:
    """Return how much of the root model's reply has arrived; empty when none does."""
    writing = progress.writing
    return f"writing, {counted(writing.tokens, 'token')}, {writing.per_second:,}/s" if writing else ""


def waiting_line(progress: Progress) -> str:
    """Return one line about everything that the running cell waits for."""
    calls = calls_line(progress) if progress.calls.posted else ""
    return "; ".join(part for part in (calls, children_line(progress), latest_line(progress)) if part)


def reading_line(
    documents: int, size: int, files: int = 0, of_files: int = 0, seconds_left: float | None = None
) -> str:
    """Return how far the reading of the input is: `Reading file 120 of 500: 84 documents, 3.2 MB · about 12 s left`."""
    which = f"file {min(files + 1, of_files):,} of {of_files:,}: " if of_files > 1 else ""
    left = f" · about {duration(max(1.0, seconds_left))} left" if seconds_left is not None else ""
    return f"Reading {which}{counted(documents, 'document')}, {megabytes(size)}{left}"


def reading_of(progress: Progress) -> str:
    """Return `reading_line` of a run."""
    of = progress
    return reading_line(of.documents, of.bytes, of.files, of.of_files, of.seconds_left)


def indexing_line(progress: Progress) -> str:
    """Return how much of the search index is built: `building the search index of 180.0 MB, 40 %`."""
    done, of = progress.indexed
    return f"building the search index of {megabytes(of)}, {min(99, 100 * done // max(1, of))} %"


def retry_line(progress: Progress) -> str:
    """Return why and when a request is sent again; empty once that time has passed."""
    retry = progress.retry
    if retry is None or (left := retry.at - progress.clock()) < 0:
        return ""
    return f"{failed_request(retry)}, again in {duration(left)}"


def failed_request(retry: Retry) -> str:
    """Return the model of a request that is repeated, and why it is."""
    return f"{safe_line(retry.model, 40)}: {safe_line(retry.reason, 80)}"


def spoken(event: Mapping[str, Any], progress: Progress) -> list[str]:
    """Return the lines that stay on the screen for an event that `progress` has processed. Most events have none."""
    match event.get("event"):
        case "input" if event.get("done"):
            notes = [f"  {safe_line(str(note), 200)}" for note in event.get("notes", [])]
            read = f"Read {counted(progress.documents, 'document')}, {megabytes(progress.bytes)} of text."
            return [read, *notes]
        case "one_call":
            return ["This input fits one model call: --mode auto would try one call first."]
        case "direct" if event.get("outcome") == "repl":
            return [f"Needs the REPL: {safe_line(str(event.get('why')), 300)}."]
        case "direct" if event.get("outcome") == "answered":
            why = safe_line(str(event.get("why") or ""), 300)
            return [f"Answered directly, in one call{f'; {why}' if why else ''}."]
        case "nudge":
            return [f"Turn {event.get('turn')}: nothing to run ({safe_line(str(event.get('reason')), 120)})."]
        case "output":
            return [ended_line(progress)]
        case "indexing" if event.get("done"):
            built = (
                "Built the search index" if progress.indexed[0] == progress.indexed[1] else "No search index: failed"
            )
            return [f"{built} in {duration(progress.index_seconds)}."]
        case "notice":
            return [safe_line(str(event.get("text", "")), 300)]
        case _:
            return []


def ended_line(progress: Progress) -> str:
    """Return how the last cell ended, with the first line of its output (the last line unless it ended well)."""
    ended = progress.ended
    if ended is None:
        return ""
    parts = [f"Turn {ended.turn} {_MARKS.get(ended.status, safe_line(ended.status, 20))} in {duration(ended.seconds)}"]
    if progress.calls.done:
        parts.append(counted(progress.calls.done, "sub-call"))
    if ended.children:
        parts.append(counted(ended.children, "sub-RLM"))
    lines = [line for line in ended.preview.split("\n") if line.strip()]
    if lines:
        parts.append(safe_line(lines[0] if ended.status == "ok" else lines[-1], 100))
    return " · ".join(parts)


def restoring_line(progress: Progress) -> str:
    """Return the progress of restoring the REPL."""
    cells, of = progress.restored
    return f"Restoring the REPL: running cell {cells} of {of} again" if of else "Restoring the REPL's variables"
