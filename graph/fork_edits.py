"""The changes that a fork makes to the thread it is copied from: checked, and turned into one step of its graph."""

import json
import keyword
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ..kernel.results import describe_variable
from ..nodes.approval.edited_code import check_code, replaced
from ..nodes.prompts.messages import REBOUND_NAMES, REPL_NAMES
from ..nodes.runtime.untrusted_text import shortened
from ..state.budget import Limits
from ..state.call_keys import START, content_key, edited
from ..state.call_records import SCHEMA, CallRow
from ..state.errors import UsageError, cli_command
from ..state.run_options import ModelOptions
from ..state.run_state import CellRef, EditRecord, RunState, TurnRecord, VariableRecord
from ..state.settings import RunSettings, saved_settings
from ..state.stores import Stores
from ..state.wording import counted
from .approvals import ASKED_AGAIN, withdrawn
from .checkpoints import StateAtStep
from .create import check_question
from .model_changes import change_at

OWN_NAMES = (frozenset(REPL_NAMES) - {"context", *REBOUND_NAMES}) | {
    *(
        "map_query",
        "SubCallError",
        "BudgetExceeded",
        "CallsRejected",
        "FailedCall",
        "cite",
        "QuoteNotFound",
        "exit",
        "quit",
        "open",
        "get_ipython",
        "In",
        "Out",
    ),
}
"""Names that the REPL sets again before every cell, or reserves for itself."""

# By the node that runs next: the node as which an edit is written, so that this node still runs next.
_BEFORE = {"__start__": "__input__", "prepare": "__start__", "direct": "prepare", "plan": "prepare", "review": "plan"}


@dataclass(frozen=True)
class Changes:
    """The requested changes, not checked yet."""

    code: str | None = None
    """The code that runs instead of the next cell."""
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """JSON values, by name."""
    question: str | None = None
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Answers to calls of the cell under way, by their keys or prefixes of them."""
    fresh: bool = False
    """True when no answer that was recorded after the step is reused."""
    models: ModelOptions = field(default_factory=ModelOptions)
    """Other models, servers, prices and options."""


@dataclass(frozen=True)
class Edit:
    """Changes in the form of a step: the new values of the state, and what else is saved with it."""

    values: dict[str, Any]
    as_node: str
    summary: str
    question: str | None
    answers: Sequence[tuple[CallRow, str]]
    """Calls, each with the hash of its given answer."""
    settings: RunSettings | None = None
    """The fork's settings, if they differ."""


async def edit_of(stores: Stores, step_state: StateAtStep, changes: Changes, limits: Limits) -> Edit | None:
    """Return the step that makes `changes`; None when the state stays as it is. `limits` are those of the fork.

    Raises UsageError for changes that are invalid at this step.
    """
    values: dict[str, Any] = {}
    turns: list[TurnRecord] = []
    done: list[str] = []
    question = None
    if changes.question is not None:
        question = checked_question(changes.question)
        values["question"] = question
        turns += _told_of_question(step_state.state)
        done.append("another question")
    if changes.variables:
        values |= await _variables_set(stores, step_state, changes.variables)
        done.append(f"set {', '.join(changes.variables)}")
    if changes.code is not None:
        cell, turn = await _code_replaced(stores, step_state, changes.code)
        values["cell"] = cell
        turns.append(turn)
        done.append("other code")
    change = change_at(step_state.thread.start, step_state.state, changes.models)
    if change:
        values |= {name: value for name, value in change.values.items() if name != "step"}
        done.append(change.summary)
    answers = await _answers_given(stores, step_state, changes.answers)
    if answers:
        done.append(f"{counted(len(answers), 'answer')} given")
    again = withdrawn(step_state.state) if step_state.next else {}
    goes_on = bool(values) or (_ran_out(step_state.state) and limits != step_state.thread.limits)
    another_turn = step_state.ended and goes_on
    if another_turn:
        values |= _another_turn(step_state.state, limits)
        done.append("another turn")
    if again:
        values = {**again, **values}
        done.append(ASKED_AGAIN)
    if not done:
        return None
    if turns:
        values["turns"] = turns
    if "__start__" in step_state.next:
        values = {**step_state.thread.start, **values}
    settings = change.settings if change else None
    as_node = _as_node(step_state, changes, another_turn=another_turn)
    return Edit(values, as_node, ", ".join(done), question, answers, settings)


def _as_node(step_state: StateAtStep, changes: Changes, *, another_turn: bool) -> str:
    if changes.code is not None:
        # Only approved code runs: replaced code is reviewed again.
        return "plan"
    if another_turn:
        return "prepare"
    return node_before(step_state.next)


def node_before(following: frozenset[str]) -> str:
    """Return the node as which to write a change of the state, so that the `following` nodes still run next.

    A cell under way is run again from its beginning, with its recorded answers.
    """
    return next((before for node, before in _BEFORE.items() if node in following), "review")


def _ran_out(state: RunState) -> bool:
    return state.get("final") is None and state.get("answer") is None


def _another_turn(state: RunState, limits: Limits) -> dict[str, Any]:
    """Return the values that undo the end of the run. Raises UsageError when all turns are used."""
    if state.get("turn", 0) >= limits.max_turns:
        raise UsageError(
            f"All {limits.max_turns} turns of the run are used, and the fork would need another one.",
            hint=f"Raise the limit: --max-turns {limits.max_turns + 10}",
        )
    return {"status": "running", "final": None, "answer": None, "note": None, "last": False}


# -- the question


