"""Send the events of a run, small dicts on LangGraph's custom stream, to displays and SDK clients.

Each has `event` and the thread that it is about. Nothing depends on events: they may be dropped.
"""

from collections.abc import Callable
from typing import Any, Literal

from langgraph.config import get_stream_writer

EventName = Literal[
    "named",
    "input",
    "direct",
    "turn",
    "nudge",
    "code",
    "calls",
    "output",
    "usage",
    "retry",
    "restore",
    "notice",
    "child",
    "one_call",
]
"""
- `named`: a run that was given no name gets this one (`thread_id`), and is about to enter the index of runs.
- `input`: `documents`, `bytes`, `name`, `done`: the input is being stored.
- `direct`: `outcome`, `why`: the whole input is given to the root model (`asking`); then `answered`, or `repl`.
- `turn`: `turn`, `of`, `last`: the root model is being asked.
- `nudge`: `turn`, `reason`: its reply had nothing to run.
- `code`: `turn`, `code`: the cell that runs now.
- `calls`: `turn`, `posted`, `answered`, `failed`, `reused`, `in_flight`, `usage`: sub-calls of the running cell.
- `output`: `turn`, `status`, `preview`, `elapsed` (seconds): the cell has ended.
- `usage`: the run's `Usage` and `elapsed` (seconds, all executions).
- `retry`: `model`, `reason`, `seconds`: a request failed and is sent again.
- `restore`: `cells`, `of`, `turn`: variables as of `turn` are restored by replaying cell number `cells` of `of`; 0 of
  0: by loading a snapshot.
- `notice`: `text`.
- `one_call`: the input of a new run of mode `rlm` fits one model call.
- `child`: `thread_id`, `depth` (runs above it), `question`, `status`, `usage` (of the run that is watched): a sub-RLM
  of the running cell, or one below it. `running` in its `turn`; then `answered`, `budget` (its budget is spent) or
  `failed`. One that ended in an earlier execution is reported too, with its status, when its recorded answer is used.
"""

Emit = Callable[[dict[str, Any]], None]


def emit(event: EventName, **facts: Any) -> None:
    """Put an event on the stream of the node that runs; outside of a graph, do nothing."""
    emit_event({"event": event, **facts})


def emit_event(event: dict[str, Any]) -> None:
    """Put a complete event dict on the stream of the node that runs, as `emit` does."""
    try:
        writer = get_stream_writer()
    except (RuntimeError, LookupError, KeyError):
        return
    writer(event)
