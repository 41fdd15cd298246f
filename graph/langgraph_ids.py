"""Maps the names of runs to the thread ids of LangGraph's server, which are UUIDs.

A run whose name is a UUID, such as one that a client of the server has started, keeps that name there. Any other run
gets a UUID that is derived from its name and always the same; the graph finds the run by it.
"""

import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..state.threads import Threads

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.types import StateSnapshot

_NAMESPACE = uuid.UUID("0c6a8f0e-52e4-5d0a-8b7f-6b1b8a1b6f4e")


# Cached because every request about a run whose name is not a UUID computes those of all runs.
@lru_cache(maxsize=1 << 16)
def server_name(name: str) -> uuid.UUID:
    """Return the id of the server's thread for a run."""
    return _as_uuid(name) or uuid.uuid5(_NAMESPACE, name)


async def run_name(threads: Threads, thread_id: str) -> str:
    """Return the name of the run that a thread of the server is; `thread_id` itself when no run maps to it."""
    if await threads.exists(thread_id) or (wanted := _as_uuid(thread_id)) is None:
        return thread_id
    for name in await threads.named_like(""):
        if name != thread_id and server_name(name) == wanted:
            return name
    return thread_id


def _as_uuid(thread_id: str) -> uuid.UUID | None:
    """Return a name as a UUID; None when it is not one in the form that the server writes."""
    try:
        found = uuid.UUID(thread_id)
    except ValueError:
        return None
    return found if str(found) == thread_id else None


def config_called(config: "RunnableConfig", thread_id: str) -> "RunnableConfig":
    """Return a step's config with the thread named as the caller named it."""
    return {**config, "configurable": {**config.get("configurable", {}), "thread_id": thread_id}}


def snapshot_called(snapshot: "StateSnapshot", thread_id: str) -> "StateSnapshot":
    """Return a snapshot with the thread named as the caller named it."""
    before = snapshot.parent_config
    return snapshot._replace(
        config=config_called(snapshot.config, thread_id),
        parent_config=None if before is None else config_called(before, thread_id),
    )


def checkpoint_called(payload: dict[str, Any], thread_id: str) -> dict[str, Any]:
    """Return a streamed checkpoint with the thread named as the caller named it."""
    return {
        **payload,
        **{name: config_called(payload[name], thread_id) for name in ("config", "parent_config") if payload.get(name)},
    }
