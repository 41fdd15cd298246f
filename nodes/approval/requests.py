"""Make approval requests: the items that nodes ask for, and the one request that a reviewer is shown.

The request is made from the saved state and nothing else.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ...state.approval_policy import Gates
from ...state.approval_records import (
    ActionRequest,
    ApprovalItem,
    AskKind,
    AsksRef,
    DecisionType,
    ReviewConfig,
    ReviewRequest,
)
from ...state.blobs.texts import Texts
from ...state.budget import FLAGS, ApprovalNeeded, BudgetSpent, Resource
from ...state.call_keys import digest
from ...state.db.lineage import child_thread
from ...state.records import AnswerRef, CellRef
from ...state.settings import RunSettings, saved_settings
from ...state.wording import counted
from ..evidence.citations import citations_of
from ..models.provider_protocol import ModelRequest
from ..models.structured_output import estimate_request
from ..runtime.answers import answer_to_review
from ..runtime.output_limits import SUB_OUTPUT_TOKENS, output_limit
from ..runtime.parked_calls import ParkedCall, ParkedCalls, WaitingChild
from .call_listing import Expected, hashed, stored_listing
from .code_policy import reasons_to_look

if TYPE_CHECKING:
    from ...state.run_state import RunState
    from ..runtime.active_runs import ActiveRun


CALLS, SPEND, BUDGET = "sub_calls", "spend", "budget"
"""Names of actions; CODE and FINAL are the others."""


async def stored_items(items: list[ApprovalItem], texts: Texts) -> AsksRef:
    """Store the items. Return the reference to them."""
    listed = [action["args"]["listed"] for item in items for action in item["actions"] if "listed" in action["args"]]
    reference: AsksRef = {"asked": await texts.put(json.dumps(items))}
    if listed:
        reference["listed"] = listed
    return reference


async def call_items(run: "ActiveRun", parked_calls: ParkedCalls, turn: int, texts: Texts) -> list[ApprovalItem]:
    """Return all items of a cell that wait for a reviewer: one for its unseen calls, one a budget, one a sub-RLM."""
    items: list[ApprovalItem] = []
    unseen = [one for one in parked_calls.parked if one.why is None]
    if unseen:
        action = await _calls_action(run, unseen, turn, texts)
        items.append(_item("calls", [action], unseen, passed=sorted(parked_calls.passed)))
    dear = [(one, one.why) for one in parked_calls.parked if isinstance(one.why, ApprovalNeeded)]
    if dear:
        # The last one has the latest amounts.
        items.append(_item("spend", [spend_action(run, dear[-1][1], turn)], [one for one, _ in dear]))
    spent: dict[Resource, list[ParkedCall]] = {}
    for one in parked_calls.parked:
        if isinstance(one.why, BudgetSpent):
            spent.setdefault(one.why.resource, []).append(one)
    items += [
        _item("budget", [budget_action(run, resource, turn, waiting=len(parked))], parked)
        for resource, parked in spent.items()
    ]
    return [*items, *_child_items(parked_calls)]


def _child_items(parked_calls: ParkedCalls) -> Iterator[ApprovalItem]:
    """Yield one item a sub-RLM. Those that need the same from the budget that they share are combined."""
    together: dict[Any, list[tuple[ParkedCall, WaitingChild]]] = {}
    for one in parked_calls.parked:
        if isinstance(why := one.why, WaitingChild):
            about = [(action["name"], action["args"].get("resource")) for action in why.actions]
            shared = all(name in (SPEND, BUDGET) for name, _ in about)
            together.setdefault(tuple(about) if shared else one.key, []).append((one, why))
    for waits in together.values():
        # The last one has the latest amounts.
        _, last = waits[-1]
        others = f" So do other sub-RLMs: {len(waits):,} wait for this." if len(waits) > 1 else ""
        actions: list[ActionRequest] = [
            {**action, "description": f"{action['description']}{others}"} for action in last.actions
        ]
        item = _item("child", actions)
        item["children"] = [
            {"key": one.key, "thread_id": why.thread_id, "interrupt": why.interrupt, "shown": why.shown}
            for one, why in waits
        ]
        yield item


def _item(
    kind: AskKind, actions: list[ActionRequest], parked: Sequence[ParkedCall] = (), passed: Sequence[str] = ()
) -> ApprovalItem:
    keys = sorted(one.key for one in parked)
    return {"kind": kind, "actions": actions, "keys": keys, "passed": list(passed), "children": []}


def spend_item(run: "ActiveRun", refused: ApprovalNeeded, turn: int) -> ApprovalItem:
    """Return the item for a turn of the root model that would spend more than is allowed."""
    return _item("spend", [spend_action(run, refused, turn)])


def budget_item(run: "ActiveRun", resource: Resource, turn: int) -> ApprovalItem:
    """Return the item for a budget that is spent between two turns."""
    return _item("budget", [budget_action(run, resource, turn)])


async def _calls_action(run: "ActiveRun", parked: Sequence[ParkedCall], turn: int, texts: Texts) -> ActionRequest:
    calls = [one.call for one in parked]
    models = [run.models.named(call.model) or run.models.sub for call in calls]
    limits = [
        call.max_tokens or output_limit(model, SUB_OUTPUT_TOKENS) for call, model in zip(calls, models, strict=True)
    ]
    requests = [
        ModelRequest([{"role": "user", "content": call.prompt}], limit, "sub", schema=call.schema)
        for call, limit in zip(calls, limits, strict=True)
    ]
    inputs = [estimate_request(request) for request in requests]
    costs = [model.cost_usd(tokens, limit) for model, tokens, limit in zip(models, inputs, limits, strict=True)]
    known = [cost for cost in costs if cost is not None]
    children = sum(call.kind == "rlm" and run.settings.max_depth > 1 for call in calls)
    each = zip([model.name for model in models], inputs, limits, costs, strict=True)
    listing = await stored_listing(parked, [Expected(*one) for one in each], texts, run.pack)
    sub_rlms = f", {children:,} of them sub-RLMs, whose own requests are not in the estimate" if children else ""
    return _item_of_turn(
        run,
        CALLS,
        turn,
        f"Turn {turn} wants to make {counted(len(calls), 'sub-call')}{sub_rlms}.{_cut(listing)}",
        count=len(calls),
        **listing,
        estimated_input_tokens=sum(inputs),
        output_tokens_at_most=sum(limits),
        estimated_cost_usd=round(sum(known), 6) if len(known) == len(costs) else None,
    )


def _cut(listing: Mapping[str, Any]) -> str:
    """Return a sentence for clients that are not sent all of a large listing; empty for any other."""
    if "cut_at" not in listing:
        return ""
    return (
        f" A client of the server is sent the first {listing['cut_at']:,} characters of each text, of "
        f"{listing['chars']:,} in all: `rlm review --json` has them."
    )


def spend_action(run: "ActiveRun", refused: ApprovalNeeded, turn: int) -> ActionRequest:
    """Return the request to spend more: as many steps of the gate's amount as the next request may need."""
    step = run.gates.cost or refused.allowed
    missing = max(0.0, refused.wanted - refused.allowed)
    up_to = refused.allowed + step * max(1, math.ceil(round(missing / step, 9)))
    return _item_of_turn(
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


def budget_action(run: "ActiveRun", resource: Resource, turn: int, *, waiting: int = 0) -> ActionRequest:
    """Return the request to decide how to continue when a budget is spent."""
    limits = run.ledger.limits
    limit = getattr(limits, f"max_{resource}")
    held = f" {counted(waiting, 'sub-call')} of its code wait{'s' if waiting == 1 else ''}."
    return _item_of_turn(
        run,
        BUDGET,
        turn,
        f"{limits.budget(resource)[0].upper()}{limits.budget(resource)[1:]} ({FLAGS[resource]}) is spent."
        f"{held if waiting else ''} Approve: it answers now, with what it has. Edit the limit: it continues. Reject: "
        "it stops.",
        resource=resource,
        limit=limit,
        spent=_spent(run, resource, turn),
        waiting_calls=waiting,
    )


def _spent(run: "ActiveRun", resource: Resource, turn: int) -> float | int | None:
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


def _item_of_turn(run: "ActiveRun", name: str, turn: int, description: str, **args: Any) -> ActionRequest:
    return {"name": name, "args": args, "description": description, "thread_id": run.thread_id, "turn": turn}


CODE, FINAL = "execute_code", "final_answer"
"""Names of actions; CALLS, SPEND and BUDGET are the others."""
_EVERYTHING: list[DecisionType] = ["approve", "edit", "reject", "respond"]
_ALLOWED: dict[str, list[DecisionType]] = {SPEND: ["approve", "edit", "reject"]}
"""Allowed decisions, where not all are. Without spending there is no model to send the words of a `respond` to."""


@dataclass(frozen=True)
class ApprovalRequest:
    """The parts of what the run asks for, in the order of the actions."""

    cell: CellRef | None
    """The cell that waits; its action is the first one."""
    final: AnswerRef | None
    """The answer that waits; its action is then the first one."""
    items: Sequence[ApprovalItem]
    actions: Sequence[ActionRequest]

    def value(self, state: "RunState", thread_id: str, attempt: int = 0, problem: str | None = None) -> ReviewRequest:
        """Return the value of the interrupt, for the first attempt at asking or a later one."""
        names = list(dict.fromkeys(action["name"] for action in self.actions))
        configs: list[ReviewConfig] = [{"action_name": name, "allowed_decisions": allowed(name)} for name in names]
        shown = shown_digest(self.actions, configs, thread_id)
        value: ReviewRequest = {
            "action_requests": list(self.actions),
            "review_configs": configs,
            "thread_id": thread_id,
            "turn": state.get("turn", 0),
            "usage": cast(dict[str, Any], dict(state.get("usage") or {})),
            "shown": shown,
            "attempt": attempt,
        }
        if problem:
            value["problem"] = problem
        return value


def allowed(name: str) -> list[DecisionType]:
    """Return the decisions that are allowed for an action of this name."""
    return _ALLOWED.get(name, _EVERYTHING)


def shown_digest(actions: Sequence[ActionRequest], configs: Sequence[ReviewConfig], thread_id: str) -> str:
    """Return the hash of what is shown: an approval is of this and nothing else (promise P11)."""
    return digest("shown", thread_id, [hashed(action) for action in actions], list(configs))


async def approval_request_of(state: "RunState", texts: Texts, thread_id: str) -> ApprovalRequest | None:
    """Return what the state waits for; None when it waits for nothing. Raises StoredDataDamaged."""
    settings = saved_settings(state.get("settings", {}))
    reference = state.get("asks")
    if reference is not None:
        items = cast(list[ApprovalItem], json.loads(await texts.get(reference["asked"])))
        # A fork of a waiting run makes requests of its own, for its own calls and sub-RLMs, when it comes to them.
        if all(_is_own(item, thread_id) for item in items):
            return ApprovalRequest(None, None, items, [action for item in items for action in item["actions"]])
    cell, final = state.get("cell"), state.get("final")
    if cell is not None:
        action = await _code_action(state, cell, settings, texts, thread_id)
        return ApprovalRequest(cell, None, (), [action]) if action else None
    if final is not None and Gates.of(settings.approve).final:
        return ApprovalRequest(None, final, (), [await _final_action(state, final, texts, thread_id)])
    return None


def _is_own(item: ApprovalItem, thread_id: str) -> bool:
    """Return whether an item is of this thread, and not of one that it is a fork of."""
    if children := item["children"]:
        return all(child["thread_id"] == child_thread(thread_id, child["key"]) for child in children)
    return all(action["thread_id"] == thread_id for action in item["actions"])


async def _code_action(
    state: "RunState", cell: CellRef, settings: RunSettings, texts: Texts, thread_id: str
) -> ActionRequest | None:
    policies = Gates.of(settings.approve).code
    if not policies or state.get("waiting", 0) or state.get("approved") == cell["digest"]:
        return None
    blocks = [await texts.get(block) for block in cell["blocks"]]
    reasons = reasons_to_look(blocks, policies, allowed_imports=settings.allow_imports)
    if not reasons:
        return None
    how = " without a sandbox" if settings.unsandboxed else ""
    description = f"Turn {cell['turn']} wants to run this code{how}: {_listed(reasons)}."
    args = {"code": "\n\n".join(blocks), **({"unsandboxed": True} if settings.unsandboxed else {})}
    return _action(CODE, args, description, state, thread_id)


async def _final_action(state: "RunState", final: AnswerRef, texts: Texts, thread_id: str) -> ActionRequest:
    args = await answer_to_review(final, texts)
    if citations := await citations_of(final, texts):
        args["citations"] = citations
    files = f" and with {counted(len(args['files']), 'file')} beside it" if "files" in args else ""
    cut = (
        f" It has {args['rows']:,} rows, of which the first {args['shown_rows']:,} are here." if "rows" in args else ""
    )
    return _action(FINAL, args, f"The run wants to end with this answer{files}.{cut}", state, thread_id)


def _action(name: str, args: dict[str, Any], description: str, state: "RunState", thread_id: str) -> ActionRequest:
    turn = state.get("turn", 0)
    return {"name": name, "args": args, "description": description, "thread_id": thread_id, "turn": turn}


def _listed(reasons: Collection[str], most: int = 5) -> str:
    shown = list(reasons)[:most]
    more = len(reasons) - len(shown)
    return "; ".join([*shown, *([f"and {more} more"] if more > 0 else [])])
