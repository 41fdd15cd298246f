"""Rendering of a run's executions, for `rlm show`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ...state.wording import counted, duration

_DAY = 86_400.0


def executions_line(executions: Sequence[dict[str, Any]]) -> str:
    """Return for how long a run was executed, and waited for people; empty where `Spent` says all of it."""
    known = [one for one in executions if not one["damaged"]]
    now = datetime.now(UTC).isoformat()
    following = [*(one["begun"] for one in known[1:]), now]
    waits = [
        _seconds(one["ended"], begun)
        for one, begun in zip(known, following, strict=False)
        if one["outcome"] == "paused" and one["ended"]
    ]
    if len(executions) < 2 and not waits:
        return ""
    worked = sum(_seconds(one["begun"], one["ended"] or now) for one in known)
    parts = [f"worked {_long(worked)} in {counted(len(executions), 'execution')}"]
    parts += [f"waited {_long(sum(waits))} for a person"] if waits else []
    killed = sum(one["outcome"] == "killed" for one in known)
    parts += [f"{killed:,} killed"] if killed else []
    return "; ".join(parts)


def _seconds(begun: str, ended: str) -> float:
    return max(0.0, (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds())


def _long(seconds: float) -> str:
    return duration(seconds) if seconds < 2 * _DAY else f"{seconds / _DAY:.0f} d"
