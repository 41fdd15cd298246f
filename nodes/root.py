"""The root's next request: its system prompt, the question, and the turns so far, as messages."""

from collections.abc import Sequence
from typing import Any, cast

from ..kernel.session import Variable
from ..state.keys import digest
from ..state.ledger import Ledger, Resource
from ..state.schema import RunState, TurnRecord, VariableRecord
from ..state.settings import RunSettings
from ..state.texts import Texts
from .conversation import Message, ShortTurn, Turn, build_messages, needed_turns
from .observation import TurnStatus, shown_variables
from .prompts.messages import Left, budget_line, converge, first_message, last_turn
from .prompts.system import system_prompt
from .restore_report import told
from .turns import said_before_all, turns_of, variables_after

_SPENT: dict[Resource, str] = {
    "calls": "the budget of model calls",
    "tokens": "the token budget",
    "cost": "the money budget",
    "time": "the time",
    "turns": "the number of turns",
}


async def root_messages(
    state: RunState, settings: RunSettings, ledger: Ledger, texts: Texts, *, last: Resource | None
) -> list[Message]:
    """The messages of the turn after those in `state`; `last` says what is used up when it is the last one."""
    turns = turns_of(state)
    system = system_prompt(
        depth=settings.max_depth,
        model=settings.model,
        models=sorted({settings.model, settings.calls_model}),
        answer_schema=settings.answer_schema,
    )
    # The budget in the first message is what the run began with, so that servers' prompt caches hold it.
    limits = ledger.limits
    whole = Left(limits.max_turns, limits.max_calls, limits.max_tokens, limits.max_cost, limits.max_time)
    first = first_message(state.get("question", ""), state.get("context_ref"), whole, depth=settings.max_depth)
    if before := said_before_all(state):
        first = "\n\n".join([first, *before])
    shown = await _loaded(turns, texts)
    return build_messages(system, first, shown, tail=_tail(len(turns), ledger, last))


def told_digest(state: RunState, settings: RunSettings) -> str:
    """The hash of what the next root request is made from, but for the budget."""
    context = state.get("context_ref")
    turns = turns_of(state)
    return digest(
        *(settings.model, settings.sub_model, settings.max_depth, settings.answer_schema),
        *(state.get("question"), context["pack"] if context else ""),
        [
            [turn.get("reply"), turn.get("status"), turn.get("output"), turn.get("nudge"), _notes(turn)]
            for turn in turns
        ],
        _told_of_variables(turns),
        *said_before_all(state),
    )


def _notes(turn: TurnRecord) -> list[str]:
    """The turn's notes, but for how the REPL was restored when everything is as it was: that changes no answer."""
    notes, restore = turn.get("notes", []), turn.get("restore")
    if restore is None or restore["lost"] or restore["notes"] or restore["diverged"]:
        return notes
    return [note for note in notes if note not in told(restore)]


def _told_of_variables(turns: Sequence[TurnRecord]) -> list[Any]:
    """What is told of the variables there are: how many, and some of them."""
    *_, before, now = [], [], *variables_after(turns)
    shown = shown_variables(_variables(now), _variables(before))
    return [len(now), [[one.name, one.type, one.size, one.preview] for one in shown]]


def left_after(turns: int, ledger: Ledger) -> Left:
    """What the budget still allows after `turns` turns."""
    limits, spent = ledger.limits, ledger.counted
    return Left(
        turns=limits.max_turns - turns,
        calls=limits.max_calls - spent.model_calls,
        tokens=None if limits.max_tokens is None else limits.max_tokens - spent.tokens,
        cost=None if limits.max_cost is None else limits.max_cost - (spent.cost or 0.0),
        seconds=None if limits.max_time is None else limits.max_time - ledger.time_counted,
    )


def _tail(done: int, ledger: Ledger, last: Resource | None) -> str:
    left = left_after(done, ledger)
    if last is not None:
        calls = 0 if left.calls is None else left.calls - 1
        return last_turn(calls_left=calls if last == "turns" else 0, why=_SPENT[last])
    if not done:
        return ""
    return "\n\n".join(part for part in (budget_line(left), converge(done, ledger.limits.max_turns)) if part)


async def _loaded(turns: Sequence[TurnRecord], texts: Texts) -> list[Turn | ShortTurn]:
    """The turns with as much text as the request can show."""
    last_code = next((turn.get("number", 0) for turn in reversed(turns) if turn.get("blocks")), None)
    whole = set(needed_turns(len(turns), last_code).whole)
    return [
        await _whole(turn, variables, texts) if turn.get("number") in whole else _short(turn)
        for turn, variables in zip(turns, variables_after(turns), strict=True)
    ]


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
