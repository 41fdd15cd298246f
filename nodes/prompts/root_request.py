"""Build the root's next request: its system prompt, the question, and the turns so far, as messages."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ...kernel.results import Variable
from ...state.blobs.texts import Texts
from ...state.budget import BudgetLedger, Resource
from ...state.call_keys import digest_of_written, written
from ...state.run_state import RunState, TurnRecord, VariableRecord
from ..models.provider_protocol import Message
from ..models.tokens import estimate_tokens
from ..restore.report import notes_for_model
from ..runtime.output_limits import UNKNOWN_OUTPUT_TOKENS
from ..runtime.turns import Transcript, number_of, said_before_all
from .history_window import ShortTurn, Turn, build_messages, needed_turns
from .messages import Left, budget_line, converge, first_message, last_turn
from .observation import TurnStatus, shown_variables
from .system import SubModel, system_prompt

if TYPE_CHECKING:
    from ..runtime.active_runs import ActiveRun
    from ..runtime.dependencies import Dependencies

Number = TypeVar("Number", int, float)

_CHARACTERS_A_TOKEN = 2
"""Characters of code and output a token, rather too few."""

_SPENT: dict[Resource, str] = {
    "calls": "the budget of model calls",
    "tokens": "the token budget",
    "cost": "the money budget",
    "time": "the time",
    "turns": "the number of turns",
}


async def root_messages(
    state: RunState, run: "ActiveRun", deps: "Dependencies", *, last: Resource | None
) -> list[Message]:
    """Return the messages of the turn after those in `state`. `last`: what is used up, when it is the last turn."""
    settings, ledger = run.settings, run.ledger
    system = system_prompt(
        depth=settings.max_depth,
        model=settings.model,
        models=settings.model_names,
        answer_schema=settings.answer_schema,
        # What another provisioner's kernels can import is not known.
        packages=() if settings.kernel_provisioner else deps.kernels.packages(settings.kernel_env),
        instructions=settings.instructions,
        sub_model=SubModel(run.models.sub.name, run.models.sub.window),
    )
    # The budget in the first message is what the run began with, so that servers' prompt caches hold it.
    limits = ledger.limits
    whole = Left(limits.max_turns, limits.max_calls, limits.max_tokens, limits.max_cost, limits.max_time)
    first = first_message(state.get("question", ""), state.get("context_ref"), whole, depth=settings.max_depth)
    if before := said_before_all(state):
        first = "\n\n".join([first, *before])
    shown = await _loaded(state, run.transcript, deps.stores.texts)
    tail = _tail(len(shown), ledger, last)
    room = None if run.window is None else _room(run.window, system, first, tail)
    return build_messages(system, first, shown, tail=tail, room=room)


def _room(window: int, *fixed: str) -> int:
    """Return the characters for turns in a window of that many tokens, beside what is fixed and room for the answer."""
    answer = min(window // 4, UNKNOWN_OUTPUT_TOKENS)
    return max(0, window - answer - sum(map(estimate_tokens, fixed))) * _CHARACTERS_A_TOKEN


def prompt_digest(state: RunState, run: "ActiveRun") -> str:
    """Return the hash of what the next root request is made from, except for the budget and the models."""
    return _digest(state, run, ())


def old_prompt_digest(state: RunState, run: "ActiveRun") -> str:
    """Return the digest as it was until format 4, with the models that the run was started with."""
    first = run.former_models[0]["settings"] if run.former_models else run.settings.of_models()
    return _digest(state, run, (first["model"], first["sub_model"]))


def _digest(state: RunState, run: "ActiveRun", models: Sequence[str]) -> str:
    context, settings = state.get("context_ref"), run.settings
    # Runs without any, those of earlier versions among them, keep their digests.
    given = [settings.instructions] if settings.instructions else []
    before = (*models, settings.max_depth, settings.answer_schema, *given)
    subject = (state.get("question"), context["pack"] if context else "")
    after = (_sent_of_variables(run.transcript.variables(state)), *said_before_all(state))
    turns = ",".join(run.transcript.each(state, _sent_of_turn))
    return digest_of_written(*map(written, (*before, *subject)), f"[{turns}]", *map(written, after))


def _sent_of_turn(turn: TurnRecord) -> str:
    """Return what the model is sent about a turn, written for the digest."""
    return written([turn.get("reply"), turn.get("status"), turn.get("output"), turn.get("nudge"), _notes(turn)])


def _notes(turn: TurnRecord) -> list[str]:
    """Return the turn's notes, but not those on a restore that changed nothing, because they change no answer."""
    notes, restore = turn.get("notes", []), turn.get("restore")
    if restore is None or restore["lost"] or restore["notes"] or restore["diverged"]:
        return notes
    return [note for note in notes if note not in notes_for_model(restore)]


