"""Apply a reviewer's decisions to a run's state."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, cast

from ...state.approval_records import ApprovalItem, Decision, Verdict, VerdictRef
from ...state.blobs.texts import Texts
from ...state.budget import Resource
from ...state.evidence.citations import answer_digest
from ...state.run_state import AnswerRef, RunState, TurnRecord
from ...state.settings import saved_settings
from ...state.wording import counted
from ..models.schema_validation import mismatch
from ..models.work_limit import SchemaInvalid, off_loop
from ..runtime.answers import store_answer
from .budget_gate import BudgetGrantBuilder, words_of
from .decisions import DecisionsUnusable
from .edited_code import replaced
from .requests import ApprovalRequest

Update = dict[str, Any]


async def apply_decisions(
    state: RunState, request: ApprovalRequest, decisions: Sequence[Decision], texts: Texts
) -> Update:
    """Return the update of the state, with the step's note.

    Raises DecisionsUnusable for an answer that may not end the run.
    """
    if request.cell is not None:
        changes = await _of_cell(state, request, decisions[0], texts)
    elif request.final is not None:
        changes = await _of_answer(state, request.final, decisions[0], texts)
    else:
        changes = await _of_items(state, request.items, decisions, texts)
    return {**changes, "asks": None, "step": [_step(state, request, decisions)]}


async def _of_cell(state: RunState, request: ApprovalRequest, decision: Decision, texts: Texts) -> Update:
    cell = request.cell
    assert cell is not None, "code was asked about"
    turn = cell["turn"]
    match decision["type"]:
        case "approve":
            return {"approved": cell["digest"]}
        case "edit":
            code = decision.get("edited_action", {})["args"]["code"]
            note = "A reviewer replaced the code of this turn before it ran."
            other, record = await replaced(turn, code, texts, note=note)
            return {"cell": other, "approved": other["digest"], "turns": [record]}
        case "reject":
            note = f"A reviewer did not let this code run: go on another way.{words_of(decision)}"
        case "respond":
            note = f"A reviewer answered instead of running this code.{words_of(decision)}"
    return {"cell": None, "approved": None, "turns": [{"number": turn, "nudge": note}]}


async def _of_answer(state: RunState, final: AnswerRef, decision: Decision, texts: Texts) -> Update:
    match decision["type"]:
        case "approve":
            return {"approved": answer_digest(final)}
        case "edit":
            answer = decision.get("edited_action", {})["args"]["answer"]
            await _check_schema(state, answer)
            # It still cites what the answer did: these passages are checked, whatever the reviewer wrote.
            other: AnswerRef = {**final, **await store_answer(answer, texts)}
            other.pop("table", None)
            return {"final": other, "approved": answer_digest(other), "note": "a reviewer replaced the answer"}
        case "reject" | "respond":
            note = f"A reviewer did not accept the answer of this turn.{words_of(decision)}"
    if not state.get("turn", 0):
        return {"final": None, "note": None, "told_first": [*state.get("told_first", []), note]}
    over = {"note": "a reviewer did not accept the answer of its last turn"} if state.get("last") else {"note": None}
    return {"final": None, **over, "turns": [_noted(state, note)]}


async def _check_schema(state: RunState, answer: Any) -> None:
    schema = saved_settings(state.get("settings", {})).answer_schema
    if schema is None:
        return
    try:
        problem = await off_loop(mismatch, answer, schema)
    except SchemaInvalid as error:
        problem = str(error)
    if problem:
        raise DecisionsUnusable(f"The edited answer does not match the schema asked for ({problem}).")


async def _of_items(
    state: RunState, items: Sequence[ApprovalItem], decisions: Sequence[Decision], texts: Texts
) -> Update:
    grant = BudgetGrantBuilder(state)
    call_decisions: list[VerdictRef] = list(state.get("verdicts", []))
    notes: list[str] = []
    for item, part in _parts(items, decisions):
        verdict: Verdict = {
            "kind": item["kind"],
            "keys": item["keys"],
            "passed": item["passed"],
            "decisions": part,
            "children": item["children"],
        }
        if item["kind"] in ("calls", "child"):
            call_decisions.append({"decided": await texts.put(json.dumps(verdict))})
        if item["kind"] == "calls":
            notes += _notes_of_calls(item, part[0])
        for action, decision in zip(item["actions"], part, strict=True):
            # What a sub-RLM may spend is taken out of the whole tree's budget.
            grant.take(action, decision, own=not item["children"])
    update: Update = {"verdicts": call_decisions, "leave": grant.record}
    if grant.stopped:
        return {**update, **_stopped(state, *grant.stopped)}
    notes += grant.notes
    if notes and state.get("turn", 0):
        update["turns"] = [{"number": state.get("turn", 0), "notes": notes}]
    return update


def _parts(
    items: Sequence[ApprovalItem], decisions: Sequence[Decision]
) -> Iterator[tuple[ApprovalItem, list[Decision]]]:
    """Yield each item with the decisions on its actions."""
    at = 0
    for item in items:
        until = at + len(item["actions"])
        yield item, list(decisions[at:until])
        at = until


def _stopped(state: RunState, resource: Resource, why: str) -> Update:
    """Return the update that ends a run whose budget a reviewer did not raise.

    With a raised budget the run resumes with another turn.
    """
    update: Update = {"last": True, "spent": resource, "note": why, "cell": None, "waiting": 0, "verdicts": []}
    if state.get("cell") is not None:
        note = "The run was stopped by a reviewer while this cell waited; nothing of it is kept but its answers."
        update["turns"] = [{"number": state.get("turn", 0), "nudge": note}]
    return update


def _notes_of_calls(item: ApprovalItem, decision: Decision) -> list[str]:
    number = len(item["keys"])
    calls = f"{counted(number, 'sub-call')} of this turn"
    match decision["type"]:
        case "approve":
            return []
        case "edit":
            changed = len(decision.get("edited_action", {})["args"]["calls"])
            return [f"A reviewer changed the prompts of {changed:,} of {calls}."] if changed else []
        case "reject":
            return [f"A reviewer did not let {calls} be made.{words_of(decision)}"]
        case "respond":
            return [f"A reviewer answered {calls} instead of a model.{words_of(decision)}"]


def _noted(state: RunState, note: str) -> TurnRecord:
    return {"number": state.get("turn", 0), "notes": [note]}


def _step(state: RunState, request: ApprovalRequest, decisions: Sequence[Decision]) -> dict[str, Any]:
    counts: dict[tuple[str, str], int] = {}
    for action, decision in zip(request.actions, decisions, strict=True):
        key = (_DONE[decision["type"]], action["name"])
        counts[key] = counts.get(key, 0) + 1
    parts = [f"{done} {name}{f' ({number})' if number > 1 else ''}" for (done, name), number in counts.items()]
    return {"kind": "review", "turn": state.get("turn", 0), "summary": f"a reviewer {', '.join(parts)}"}


_DONE = {"approve": "approved", "edit": "edited", "reject": "rejected", "respond": "responded to"}


def auto_pass(state: RunState) -> Update:
    """Return the update of a review that has nothing to ask."""
    cell = state.get("cell")
    update: Update = {"asks": None, "approved": cell["digest"] if cell else None}
    turn = state.get("turn", 0)
    return {**update, "step": cast(Any, [{"kind": "review", "turn": turn, "summary": "passed: no gate asks"}])}