def checked_question(text: object) -> str:
    """Return a question without surrounding white space. Raises UsageError for one that cannot be asked."""
    if not isinstance(text, str):
        raise UsageError("The question is not a text.", hint='Ask one: --question "What …?"')
    question = text.strip()
    check_question(question)
    return question


def _told_of_question(state: RunState) -> list[TurnRecord]:
    """Return the note on the last turn that says what the question was until then."""
    turn = state.get("turn", 0)
    if not turn:
        return []
    before = shortened(state.get("question", ""), 300)
    return [{"number": turn, "notes": [f"A person changed the question after this turn. Until then it was: {before}"]}]


# -- variables


async def _variables_set(stores: Stores, step_state: StateAtStep, given: Mapping[str, Any]) -> dict[str, Any]:
    state = step_state.state
    if "position" not in state:
        raise UsageError("There is no REPL yet at this step.", hint="Fork from the prepare step, or from a later one.")
    texts = {variable_name(name): _json(name, value) for name, value in given.items()}
    hashes = {name: await stores.texts.put(text) for name, text in texts.items()}
    position = edited(state.get("position", START), hashes)
    turn = state.get("turn", 0)
    edit: EditRecord = {
        # A cell that is about to run, or is under way, comes after the edit.
        "turn": turn - 1 if state.get("cell") else turn,
        "values": hashes,
        "about": [_described(name, json.loads(text)) for name, text in texts.items()],
        "position": position,
        "snapshot": None,
        "lost": {},
    }
    return {"edits": [*state.get("edits", []), edit], "position": position}


def variable_name(text: str) -> str:
    """Return the name of a variable that a user may set, as Python normalizes it. Raises UsageError."""
    name = unicodedata.normalize("NFKC", text)
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"{text!r} is not the name of a variable.", hint="Write --set NAME=JSON, as in --set limit=10")
    if name in OWN_NAMES or name.startswith("_"):
        raise UsageError(f"{name} is a name of the REPL's own, which cannot be set.", hint="Choose another variable.")
    return name


def _json(name: str, value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"The value of {name} is not JSON: {error}.") from error


def _described(name: str, value: Any) -> VariableRecord:
    return cast(VariableRecord, {**vars(describe_variable(name, value))})


# -- code


async def _code_replaced(stores: Stores, step_state: StateAtStep, code: str) -> tuple[CellRef, TurnRecord]:
    """Return the cell with the new code, and the change to its turn's record. Raises UsageError."""
    turn = step_state.state.get("turn", 0)
    if step_state.in_cell:
        raise UsageError(
            f"The cell of turn {turn} is under way at this step.",
            hint="--code needs the plan or review step before it.",
        )
    if step_state.state.get("cell") is None:
        raise UsageError(
            "No code is about to run at this step.",
            hint="--code needs the plan or review step before a cell, and a reply that had code.",
        )
    check_code(code)
    return await replaced(turn, code, stores.texts, note="A person replaced the code of this turn before it ran.")


# -- answers


async def _answers_given(
    stores: Stores, step_state: StateAtStep, given: Mapping[str, Any]
) -> list[tuple[CallRow, str]]:
    if not given:
        return []
    if not step_state.in_cell:
        raise UsageError(
            "No cell is under way at this step, so none of its calls can be answered.",
            hint="--answer needs a step in mid-cell: `rlm steps` shows it as waiting for sub-calls, or as sub_call.",
        )
    thread_id = step_state.thread.thread_id
    rows = await stores.journal.calls_of_turn(thread_id, step_state.state.get("turn", 0))
    calls = {name: _call(rows, name, thread_id) for name in given}
    if len({call.key for call in calls.values()}) < len(calls):
        raise UsageError("A call is given two answers.", hint="Name each call once.")
    models = _models_of_keys(step_state.state)
    answers: list[tuple[CallRow, str]] = []
    for name, call in calls.items():
        typed = _is_typed(call, await stores.texts.get(call.prompt), models)
        answers.append((call, await stores.texts.put(_answer_text(call.key, given[name], typed=typed))))
    return answers


def _call(rows: Sequence[CallRow], name: str, thread_id: str) -> CallRow:
    found = [row for row in rows if row.key == name] or [row for row in rows if name and row.key.startswith(name)]
    if len(found) == 1:
        return found[0]
    hint = f"{cli_command('calls', thread_id, '--json')} has the keys."
    if found:
        raise UsageError(f"{len(found)} calls of the standing cell begin with {name}.", hint=f"Give more of it: {hint}")
    raise UsageError(f"The cell under way at this step has no call {name}.", hint=hint)


def _models_of_keys(state: RunState) -> set[str]:
    """Return the models that may be in the keys of calls that an earlier version recorded."""
    settings = saved_settings(state.get("settings", {}))
    former = [one["settings"] for one in state.get("former_models", [])]
    return {settings.model, settings.calls_model, *(one[name] for one in former for name in ("model", "sub_model"))}


def _is_typed(call: CallRow, prompt: str, models: Iterable[str]) -> bool:
    """Return whether the call has a schema. In rows of earlier formats its key differs from that of one without."""
    if not call.of_earlier_format:
        return SCHEMA in call.parameters
    content = call.key.split(":")[1]
    return all(content_key(call.kind, prompt, model, None)[: len(content)] != content for model in models)


def _answer_text(key: str, value: Any, *, typed: bool) -> str:
    if not typed:
        if not isinstance(value, str):
            raise UsageError(f"The answer to {key} must be a text: the call asked for no schema.")
        return value
    try:
        return json.dumps(json.loads(value) if isinstance(value, str) else value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"The answer to {key} must be JSON, because the call has a schema: {error}.") from error
