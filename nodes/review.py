"""`review`: where a person is asked before code runs, money is spent or an answer is given.

It only interrupts: a node restarts from its top, so nothing may happen before or after in here. No gate
asks yet, so everything passes.
"""

from typing import Any

from ..state.schema import RunState


async def review(state: RunState) -> dict[str, Any]:
    """Let the cell pass."""
    return {"step": [{"kind": "review", "turn": state.get("turn", 0), "summary": "passed: no gate asks"}]}
