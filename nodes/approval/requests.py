"""What a node asks of a person, as actions that they can decide on."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ...state.approval_records import ActionRequest, Ask, AskKind, AsksRef
from ...state.blobs.texts import Texts
from ...state.budget import FLAGS, BudgetSpent, NotAllowed, Resource
from ..models.pricing import cost_usd
from ..models.reply import ModelRequest
from ..models.typed import estimate_request
from ..runtime.parked_calls import ChildWaits, Hold, Parked

if TYPE_CHECKING:
    from ..runtime.active_runs import LiveRun

CALLS, SPEND, BUDGET = "sub_calls", "spend", "budget"
"""Names of actions. The others are in `request.py`."""
SAMPLES = 20
"""Calls of a fan-out that are shown."""
SAMPLE_CHARACTERS = 2_000
SUB_OUTPUT_TOKENS = 8_192
"""The output limit that a sub-call's request carries."""


async def saved(asks: list[Ask], texts: Texts) -> AsksRef:
    """Where the asks are kept."""
    return {"asked": await texts.put(json.dumps(asks))}


def asks_of(run: "LiveRun", hold: Hold, turn: int) -> list[Ask]:
    """Everything of a cell that waits for a person: its unseen calls together, budgets, and one a sub-RLM."""
    asks: list[Ask] = []
    unseen = [one for one in hold.parked if one.why is None]
    if unseen:
        asks.append(_ask("calls", [_calls_action(run, unseen, turn)], unseen, passed=sorted(hold.passed)))
    dear = [(one, one.why) for one in hold.parked if isinstance(one.why, NotAllowed)]
    if dear:
        # The last one knows best what is spent by now.
        asks.append(_ask("spend", [spend_action(run, dear[-1][1], turn)], [one for one, _ in dear]))
    spent: dict[Resource, list[Parked]] = {}
    for one in hold.parked:
        if isinstance(one.why, BudgetSpent):
            spent.setdefault(one.why.resource, []).append(one)
    asks += [
        _ask("budget", [budget_action(run, resource, turn, waiting=len(parked))], parked)
        for resource, parked in spent.items()
    ]
    return [*asks, *_asks_of_children(hold)]


def _asks_of_children(hold: Hold) -> Iterator[Ask]:
    """One a sub-RLM; but those that want the same of the one budget that they share are asked about together."""
    together: dict[Any, list[tuple[Parked, ChildWaits]]] = {}
    for one in hold.parked:
        if isinstance(why := one.why, ChildWaits):
            about = [(action["name"], action["args"].get("resource")) for action in why.actions]
            shared = all(name in (SPEND, BUDGET) for name, _ in about)
            together.setdefault(tuple(about) if shared else one.key, []).append((one, why))
    for waits in together.values():
        # The last one knows best what is spent by now.
        _, last = waits[-1]
        others = f" So do other sub-RLMs: {len(waits):,} wait for this." if len(waits) > 1 else ""
        actions: list[ActionRequest] = [
            {**action, "description": f"{action['description']}{others}"} for action in last.actions
        ]
        ask = _ask("child", actions)
        ask["children"] = [
            {"key": one.key, "thread_id": why.thread_id, "interrupt": why.interrupt, "shown": why.shown}
            for one, why in waits
        ]
        yield ask


def _ask(kind: AskKind, actions: list[ActionRequest], parked: Sequence[Parked] = (), passed: Sequence[str] = ()) -> Ask:
    keys = sorted(one.key for one in parked)
    return {"kind": kind, "actions": actions, "keys": keys, "passed": list(passed), "children": []}


def spend_ask(run: "LiveRun", refused: NotAllowed, turn: int) -> Ask:
    """A turn of the root model that would spend more than is allowed."""
    return _ask("spend", [spend_action(run, refused, turn)])


def budget_ask(run: "LiveRun", resource: Resource, turn: int) -> Ask:
    """A budget that is spent between two turns."""
    return _ask("budget", [budget_action(run, resource, turn)])


