"""What LangGraph's server calls a run: its threads have UUIDs for names, and runs whatever a person has called them.

A run that is called by a UUID, as those are that a client of the server has started, is called the same there. Another
one gets a UUID that is made from its name, always the same, under which the graph finds it.
"""

import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..state.threads import Threads

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.types import StateSnapshot

_NAMESPACE = uuid.UUID("0c6a8f0e-52e4-5d0a-8b7f-6b1b8a1b6f4e")


# Every request about a run that has a name of its own asks for those of all runs.
@lru_cache(maxsize=1 << 16)
def server_name(name: str) -> uuid.UUID:
    """The name of the server's thread for a run."""
    return _as_uuid(name) or uuid.uuid5(_NAMESPACE, name)


async def run_name(threads: Threads, thread_id: str) -> str:
    """The run that a thread of the server is; the same name when no run has another one for it."""
    if await threads.exists(thread_id) or (wanted := _as_uuid(thread_id)) is None:
        return thread_id
    for name in await threads.named_like(""):
        if name != thread_id and server_name(name) == wanted:
            return name
    return thread_id


def _as_uuid(thread_id: str) -> uuid.UUID | None:
    """The UUID that a name is, written in the one way that the server writes them; None when it is none."""
    try:
        found = uuid.UUID(thread_id)
    except ValueError:
        return None
    return found if str(found) == thread_id else None


def config_called(config: "RunnableConfig", thread_id: str) -> "RunnableConfig":
    """A config of one step with the thread called as it was asked for."""
    return {**config, "configurable": {**config.get("configurable", {}), "thread_id": thread_id}}


def snapshot_called(snapshot: "StateSnapshot", thread_id: str) -> "StateSnapshot":
    """A snapshot with the thread called as it was asked for."""
    before = snapshot.parent_config
    return snapshot._replace(
        config=config_called(snapshot.config, thread_id),
        parent_config=None if before is None else config_called(before, thread_id),
    )


def checkpoint_called(payload: dict[str, Any], thread_id: str) -> dict[str, Any]:
    """A streamed checkpoint with the thread called as it was asked for."""
    return {
        **payload,
        **{name: config_called(payload[name], thread_id) for name in ("config", "parent_config") if payload.get(name)},
    }
