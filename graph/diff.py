"""Compares two steps, of one run or of two. Only texts that differ are loaded, and no variable is."""

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..nodes.runtime.answers import answer_or_damage
from ..nodes.runtime.dependencies import Stores
from ..nodes.runtime.turns import turns_of
from ..state.records import AnswerRef, TurnRecord, VariableRecord
from .checkpoints import Known, StateAtStep, variables_at
from .diff_of_calls import calls_compared
from .displayed_variables import displays_of

if TYPE_CHECKING:
    from ..state.run_state import RunState

_MOST_LINES = 5_000
"""Number of lines up to which a text is compared line by line."""

_NO_TURN: TurnRecord = {}
_COST = ("model_calls", "reused_calls", "input_tokens", "output_tokens", "cost_usd")
"""The parts of a run's usage that are compared."""


async def comparison(stores: Stores, before: StateAtStep, after: StateAtStep, *, forms: bool = False) -> dict[str, Any]:
    """Return the object that `rlm diff --json` prints: only the turns that differ, and null where nothing differs.

    With `forms`, variables that differ have their display form beside their description.
    """
    was, now = before.state, after.state
    turns = await _turns(stores, turns_of(was), turns_of(now))
    edits = _edits(was, now)
    calls = await calls_compared(stores, before, after)
    variables = _variables(await variables_at(stores, was), await variables_at(stores, now), _input(was), _input(now))
    if forms:
        await _add_forms(stores, variables, was, now)
    return {
        "from": _place(before),
        "to": _place(after),
        "question": _differing(_question(before), _question(after)),
        "input": _differing(_input(was), _input(now)),
        "status": _differing(was.get("status", "running"), now.get("status", "running")),
        "variables": variables,
        "turns": turns,
        "answer": _differing(await _answer(stores, was.get("answer")), await _answer(stores, now.get("answer"))),
        "first_difference": _first(turns, edits, calls),
        "edits": edits,
        "calls": calls,
        "cost": _differing(_cost(was), _cost(now)),
    }


def _place(step_state: StateAtStep) -> dict[str, Any]:
    return {"thread_id": step_state.thread.thread_id, "step": step_state.step.step if step_state.step else None}


def _question(step_state: StateAtStep) -> str:
    return step_state.state.get("question") or step_state.thread.question


def _input(state: "RunState") -> str | None:
    reference = state.get("context_ref")
    return reference["pack"] if reference else None


def _differing(was: Any, now: Any) -> dict[str, Any] | None:
    return None if was == now else {"from": was, "to": now}


def _first(turns: list[dict[str, Any]], edits: list[dict[str, Any]], calls: dict[str, Any] | None) -> int | None:
    """Return the first turn that differs, 0 for what was set before the first one; None when all are the same."""
    found = [one["turn"] for one in (*turns, *edits)]
    return min([*found, *([calls["first_turn"]] if calls else [])], default=None)


def _cost(state: "RunState") -> dict[str, Any] | None:
    usage: Mapping[str, Any] | None = state.get("usage")
    return {name: usage.get(name) for name in _COST} if usage else None


# -- variables that a person set


def _edits(was: "RunState", now: "RunState") -> list[dict[str, Any]]:
    """Return the variables that a person set in one of the states only, or to another value, by turn and name."""
    before, after = _set(was), _set(now)
    return [
        {
            "turn": turn,
            "name": name,
            "from": before[turn, name][1] if (turn, name) in before else None,
            "to": after[turn, name][1] if (turn, name) in after else None,
        }
        for turn, name in sorted(before.keys() | after.keys())
        if before.get((turn, name), ("",))[0] != after.get((turn, name), ("",))[0]
    ]


def _set(state: "RunState") -> dict[tuple[int, str], tuple[str, dict[str, Any]]]:
    """Return the hash of each value that a person set, with its description, by turn and name: the last one of each."""
    return {
        (edit["turn"], about["name"]): (edit["values"].get(about["name"], ""), _described(about))
        for edit in state.get("edits", [])
        for about in edit["about"]
    }


def _described(about: VariableRecord) -> dict[str, Any]:
    return {"type": about["type"], "size": about["size"], "preview": about["preview"]}


# -- variables


