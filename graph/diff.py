"""Compares two steps, of one run or of two. Only texts that differ are loaded, and no variable is."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..nodes.runtime.answers import answer_or_damage
from ..nodes.runtime.turns import turns_of
from ..state.records import AnswerRef, TurnRecord, VariableRecord
from ..state.stores import Stores
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


@dataclass(frozen=True)
class ComparedPart:
    """The part of a comparison that a page shows at once: its work does not grow with the runs' texts."""

    after: int = -1
    """The turn up to which turns are left out."""
    most: int = 20
    """Turns that are compared with their texts, at most."""
    characters: int = 20_000
    """Characters of each text, at most; the rest is cut, and no diff is made of it."""


async def comparison(
    stores: Stores, before: StateAtStep, after: StateAtStep, part: ComparedPart | None = None
) -> dict[str, Any]:
    """Return the object that `rlm diff --json` prints: only the turns that differ, and null where nothing differs.

    With `part`, variables that differ have their display form beside their description as `form`, turns are those of
    the part, and `more_turns` is the number of turns that differ and come after them.
    """
    was, now = before.state, after.state
    differing = _differing_turns(turns_of(was), turns_of(now))
    wanted = [turn for turn in differing if part is None or turn[0] > part.after]
    turns = [await _turn(stores, *turn, part) for turn in wanted[: part.most if part else None]]
    edits = _edits(was, now)
    calls = await calls_compared(stores, before, after)
    variables = _variables(await variables_at(stores, was), await variables_at(stores, now), _input(was), _input(now))
    if part:
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
        "first_difference": _first([number for number, *_ in differing], edits, calls),
        "edits": edits,
        "calls": calls,
        "cost": _differing(_cost(was), _cost(now)),
        **({"more_turns": len(wanted) - len(turns)} if part else {}),
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


def _first(turns: list[int], edits: list[dict[str, Any]], calls: dict[str, Any] | None) -> int | None:
    """Return the first turn that differs, 0 for what was set before the first one; None when all are the same."""
    found = [*turns, *(one["turn"] for one in edits), *([calls["first_turn"]] if calls else [])]
    return min(found, default=None)


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


_Turn = tuple[int, TurnRecord | None, TurnRecord | None]
"""A turn's number and its record on either side."""


def _differing_turns(was: Sequence[TurnRecord], now: Sequence[TurnRecord]) -> list[_Turn]:
    """Return the turns that differ, by the hashes of their texts."""
    before = {turn.get("number", 0): turn for turn in was}
    after = {turn.get("number", 0): turn for turn in now}
    both = [(number, before.get(number), after.get(number)) for number in sorted(before.keys() | after)]
    return [
        (number, old, new)
        for number, old, new in both
        if old is None or new is None or _compared(old) != _compared(new)
    ]


def _compared(turn: TurnRecord) -> tuple[Any, ...]:
    code, output = turn.get("blocks", []), _names(turn.get("output"))
    return code, output, _reply(turn), turn.get("status"), turn.get("error")


def _reply(turn: TurnRecord) -> list[str]:
    return [] if turn.get("blocks") else _names(turn.get("reply"))


async def _turn(
    stores: Stores, number: int, before: TurnRecord | None, after: TurnRecord | None, part: ComparedPart | None
) -> dict[str, Any]:
    was, now = before or _NO_TURN, after or _NO_TURN
    code_was, code_now = was.get("blocks", []), now.get("blocks", [])
    # The text beside code is seldom worth reading; the text of a reply without code always is.
    replies = ([], []) if code_was or code_now else (_reply(was), _reply(now))
    return {
        "turn": number,
        "change": "added" if before is None else "removed" if after is None else "changed",
        "status": _differing(was.get("status"), now.get("status")),
        "code": await _texts(stores, code_was, code_now, part),
        "reply": await _texts(stores, *replies, part),
        "output": await _texts(stores, _names(was.get("output")), _names(now.get("output")), part),
        "error": _differing(was.get("error"), now.get("error")),
    }


def _names(name: str | None) -> list[str]:
    return [name] if name else []


async def _texts(
    stores: Stores, was: Sequence[str], now: Sequence[str], part: ComparedPart | None
) -> dict[str, Any] | None:
    """Return two texts and their diff, with None for a side without a text; None when they are equal."""
    if list(was) == list(now):
        return None
    before = await _joined(stores, was) if was else None
    after = await _joined(stores, now) if now else None
    if part:
        return {"from": _beginning(before, part), "to": _beginning(after, part)}
    return {"from": before, "to": after, "diff": _line_by_line(before, after)}


def _beginning(text: str | None, part: ComparedPart) -> str | None:
    if text is None or len(text) <= part.characters:
        return text
    return f"{text[: part.characters]}\n… {len(text) - part.characters:,} more characters"


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
