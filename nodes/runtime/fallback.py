"""Let the fallback model of a run take over from its root model, after failed turns or a failure for good.

The change is in the state that the node returns, like one that a resume brings (`graph/model_changes.py`).
"""

from typing import Any

from ...state.run_state import FormerModels, RunState
from .active_runs import ActiveRun
from .events import emit

_FAILED = frozenset({"error", "timeout", "died"})


def turns_failed(state: RunState, run: ActiveRun) -> int:
    """Return how many turns have failed since the last one that did not, or since the models were changed."""
    since = changed_at(state)
    failed = 0
    for turn in reversed(run.transcript.turns(state)):
        if turn.get("number", 0) <= since or (turn.get("blocks") and turn.get("status") not in _FAILED):
            break
        failed += 1
    return failed


def changed_at(state: RunState) -> int:
    """Return the last turn that was begun before the models were last changed; 0 when they never were."""
    former = state.get("former_models", [])
    return former[-1]["until"] if former else 0


def fall_back(state: RunState, run: ActiveRun, why: str) -> bool:
    """Make the fallback the root model. Return whether it is: not without a fallback, nor when it is that already.

    `why` follows the name of the former model in a sentence. Raises ModelSetupError.
    """
    settings = run.settings.fallen_back
    if settings is None:
        return False
    former: FormerModels = {"until": state.get("turn", 0), "settings": run.settings.of_models()}
    emit("notice", text=f"{run.root_model.name} {why}: {settings.model} is the root model from here on.")
    run.change_models(settings)
    run.unsaved_models = {
        "settings": settings.frozen(),
        "former_models": [*state.get("former_models", []), former],
    }
    return True


def saved_with(run: ActiveRun, values: dict[str, Any]) -> dict[str, Any]:
    """Return what a node returns, with a change of models that is not saved yet, which its step's summary names."""
    changed, run.unsaved_models = run.unsaved_models, {}
    if not changed:
        return values
    note, *others = values["step"]
    summary = f"{note['summary']}; {run.settings.model} is the root model from here on"
    return {**values, **changed, "step": [{**note, "summary": summary}, *others]}
