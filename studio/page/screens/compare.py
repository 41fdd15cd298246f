"""Two runs, or two steps of one, side by side from the first difference on: `rlm diff` for a browser."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....graph.diff import ComparedPart
from ....graph.queries import Place
from ....state.errors import UsageError
from ..errors import NotThere
from ..home import home_of
from ..numbers import count, money
from ..rendering import render
from ..side_by_side import SideRow, side_by_side

_MOST_VARIABLES = 100
_MOST_ANSWER = 20_000
_MOST_DIGITS = 9


async def compare(request: Request) -> Response:
    """Return two runs or steps side by side, named `THREAD` or `THREAD@STEP` as `a` and `b`; without them a form."""
    query = request.query_params
    asked = {name: query.get(name, "").strip() for name in ("a", "b")}
    if not (asked["a"] and asked["b"]):
        return render(request, "compare.html", asked=asked, found=None)
    home = await home_of(request)
    after = query.get("after", "")
    part = ComparedPart(after=int(after)) if _is_number(after) else ComparedPart()
    places = _place(asked["a"]), _place(asked["b"])
    try:
        found = await home.queries.compare(*places, home.checkpoints, part=part)
    except UsageError as error:
        raise NotThere(error.message, error.hint or "") from error
    sides = [await home.queries.about(found[side]["thread_id"]) for side in ("from", "to")]
    for turn in found["turns"]:
        turn["sides"] = [(label, rows) for label in _LABELS if (rows := _rows(turn[label.lower()]))]
    variables = _variables(found["variables"])
    answer, labels = found["answer"], _labels(found["from"], found["to"])
    return render(
        request,
        "compare.html",
        asked=asked,
        found=found,
        labels=labels,
        only={side: f"only {one}" if one == "now" else f"only in {one}" for side, one in labels.items()},
        verdict=_verdict(found),
        facts=[*_facts(found, sides), *_costs(found["cost"])],
        variables=variables[:_MOST_VARIABLES],
        more_variables=max(0, len(variables) - _MOST_VARIABLES),
        answer=side_by_side(_said(answer["from"]), _said(answer["to"])) if answer else None,
    )


def _labels(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Return what the sides are called: their runs, or the steps of the one run that they are of."""
    if old["thread_id"] != new["thread_id"]:
        return {"from": old["thread_id"], "to": new["thread_id"]}
    return {side: f"step {one['step']}" if one["step"] else "now" for side, one in (("from", old), ("to", new))}


_LABELS = ("Code", "Reply", "Output", "Error")


def _place(text: str) -> Place:
    name, at, number = text.rpartition("@")
    return (name, int(number)) if at and name and _is_number(number) else (text, None)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS


def _rows(change: Mapping[str, Any] | None) -> list[SideRow]:
    return side_by_side(change["from"], change["to"]) if change else []


def _verdict(found: Mapping[str, Any]) -> str:
    """Return a sentence that says from where on the sides differ."""
    first = found["first_difference"]
    if first is None:
        facts = [name for name in ("question", "input", "status", "answer") if found[name]]
        return f"All turns are the same; the {' and the '.join(facts)} differ." if facts else "Nothing differs."
    if any(edit["turn"] == first for edit in found["edits"]) and all(turn["turn"] > first for turn in found["turns"]):
        return f"{_same(first)} after that a person has set variables otherwise."
    if first == 0:
        return "They differ from before the first turn on."
    return (
        f"{_same(first - 1)} they differ from turn {first} on." if first > 1 else "They differ from the first turn on."
    )


def _same(turns: int) -> str:
    """Return the beginning of a sentence about turns that are the same."""
    if not turns:
        return "They begin alike;"
    return "The first turn is the same;" if turns == 1 else f"Turns 1 to {turns} are the same;"


_Facts = list[tuple[str, tuple[str, str]]]


def _facts(found: Mapping[str, Any], sides: list[dict[str, Any]]) -> _Facts:
    """Return what the sides are, in words: of a question or a status that is the same on both, too."""
    facts: _Facts = []
    for name in ("question", "status"):
        pair = found[name] or {side: about[name] for side, about in zip(("from", "to"), sides, strict=True)}
        facts.append((name.capitalize(), (str(pair["from"]), str(pair["to"]))))
    if pair := found["input"]:
        there = "another one" if pair["from"] else "its own"
        facts.append(("Input", ("its own" if pair["from"] else "none yet", there if pair["to"] else "none yet")))
    if pair := found["answer"]:
        facts.append(("Answer", (_first_line(pair["from"]), _first_line(pair["to"]))))
    return facts


def _first_line(answer: Any) -> str:
    lines = (_said(answer) or "none yet").strip().split("\n")
    return lines[0] + (" …" if len(lines) > 1 else "")


_NOTHING: Mapping[str, Any] = {"model_calls": 0, "reused_calls": 0, "cost_usd": 0.0}


def _costs(cost: Mapping[str, Any] | None) -> _Facts:
    if not cost:
        return []
    old, new = cost["from"] or _NOTHING, cost["to"] or _NOTHING
    named = (("model_calls", "Model calls"), ("reused_calls", "Reused"), ("cost_usd", "Cost"))
    facts: _Facts = [
        (label, (_number(old, key), _number(new, key))) for key, label in named if old.get(key) != new.get(key)
    ]
    tokens = [sum(one.get(key) or 0 for key in ("input_tokens", "output_tokens")) for one in (old, new)]
    return [*facts, *([("Tokens", (count(tokens[0]), count(tokens[1])))] if tokens[0] != tokens[1] else [])]


def _number(usage: Mapping[str, Any], key: str) -> str:
    value = usage.get(key)
    return money(value) if key == "cost_usd" else count(value or 0)


def _variables(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the variables that differ by name, each with what it is on either side, None where it is not there."""
    changed = [
        {"name": name, "kind": "changed", "old": one["from"], "new": one["to"], "said": _changed(one)}
        for name, one in found["changed"].items()
    ]
    added = [
        {"name": name, "kind": "added", "old": None, "new": one, "said": "added"}
        for name, one in found["added"].items()
    ]
    removed = [
        {"name": name, "kind": "removed", "old": one, "new": None, "said": "removed"}
        for name, one in found["removed"].items()
    ]
    return sorted([*changed, *added, *removed], key=lambda one: str(one["name"]))


def _changed(one: Mapping[str, Any]) -> str:
    if one["from"] != one["to"]:
        return "changed"
    shares = f", or in what it shares with {', '.join(one['shares_with'][:5])}" if one["shares_with"] else ""
    return f"changed further inside than is shown{shares}"


def _said(answer: Any) -> str | None:
    if answer is None or isinstance(answer, str):
        return answer[:_MOST_ANSWER] if answer else answer
    return json.dumps(answer, ensure_ascii=False, indent=2)[:_MOST_ANSWER]


ROUTES = [Route("/compare", compare)]