def _sent_of_variables(after_each: Sequence[list[VariableRecord]]) -> list[Any]:
    """Return what the model is sent about the variables: how many there are, and some of them."""
    before, now = ([], [], *after_each[-2:])[-2:]
    shown = shown_variables(_variables(now), _variables(before))
    return [len(now), [[one.name, one.type, one.size, one.preview] for one in shown]]


def left_after(turns: int, ledger: BudgetLedger) -> Left:
    """Return what the budget still allows after `turns` turns."""
    limits, spent = ledger.limits, ledger.counted
    own = Left(
        turns=limits.max_turns - turns,
        calls=limits.max_calls - spent.model_calls,
        tokens=None if limits.max_tokens is None else limits.max_tokens - spent.tokens,
        cost=None if limits.max_cost is None else limits.max_cost - (spent.cost or 0.0),
        seconds=None if limits.max_time is None else limits.max_time - ledger.time_counted,
    )
    if ledger.shared is None:
        return own
    # Other runs of its batch spend from the same budget.
    calls, tokens, cost, seconds = ledger.shared.left_for_all
    return Left(
        own.turns,
        calls=_less(own.calls, calls),
        tokens=_less(own.tokens, tokens),
        cost=_less(own.cost, cost),
        seconds=_less(own.seconds, seconds),
    )


def _less(one: Number | None, other: Number | None) -> Number | None:
    """Return the lower of two limits; None: there is no limit."""
    return other if one is None else one if other is None else min(one, other)


def _tail(done: int, ledger: BudgetLedger, last: Resource | None) -> str:
    left = left_after(done, ledger)
    if last is not None:
        calls = 0 if left.calls is None else left.calls - 1
        return last_turn(calls_left=calls if last == "turns" else 0, why=_SPENT[last])
    if not done:
        return ""
    return "\n\n".join(part for part in (budget_line(left), converge(done, ledger.limits.max_turns)) if part)


async def _loaded(state: RunState, transcript: Transcript, texts: Texts) -> list[Turn | ShortTurn]:
    """Return the turns with as much text as the request can show."""
    turns, variables = transcript.turns(state), transcript.variables(state)
    last_code = next((number_of(turn) for turn in reversed(turns) if turn.get("blocks")), None)
    loaded: list[Turn | ShortTurn] = [*transcript.each(state, _short)]
    for number in needed_turns(len(turns), last_code).whole:
        # Turns are numbered from 1, without gaps. The variables of the latest one are shown, and compared with those of
        # the one before.
        shown = variables[number - 1] if number > len(turns) - 2 else []
        loaded[number - 1] = await _whole(turns[number - 1], shown, texts)
    return loaded


async def _whole(turn: TurnRecord, variables: Sequence[VariableRecord], texts: Texts) -> Turn:
    reply, output = turn.get("reply"), turn.get("output")
    return Turn(
        number=turn.get("number", 0),
        reply=await texts.get(reply) if reply else "",
        code=tuple([await texts.get(block) for block in turn.get("blocks", [])]),
        output=None if output is None else await texts.get(output),
        status=_status(turn),
        nudge=turn.get("nudge"),
        notes=tuple(turn.get("notes", [])),
        variables=_variables(variables),
        error=turn.get("error"),
    )


def _variables(records: Sequence[VariableRecord]) -> list[Variable]:
    return [Variable(**cast(Any, record)) for record in records]


def _short(turn: TurnRecord) -> ShortTurn:
    short = turn.get("short", {})
    return ShortTurn(turn.get("number", 0), str(short.get("code", "")), str(short.get("output", "")), _status(turn))


def _status(turn: TurnRecord) -> TurnStatus:
    return turn.get("status", "none")
