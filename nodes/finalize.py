"""`finalize`: settle how the run ended."""

from typing import Any, cast

from ..state.budget import FLAGS, Resource
from ..state.evidence.citations import answer_digest
from ..state.run_state import RunState
from ..state.wording import sentence
from .runtime.active_runs import ActiveRuns
from .runtime.dependencies import Dependencies
from .runtime.events import emit


async def finalize(state: RunState, active_runs: ActiveRuns, deps: Dependencies, thread_id: str) -> dict[str, Any]:
    """Return the end of the run: with the answer that its code gave, or without one because the budget is spent."""
    run = await active_runs.get(thread_id, state)
    await run.drop_repl()
    await run.placing.finish()
    final = state.get("final")
    turn = state.get("turn", 0)
    note = state.get("note")
    deps.failpoint("finalize-end")
    spent = cast("Resource | None", state.get("spent"))
    if final is not None:
        if run.gates.final and state.get("approved") != answer_digest(final):
            # The run ends with the answer that was approved (promise P11); any other answer goes back to be reviewed.
            return {"step": [{"kind": "finalize", "turn": turn, "summary": "not the answer that was reviewed"}]}
        if spent and note is None:
            note = f"{run.ledger.limits.budget(spent)} was used up, and this is what its last turn could answer"
            emit("notice", text=sentence(note))
        summary = "answered" if note is None else f"answered: {note}"
        return {
            "answer": final,
            "status": "answered",
            "note": note,
            "usage": run.usage,
            "step": [{"kind": "finalize", "turn": turn, "summary": summary}],
        }
    spent = spent or run.ledger.exhausted() or "turns"
    budget = run.ledger.limits.budget(spent)
    reason = note or f"{budget} is spent and the last turn gave no answer; raise it with {FLAGS[spent]}"
    return {
        "status": "budget",
        "note": reason,
        "spent": spent,
        "usage": run.usage,
        "step": [{"kind": "finalize", "turn": turn, "summary": "budget spent"}],
    }
