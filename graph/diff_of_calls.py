"""Compares the sub-calls that two steps have made: which only one of them has, and which were answered differently."""

from collections.abc import Sequence
from typing import Any

from ..nodes.runtime.untrusted_text import shortened
from ..state.blobs.texts import Texts
from ..state.calls_at_step import CallAtStep, calls_at_step
from ..state.stores import Stores
from .checkpoints import StateAtStep

MOST_LISTED = 50
"""Calls of each kind that are listed with their texts, at most."""
_MOST_TEXT = 2_000
"""Characters of each text in that list, at most."""


async def calls_compared(stores: Stores, before: StateAtStep, after: StateAtStep) -> dict[str, Any] | None:
    """Return the calls that differ, as `rlm diff --json` prints them; None when none does. Raises StoreError."""
    was, now = [await _calls(stores, step_state) for step_state in (before, after)]
    only_from = [call for key, call in was.items() if key not in now]
    only_to = [call for key, call in now.items() if key not in was]
    differently = [key for key, call in now.items() if key in was and was[key].outcome != call.outcome]
    if not only_from and not only_to and not differently:
        return None
    texts = stores.texts
    return {
        "same": len(now) - len(only_to) - len(differently),
        "first_turn": min(call.turn for call in (*only_from, *only_to, *(now[key] for key in differently))),
        "only_from": await _listed(texts, only_from),
        "only_to": await _listed(texts, only_to),
        "answered_differently": {
            "count": len(differently),
            "calls": [
                {
                    **await _asked(texts, now[key]),
                    "from": await _answer(texts, was[key]),
                    "to": await _answer(texts, now[key]),
                }
                for key in differently[:MOST_LISTED]
            ],
        },
    }


async def _calls(stores: Stores, step_state: StateAtStep) -> dict[str, CallAtStep]:
    step = step_state.step
    return await calls_at_step(stores.database, step_state.thread.thread_id, step.settled if step else None)


async def _listed(texts: Texts, calls: Sequence[CallAtStep]) -> dict[str, Any]:
    listed = [{**await _asked(texts, call), "outcome": await _answer(texts, call)} for call in calls[:MOST_LISTED]]
    return {"count": len(calls), "calls": listed}


async def _asked(texts: Texts, call: CallAtStep) -> dict[str, Any]:
    prompt = shortened(await texts.get_or_damage(call.prompt), _MOST_TEXT)
    return {"key": call.key, "turn": call.turn, "prompt": prompt}


async def _answer(texts: Texts, call: CallAtStep) -> dict[str, Any]:
    answer = shortened(await texts.get_or_damage(call.answer), _MOST_TEXT) if call.answer else None
    return {"model": call.model, "answer": answer, "error": call.error}
