"""`prepare`: freezes the settings and the input into the state, as references."""

from typing import Any

from ..state.contexts import ContextRef, no_context
from ..state.errors import InputError, UsageError
from ..state.keys import START
from ..state.schema import RunState
from ..state.settings import RunSettings, resolve_settings, saved_settings
from .events import emit_event
from .hands import Hands
from .intake import store_input


async def prepare(state: RunState, hands: Hands) -> dict[str, Any]:
    """The run's first step. Raises InputError for a question or an input that cannot be used."""
    question = state.get("question", "").strip()
    if not question:
        raise InputError("The question is empty.", hint='Ask one: rlm run "What …?" folder/')
    settings = chosen_settings(state.get("settings", {}))
    reference = state.get("context_ref")
    given = state.get("context")
    if reference is None:
        reference = await store_input(given, hands.stores, emit_event) if given else no_context()
    hands.probe("prepare-end")
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
        "step": [{"kind": "prepare", "turn": 0, "summary": describe_input(reference)}],
    }


def chosen_settings(given: dict[str, Any]) -> RunSettings:
    """The settings of a run: frozen ones as they are; what a server's caller left out, from the environment.

    Raises UsageError for settings that make no sense, or without a model.
    """
    settings = saved_settings(given) if set(given) >= _ALL_SETTINGS else resolve_settings(given)
    if not settings.model:
        raise UsageError("No model is named.", hint="Put it into settings.model, or set RLM_MODEL.")
    return settings


_ALL_SETTINGS = set(RunSettings().frozen())


def describe_input(reference: ContextRef) -> str:
    """The input in a few words."""
    match reference["kind"]:
        case "none":
            return "no input, the question alone"
        case "text":
            return f"one text, {reference['chars']:,} characters"
        case "documents":
            return f"{reference['documents']:,} documents, {reference['chars']:,} characters"