def _variables(
    was: Mapping[str, Known], now: Mapping[str, Known], input_was: str | None, input_now: str | None
) -> dict[str, Any]:
    # The REPL has its input from the start, but it is listed only after a cell has ended.
    passed_over = {"context"} if "context" not in was or "context" not in now else set[str]()
    other_input = {"context"} if input_was != input_now else set[str]()
    both = [name for name in now if name in was]
    return {
        "added": {name: one.to_json() for name, one in now.items() if name not in was and name not in passed_over},
        "removed": {name: one.to_json() for name, one in was.items() if name not in now and name not in passed_over},
        "changed": {
            name: {
                "from": was[name].to_json(),
                "to": now[name].to_json(),
                "shares_with": list(now[name].shares_with),
            }
            for name in both
            if not _same(was[name], now[name]) or name in other_input
        },
    }


async def _add_forms(stores: Stores, variables: dict[str, Any], was: "RunState", now: "RunState") -> None:
    old, new = [await displays_of(stores, state) for state in (was, now)]
    for name, one in variables["removed"].items():
        one["form"] = old.get(name)
    for name, one in variables["added"].items():
        one["form"] = new.get(name)
    for name, one in variables["changed"].items():
        one["from"]["form"], one["to"]["form"] = old.get(name), new.get(name)


def _same(was: Known, now: Known) -> bool:
    """Compare two variables by their saved forms: no value is loaded."""
    return (was.content, was.about, was.why_not) == (now.content, now.about, now.why_not)


# -- turns


async def _turns(stores: Stores, was: Sequence[TurnRecord], now: Sequence[TurnRecord]) -> list[dict[str, Any]]:
    before = {turn.get("number", 0): turn for turn in was}
    after = {turn.get("number", 0): turn for turn in now}
    found = [
        await _turn(stores, number, before.get(number), after.get(number)) for number in sorted(before.keys() | after)
    ]
    return [one for one in found if one is not None]


async def _turn(
    stores: Stores, number: int, before: TurnRecord | None, after: TurnRecord | None
) -> dict[str, Any] | None:
    was, now = before or _NO_TURN, after or _NO_TURN
    code_was, code_now = was.get("blocks", []), now.get("blocks", [])
    output_was, output_now = _names(was.get("output")), _names(now.get("output"))
    # The text beside code is seldom worth reading; the text of a reply without code always is.
    reply_was, reply_now = _names(was.get("reply")), _names(now.get("reply"))
    if code_was or code_now:
        reply_was = reply_now = []
    status = _differing(was.get("status"), now.get("status"))
    if before is not None and after is not None:
        same = (code_was, output_was, reply_was) == (code_now, output_now, reply_now)
        if same and status is None and was.get("error") == now.get("error"):
            return None
    return {
        "turn": number,
        "change": "added" if before is None else "removed" if after is None else "changed",
        "status": status,
        "code": await _texts(stores, code_was, code_now),
        "reply": await _texts(stores, reply_was, reply_now),
        "output": await _texts(stores, output_was, output_now),
        "error": _differing(was.get("error"), now.get("error")),
    }


def _names(name: str | None) -> list[str]:
    return [name] if name else []


async def _texts(stores: Stores, was: Sequence[str], now: Sequence[str]) -> dict[str, Any] | None:
    """Return two texts and their diff, with None for a side without a text; None when they are equal."""
    if list(was) == list(now):
        return None
    before = await _joined(stores, was) if was else None
    after = await _joined(stores, now) if now else None
    return {"from": before, "to": after, "diff": _line_by_line(before, after)}


async def _joined(stores: Stores, names: Sequence[str]) -> str:
    return "\n\n".join([await stores.texts.get_or_damage(name) for name in names])


def _line_by_line(before: str | None, after: str | None) -> str | None:
    """Return a unified diff; None when a side has no text or too many lines to compare."""
    if before is None or after is None:
        return None
    was, now = before.splitlines(), after.splitlines()
    if max(len(was), len(now)) > _MOST_LINES:
        return None
    return "\n".join(list(difflib.unified_diff(was, now, lineterm=""))[2:])


async def _answer(stores: Stores, answer: AnswerRef | None) -> Any:
    return None if answer is None else await answer_or_damage(answer, stores.texts)
