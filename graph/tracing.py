"""Controls whether LangChain and LangGraph send LangSmith what a run reads, asks and answers.

Both read the environment and what the caller of a `Runner` has set up, and would silently send all of it. A run's
input belongs to the user, who decides: nothing is traced unless `--tracing`, `RLM_TRACING` or
`Runner.open(tracing=True)` says so. That applies to one process; it is not a setting of a run, and not saved.
"""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from ..state.errors import UsageError

VARIABLE = "RLM_TRACING"
SWITCHES = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGCHAIN_TRACING")
"""Variables that turn LangSmith's traces on."""

_RETIRED = ("LANGCHAIN_TRACING", "LANGCHAIN_HANDLER")
"""Variables with which LangChain refuses to run anything that is not traced."""
_ON, _OFF = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


def asked_for(environment: Mapping[str, str]) -> bool:
    """Return whether `RLM_TRACING` asks for traces. Raises UsageError for a value that is neither yes nor no."""
    value = environment.get(VARIABLE, "").strip().lower()
    if value not in (*_ON, *_OFF):
        raise UsageError(f"{VARIABLE} is neither yes nor no.", hint=f"Set it to 1 or 0: {VARIABLE}=1")
    return value in _ON


def switch_set(environment: Mapping[str, str]) -> str:
    """Return the name of the variable that would turn traces on; empty when there is none."""
    return next((name for name in SWITCHES if environment.get(name, "").strip().lower() not in _OFF), "")


@contextmanager
def traced(on: bool) -> Generator[None]:
    """Trace what is called inside, in the caller's trace if there is one; with `on` false, trace nothing."""
    # LangGraph imports these anyway, which takes a second: they are imported only when needed.
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.tracers.context import tracing_v2_callback_var
    from langsmith.run_helpers import get_tracing_context, tracing_context

    if on:
        context: dict[str, Any] = {**get_tracing_context(), "enabled": True}
        with tracing_context(**context):
            yield
        return
    # LangChain accepts a callback handler that does nothing as a trace.
    silent = BaseCallbackHandler() if any(os.environ.get(name) for name in _RETIRED) else None
    before = tracing_v2_callback_var.get()
    tracing_v2_callback_var.set(cast(Any, silent))
    try:
        with tracing_context(enabled=False, parent=False):
            yield
    finally:
        tracing_v2_callback_var.set(before)
