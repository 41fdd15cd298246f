"""Rendering of the differences between two steps, for `rlm diff`."""

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from ...state.wording import counted
from ..terminal.console import stdout_console
from ..terminal.escape import answer_text, safe, safe_line, safe_lines, short_id

_LINES = 24
_CALLS = 5
"""Calls of each kind that are named, at most."""
_WIDTH = 160
_SIDES = (("from", "-", "red"), ("to", "+", "green"))
_STYLES = {"-": "red", "+": "green", "@": "cyan"}
Line = tuple[str, str]
"""A line that is safe to show, and its style."""


def print_comparison(found: dict[str, Any], *, full: bool = False) -> None:
    """Print the result of `RunQueries.compare`; all of it is escaped here."""
    console = stdout_console()
    console.print(Text(f"{_place(found['from'])} → {_place(found['to'])}", style="bold"), soft_wrap=True)
    lines = [*_facts(found), *_edits(found["edits"]), *_variables(found["variables"])]
    for turn in found["turns"]:
        lines += _turn(turn, full=full)
    if found["answer"]:
        lines += [("", ""), ("── answer", "bold"), *_sides(found["answer"], full=full)]
    lines += [*_calls(found["calls"]), *_cost(found["cost"])]
    for text, style in lines or [("Nothing differs.", "")]:
        console.print(Text(text, style=style), soft_wrap=True)


def _place(place: dict[str, Any]) -> str:
    return f"{short_id(place['thread_id'])} step {place['step']}"


def _facts(found: dict[str, Any]) -> Iterator[Line]:
    for name in ("question", "status"):
        if found[name]:
            yield f"{name.capitalize()}", "bold"
            for side, mark, style in _SIDES:
                yield f"  {mark} {safe_line(str(found[name][side]), 600)}", style
    if found["input"]:
        yield "Another input", "bold"


def _edits(edits: list[dict[str, Any]]) -> Iterator[Line]:
    if not edits:
        return
    yield "", ""
    yield "── variables that a person set", "bold"
    for one in edits:
        when = f"after turn {one['turn']}" if one["turn"] else "before the first turn"
        for side, mark, style in _SIDES:
            if one[side] is not None:
                said = f"{when}: {one['name']} = {one[side]['preview']}"
                yield f"  {mark} {safe_line(said, _WIDTH)}", style


def _calls(calls: dict[str, Any] | None) -> Iterator[Line]:
    if calls is None:
        return
    yield "", ""
    yield f"── calls · {calls['same']:,} the same", "bold"
    for kind, mark, style in (("only_from", "-", "red"), ("only_to", "+", "green")):
        yield from _listed(calls[kind], mark, style, "only here")
    yield from _listed(calls["answered_differently"], "~", "yellow", "answered differently")


def _listed(calls: dict[str, Any], mark: str, style: str, what: str) -> Iterator[Line]:
    if not calls["count"]:
        return
    yield f"  {mark} {counted(calls['count'], 'call')} {what}", style
    for one in calls["calls"][:_CALLS]:
        yield f"      turn {one['turn']}: {safe_line(one['prompt'], _WIDTH)}", "dim"
    if calls["count"] > _CALLS:
        yield f"      and {calls['count'] - _CALLS:,} more", "dim"


def _cost(cost: dict[str, Any] | None) -> Iterator[Line]:
    if cost is None:
        return
    yield "", ""
    yield "── cost", "bold"
    for side, mark, style in _SIDES:
        if (one := cost[side]) is not None:
            tokens = one["input_tokens"] + one["output_tokens"]
            dollars = "cost unknown" if one["cost_usd"] is None else f"${one['cost_usd']:.4f}"
            yield f"  {mark} {counted(one['model_calls'], 'model call')} · {tokens:,} tokens · {dollars}", style


def _variables(found: dict[str, Any]) -> Iterator[Line]:
    if not any(found.values()):
        return
    yield "", ""
    yield "── variables", "bold"
    for kind, mark, style in (("removed", "-", "red"), ("added", "+", "green")):
        for name, one in found[kind].items():
            yield f"  {mark} {safe_line(f'{name}: {_described(one)}', _WIDTH)}", style
    for name, one in found["changed"].items():
        yield from _changed(name, one)


def _changed(name: str, one: dict[str, Any]) -> Iterator[Line]:
    was, now = _described(one["from"]), _described(one["to"])
    if was != now:
        yield f"  - {safe_line(f'{name}: {was}', _WIDTH)}", "red"
        yield f"  + {safe_line(f'{name}: {now}', _WIDTH)}", "green"
        return
    shares = f", or in what it shares with {', '.join(one['shares_with'])}" if one["shares_with"] else ""
    yield f"  ~ {safe_line(f'{name}: {now} (changed inside{shares})', _WIDTH)}", "yellow"


def _described(one: dict[str, Any]) -> str:
    size = "" if one["size"] is None else f", size {one['size']:,}"
    lost = "" if one["restorable"] else f" (not restorable: {one['why_not']})"
    return f"{one['type']}{size} = {one['preview']}{lost}"


def _turn(turn: dict[str, Any], *, full: bool) -> Iterator[Line]:
    yield "", ""
    status = turn["status"] or {"from": None, "to": None}
    ended = safe_line(" → ".join(str(value) for value in (status["from"], status["to"]) if value), 60)
    yield " · ".join([f"── turn {turn['turn']}", turn["change"], *([ended] if ended else [])]), "bold"
    for part in ("reply", "code", "output", "error"):
        if turn[part] and (turn[part]["from"] or turn[part]["to"]):
            yield f"  {part}", "dim"
            yield from _sides(turn[part], full=full)


def _sides(change: dict[str, Any], *, full: bool) -> Iterator[Line]:
    """Yield the lines of a diff of two texts, or those of both texts in turn if no diff was made."""
    if change.get("diff") is not None:
        for line in _shown(change["diff"], full=full):
            yield f"  {line}", _STYLES.get(line[:1], "")
        return
    for side, mark, style in _SIDES:
        if change[side] is not None:
            for line in _shown(answer_text(change[side]), full=full):
                yield f"  {mark} {line}", style


def _shown(text: str, *, full: bool) -> list[str]:
    return (safe(text).rstrip("\n") if full else safe_lines(text, _LINES, _WIDTH)).split("\n")
