"""What a person is shown: everything that a run waits for, in one request. Made from the state, and nothing else."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ...state.approval_policy import Gates
from ...state.approval_records import ActionRequest, Ask, DecisionType, ReviewConfig, ReviewRequest
from ...state.blobs.texts import Texts
from ...state.call_keys import digest
from ...state.db.children import child_thread
from ...state.run_state import AnswerRef, CellRef, RunState
from ...state.settings import RunSettings, saved_settings
from .code_policy import reasons_to_look
from .requests import SPEND

CODE, FINAL = "execute_code", "final_answer"
"""Names of actions. The others are in `asks.py`."""
_EVERYTHING: list[DecisionType] = ["approve", "edit", "reject", "respond"]
_ALLOWED: dict[str, list[DecisionType]] = {SPEND: ["approve", "edit", "reject"]}
"""What may be said, where that is not everything: whoever forbids spending cannot have a model told why."""


@dataclass(frozen=True)
class Asked:
    """What is asked, part by part, in the order of the actions."""

    cell: CellRef | None
    """The cell that waits; its action is the first one."""
    final: AnswerRef | None
    """The answer that waits; its action is then the first one."""
    asks: Sequence[Ask]
    actions: Sequence[ActionRequest]

    def value(self, state: RunState, thread_id: str, attempt: int = 0, problem: str | None = None) -> ReviewRequest:
        """The value of the interrupt, at the first attempt at asking, or at a later one."""
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
    """What may be said to an action of this name."""
    return _ALLOWED.get(name, _EVERYTHING)


def shown_digest(actions: Sequence[ActionRequest], configs: Sequence[ReviewConfig], thread_id: str) -> str:
    """The hash of what is shown: an approval is of this and nothing else (promise P11)."""
    return digest("shown", thread_id, list(actions), list(configs))


async def asked_of(state: RunState, texts: Texts, thread_id: str) -> Asked | None:
    """What the state waits for; None when that is nothing. Raises StoredDataDamaged."""
    settings = saved_settings(state.get("settings", {}))
    reference = state.get("asks")
    if reference is not None:
        asks = cast(list[Ask], json.loads(await texts.get(reference["asked"])))
        if not all(_is_own(ask, thread_id) for ask in asks):
            # A fork of what waited asks by itself, for its own calls and sub-RLMs, where it comes to them.
            return None
        return Asked(None, None, asks, [action for ask in asks for action in ask["actions"]])
    cell, final = state.get("cell"), state.get("final")
    if cell is not None:
        action = await _code_action(state, cell, settings, texts, thread_id)
        return Asked(cell, None, (), [action]) if action else None
    if final is not None and Gates.of(settings.approve).final:
        return Asked(None, final, (), [await _final_action(state, final, texts, thread_id)])
    return None


def _is_own(ask: Ask, thread_id: str) -> bool:
    """Whether something is asked by this thread, and not by one that it is a fork of."""
    if children := ask["children"]:
        return all(child["thread_id"] == child_thread(thread_id, child["key"]) for child in children)
    return all(action["thread_id"] == thread_id for action in ask["actions"])


async def _code_action(
    state: RunState, cell: CellRef, settings: RunSettings, texts: Texts, thread_id: str
) -> ActionRequest | None:
    policies = Gates.of(settings.approve).code
    if not policies or state.get("waiting", 0) or state.get("approved") == cell["digest"]:
        return None
    blocks = [await texts.get(block) for block in cell["blocks"]]
    reasons = reasons_to_look(blocks, policies, allowed_imports=settings.allow_imports)
    if not reasons:
        return None
    description = f"Turn {cell['turn']} wants to run this code: {_listed(reasons)}."
    return _action(CODE, {"code": "\n\n".join(blocks)}, description, state, thread_id)


async def _final_action(state: RunState, final: AnswerRef, texts: Texts, thread_id: str) -> ActionRequest:
    text = await texts.get(final["text"])
    answer = json.loads(text) if final["typed"] else text
    return _action(FINAL, {"answer": answer}, "The run wants to end with this answer.", state, thread_id)


def _action(name: str, args: dict[str, Any], description: str, state: RunState, thread_id: str) -> ActionRequest:
    turn = state.get("turn", 0)
    return {"name": name, "args": args, "description": description, "thread_id": thread_id, "turn": turn}


def _listed(reasons: Collection[str], most: int = 5) -> str:
    shown = list(reasons)[:most]
    more = len(reasons) - len(shown)
    return "; ".join([*shown, *([f"and {more} more"] if more > 0 else [])])