def _calls_action(run: "LiveRun", parked: Sequence[Parked], turn: int) -> ActionRequest:
    calls = [one.call for one in parked]
    requests = [
        ModelRequest([{"role": "user", "content": call.prompt}], SUB_OUTPUT_TOKENS, "sub", schema=call.schema)
        for call in calls
    ]
    models = [call.model or run.settings.calls_model for call in calls]
    inputs = [estimate_request(request) for request in requests]
    costs = [
        cost_usd(model, tokens, SUB_OUTPUT_TOKENS, price=run.settings.price)
        for model, tokens in zip(models, inputs, strict=True)
    ]
    known = [cost for cost in costs if cost is not None]
    children = sum(call.kind == "rlm" and run.settings.max_depth > 1 for call in calls)
    samples = [
        {
            "key": one.key,
            "kind": one.call.kind,
            "model": model,
            "prompt": one.call.prompt[:SAMPLE_CHARACTERS],
            "chars": len(one.call.prompt),
        }
        for one, model in list(zip(parked, models, strict=True))[:SAMPLES]
    ]
    sub_rlms = f", {children:,} of them sub-RLMs, whose own requests are not in the estimate" if children else ""
    return _action(
        run,
        CALLS,
        turn,
        f"Turn {turn} wants to make {len(calls):,} sub-call{'s' if len(calls) != 1 else ''}{sub_rlms}.",
        count=len(calls),
        calls=samples,
        estimated_input_tokens=sum(inputs),
        output_tokens_at_most=SUB_OUTPUT_TOKENS * len(calls),
        estimated_cost_usd=round(sum(known), 6) if len(known) == len(costs) else None,
    )


def spend_action(run: "LiveRun", refused: NotAllowed, turn: int) -> ActionRequest:
    """The request to spend more: as many steps of the gate's amount as the next request may need."""
    step = run.gates.cost or refused.allowed
    missing = max(0.0, refused.wanted - refused.allowed)
    up_to = refused.allowed + step * max(1, math.ceil(round(missing / step, 9)))
    return _action(
        run,
        SPEND,
        turn,
        f"The next request may bring what is spent to ${refused.wanted:.4f}, and nobody has allowed more than "
        f"${refused.allowed:g}. Approve: up to ${up_to:g}.",
        asked_at_usd=refused.allowed,
        spent_usd=round(refused.spent, 6),
        wanted_usd=round(refused.wanted, 6),
        up_to_usd=round(up_to, 6),
    )


def budget_action(run: "LiveRun", resource: Resource, turn: int, *, waiting: int = 0) -> ActionRequest:
    """The request to say how to go on without a budget."""
    limits = run.ledger.limits
    limit = getattr(limits, f"max_{resource}")
    held = f" {waiting:,} sub-call{'s' if waiting != 1 else ''} of its code wait{'s' if waiting == 1 else ''}."
    return _action(
        run,
        BUDGET,
        turn,
        f"{limits.budget(resource)[0].upper()}{limits.budget(resource)[1:]} ({FLAGS[resource]}) is spent."
        f"{held if waiting else ''} Approve: it answers now, with what it has. Edit the limit: it goes on. Reject: "
        "it stops.",
        resource=resource,
        limit=limit,
        spent=_spent(run, resource, turn),
        waiting_calls=waiting,
    )


def _spent(run: "LiveRun", resource: Resource, turn: int) -> float | int | None:
    counted = run.ledger.counted
    match resource:
        case "calls":
            return counted.model_calls
        case "tokens":
            return counted.tokens
        case "cost":
            return None if counted.cost is None else round(counted.cost, 6)
        case "time":
            return math.floor(run.ledger.time_counted)
        case "turns":
            return turn


def _action(run: "LiveRun", name: str, turn: int, description: str, **args: Any) -> ActionRequest:
    return {"name": name, "args": args, "description": description, "thread_id": run.thread_id, "turn": turn}
