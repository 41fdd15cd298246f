"""Turns the input of a plain LangGraph caller into a run: parses it and enters the run into the index."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from ..nodes.runtime.dependencies import Dependencies
from ..nodes.runtime.events import ignore_event
from ..state.budget import Limits
from ..state.errors import ThreadExists, UnknownThread, UsageError
from ..state.input.context import ContextRef
from ..state.run_state import RunInput
from ..state.settings import RunSettings, resolve_settings, saved_settings
from ..state.threads import Thread
from .create import Input, check_same_input, enter_run, same_run
from .intake import Given

_LIMITS = frozenset(Limits.model_fields)
_OF_OPERATORS = frozenset({"notify", "notify_key"})
"""Settings that are the server's own: the programs that it runs and the addresses that it sends to."""
_FIELDS = frozenset(RunInput.__annotations__)
_REFERENCE: TypeAdapter[ContextRef] = TypeAdapter(ContextRef)


@dataclass(frozen=True)
class RunRequest:
    """A caller's input, parsed and checked as far as possible without the store."""

    question: str | None = None
    input: Input | None = None
    limits: Mapping[str, Any] = field(default_factory=dict[str, Any])
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The settings that it names, except the limits."""

    @classmethod
    def of(cls, given: RunInput) -> "RunRequest":
        """Parse an input. Raises UsageError for an invalid one."""
        if unknown := sorted(set(given) - _FIELDS):
            raise UsageError(
                f"There is no {', '.join(unknown)} in the input of a run.", hint=f"It has {', '.join(sorted(_FIELDS))}."
            )
        settings = _named(given.get("settings"))
        return cls(
            question=given.get("question"),
            input=_input_of(given),
            limits=_named({name: value for name, value in given.items() if name in _LIMITS}),
            settings={**settings, **_named({"approve": given.get("approve")})},
        )


async def create_from_request(
    deps: Dependencies, thread_id: str, request: RunRequest | None, context: RunSettings | Mapping[str, Any] | None
) -> dict[str, Any]:
    """Enter a new run into the index, or check that an existing one is meant. Return the limits that replace its own.

    `context` holds settings, too: those of the assistant. Settings that neither names come from the environment and
    `rlm.toml`. Raises UnknownThread without an input for a thread that does not exist, ThreadExists when the thread
    asks something else, and what `enter_run` raises.
    """
    run = await deps.stores.threads.find(thread_id)
    if run is not None:
        return {} if request is None else await _of_old_run(deps, run, request)
    if request is None:
        raise UnknownThread(f"There is no run named {thread_id} here.", hint="Start it with a question.")
    named = {**_named(context), **request.settings}
    if refused := sorted(_OF_OPERATORS & set(named)):
        raise UsageError(
            f"A run that is started here cannot set {' and '.join(refused)}: a client may not name programs that run "
            "as you, nor places that are sent to.",
            hint="Set RLM_NOTIFY and RLM_NOTIFY_KEY in the environment of the server, or use `rlm run --notify`.",
        )
    settings = await asyncio.to_thread(resolve_settings, {**named, **request.limits})
    await enter_run(deps, thread_id, request.question or "", request.input, settings, ignore_event)
    return {}


async def _of_old_run(deps: Dependencies, run: Thread, request: RunRequest) -> dict[str, Any]:
    """Check that an input for an existing thread only resumes it. Return the limits that it names."""
    if request.question is None and request.input is None:
        return dict(request.limits)
    question = run.question if request.question is None else request.question
    settings = saved_settings(run.start.get("settings", {}))
    try:
        check_same_input(run, await same_run(deps, run, question, request.input, settings, ignore_event))
    except ThreadExists as error:
        raise ThreadExists(error.message, hint="A thread is one question: ask another one in a new thread.") from None
    return dict(request.limits)


def _input_of(given: RunInput) -> Input | None:
    stored, context = given.get("context_ref"), given.get("context")
    if stored and context:
        raise UsageError("The input has both a context and a stored one.", hint="Give one of them.")
    if stored:
        try:
            return _REFERENCE.validate_python(stored)
        except ValidationError as error:
            raise UsageError(f"context_ref: {error.errors()[0]['msg']}.") from error
    if isinstance(context, list) and "-" in context:
        raise UsageError("There is no standard input here.", hint="Give the text itself, or a path.")
    return cast("Given | None", context or None)


def _named(settings: RunSettings | Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the settings that have a value: forms also send their empty fields."""
    if isinstance(settings, RunSettings):
        return settings.model_dump(exclude_unset=True, by_alias=True)
    return {name: value for name, value in (settings or {}).items() if value is not None and value not in ("", [], {})}
