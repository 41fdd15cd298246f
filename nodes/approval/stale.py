"""Check that a request was shown before it was answered.

LangGraph hands a plain `Command(resume=…)` to whichever interrupt comes next, even if the answer was given to another
one: the state was edited meanwhile, or the client used an older state. What an interrupt has shown is saved with its
task; an answer counts when that is found there and equals what is asked now.
"""

from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Interrupt

from ..runtime.langgraph_compat import CHECKPOINT_MAP_KEY, CHECKPOINTER_KEY, INTERRUPT_CHANNEL


async def shown_last(config: RunnableConfig, attempt: int, shown: str) -> bool:
    """Return whether the running task has last shown this attempt at asking, with this hash."""
    place = config.get("configurable", {})
    saver: Any = place.get(CHECKPOINTER_KEY)
    namespace = str(place.get("checkpoint_ns", ""))
    task = namespace.rpartition(":")[2]
    if saver is None or not task:
        return False
    above = namespace.rpartition("|")[0]
    checkpoint = (place.get(CHECKPOINT_MAP_KEY) or {}).get(above) or place.get("checkpoint_id")
    where = {"thread_id": place["thread_id"], "checkpoint_ns": above, "checkpoint_id": checkpoint}
    found = await saver.aget_tuple({"configurable": where})
    for owner, channel, value in found.pending_writes or () if found else ():
        if owner == task and channel == INTERRUPT_CHANNEL:
            last: Interrupt = value[-1] if isinstance(value, list | tuple) else value
            return last.value.get("shown") == shown and last.value.get("attempt") == attempt
    return False
