"""A run told from its saved state: what was asked, each turn's code and output, and how it ended."""

from typing import Any

from ..nodes.turns import turns_of
from ..state.schema import RunState, TurnRecord
from ..state.texts import Texts
from .results import answer_of


async def tell(state: RunState, texts: Texts) -> dict[str, Any]:
    """The state with its texts, as plain data: `rlm show` prints it. Raises StoredDataDamaged."""
    context = state.get("context_ref")
    return {
        "question": state.get("question", ""),
        "settings": {name: value for name, value in state.get("settings", {}).items() if value not in (None, "", [])},
        "input": {name: value for name, value in context.items() if name not in ("pack", "index")} if context else None,
        "turns": [await _turn(turn, texts) for turn in turns_of(state)],
        "cell": await _cell(state, texts),
        "answer": await answer_of(state, texts),
        "note": state.get("note"),
    }


async def _turn(turn: TurnRecord, texts: Texts) -> dict[str, Any]:
    reply, output = turn.get("reply"), turn.get("output")
    return {
        "turn": turn.get("number", 0),
        "reply": await texts.get(reply) if reply else "",
        "code": [await texts.get(block) for block in turn.get("blocks", [])],
        "nudge": turn.get("nudge"),
        "notes": turn.get("notes", []),
        "status": turn.get("status"),
        "output": await texts.get(output) if output else None,
        "variables": turn.get("variables", []),
        "seconds": turn.get("seconds"),
    }


async def _cell(state: RunState, texts: Texts) -> dict[str, Any] | None:
    """The cell that is about to run, or stands at sub-calls."""
    cell = state.get("cell")
    if cell is None:
        return None
    code = [await texts.get(block) for block in cell["blocks"]]
    return {"turn": cell["turn"], "code": code, "waiting": state.get("waiting", 0)}
