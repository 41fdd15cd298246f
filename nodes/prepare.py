"""`prepare`: put the settings and the input, which were chosen and stored before, into the state."""

from typing import Any

from ..state.call_keys import START
from ..state.errors import InputError, UsageError
from ..state.input.context import ContextRef, no_context
from ..state.run_state import RunState
from ..state.settings import RunSettings, saved_settings
from .runtime.dependencies import Dependencies


async def prepare(state: RunState, deps: Dependencies) -> dict[str, Any]:
    """Take the run's first step. Raises InputError for an empty question."""
    question = state.get("question", "").strip()
    if not question:
        raise InputError("The question is empty.", hint="`rlm run --help` shows how to ask one.")
    settings = frozen_settings(state)
    reference = state.get("context_ref") or no_context()
    deps.failpoint("prepare-end")
    return {
        "question": question,
        "settings": settings.frozen(),
        "context_ref": reference,
        "turn": 0,
        "last": False,
        "cell": None,
        "waiting": 0,
        "position": START,
        "status": "running",
        "final": None,
        "answer": None,
        "note": None,
        "asks": None,
        "approved": None,
        "verdicts": [],
        "leave": None,
        "told_first": [],
        "step": [{"kind": "prepare", "turn": 0, "summary": describe_input(reference)}],
    }


def frozen_settings(state: RunState) -> RunSettings:
    """Return the settings that the run was started with. Raises UsageError when they name no model, and StoreError."""
    settings = saved_settings(state.get("settings", {}))
    if not settings.model:
        raise UsageError("No model is named.", hint="Put it into settings.model, or set RLM_MODEL.")
    return settings


def describe_input(reference: ContextRef) -> str:
    """Return a description of the input in a few words."""
    match reference["kind"]:
        case "none":
            return "no input, the question alone"
        case "text":
            return f"one text, {reference['chars']:,} characters"
        case "documents":
            return f"{reference['documents']:,} documents, {reference['chars']:,} characters"
