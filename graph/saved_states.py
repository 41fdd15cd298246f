"""Reads the state of a run at a step from what is saved, as the compiled graph does, without importing LangGraph.

For commands that show a run, and for the page: LangGraph takes a second to import and fifty megabytes. The rules are
LangGraph's: a node runs next when the value that triggers it is there and newer than what the node has seen, or when
the step has sent it a task; a request waits when its task has written nothing else. A test compares every result with
the compiled graph's.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import xxhash

from ..nodes.runtime.langgraph_compat import (
    ERROR_CHANNELS,
    INTERRUPT_CHANNEL,
    NO_TASK,
    PULL,
    PUSH,
    RESUME_CHANNEL,
    SENT_CHANNEL,
)
from ..state.saved_checkpoints import TURNS, SavedCheckpoint, SavedWrite, read_checkpoint
from ..state.saved_values import SavedInterrupt, SavedSend
from ..state.stores import Stores

NODES = ("__start__", "prepare", "direct", "plan", "review", "execute_code", "sub_call", "finalize")
"""The nodes of the graph, in its order."""
_NOTES = "step"
"""The value that lasts for one step only."""
_NOT_OUTPUT = ERROR_CHANNELS | {INTERRUPT_CHANNEL, RESUME_CHANNEL}
"""The channels to which a task writes that has not finished."""


class SavedTask(NamedTuple):
    """A task of the step that follows."""

    id: str
    name: str
    """The node that it runs."""
    interrupts: tuple[SavedInterrupt, ...]


class SavedState(NamedTuple):
    """A state, with the same names as LangGraph's snapshot."""

    values: dict[str, Any]
    next: tuple[str, ...]
    """The nodes that have yet to run after it."""
    tasks: tuple[SavedTask, ...]
    interrupts: tuple[SavedInterrupt, ...]
    """The requests of its tasks: for the current state those that wait, for an earlier one all of them."""


class SavedCheckpoints:
    """The states of the runs of a home, read without the graph. Implements `Checkpoints`."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def aget_state(self, config: Any) -> SavedState:
        """Return the state that `config` names by `thread_id` and `checkpoint_id`; without the latter the current one.

        The current one includes what tasks of the step under way have finished. Without such a checkpoint the state
        is empty. Raises StoreError, StoredDataDamaged.
        """
        place = config["configurable"]
        checkpoint_id = place.get("checkpoint_id")
        saved = await read_checkpoint(self._stores.database, str(place["thread_id"]), checkpoint_id)
        return _state(saved, live=not checkpoint_id) if saved else SavedState({}, (), (), ())


def _state(saved: SavedCheckpoint, *, live: bool) -> SavedState:
    tasks = list(_tasks(saved))
    outputs: dict[str, list[SavedWrite]] = {}
    interrupts: dict[str, list[SavedInterrupt]] = {}
    for write in saved.writes:
        if write.channel == INTERRUPT_CHANNEL:
            interrupts.setdefault(write.task_id, []).extend(_several(write.value))
        elif write.channel not in _NOT_OUTPUT:
            outputs.setdefault(write.task_id, []).append(write)
    values = {name: value for name, value in saved.values.items() if _is_value(name)}
    values = _updated(values, outputs.get(NO_TASK, []))
    finished = [task_id for task_id, _ in tasks if task_id in outputs] if live else []
    if finished:
        values = _updated(values, [write for task_id in finished for write in outputs[task_id]])
        # LangGraph clears what lasts for one step here, also when the finished tasks have written it.
        values[_NOTES] = []
    if not values.get(_NOTES):
        values.pop(_NOTES, None)
    waiting = tuple(
        SavedTask(task_id, name, () if task_id in finished else tuple(interrupts.get(task_id, ())))
        for task_id, name in tasks
    )
    return SavedState(
        values=values,
        next=tuple(name for task_id, name in tasks if task_id not in finished),
        tasks=waiting,
        interrupts=tuple(interrupt for task in waiting for interrupt in task.interrupts),
    )


def _tasks(saved: SavedCheckpoint) -> Iterable[tuple[str, str]]:
    """Yield the tasks of the step that follows: their ids, and the nodes that they run."""
    for place, sent in enumerate(_several(saved.values.get(SENT_CHANNEL, ()))):
        if isinstance(sent, SavedSend) and sent.node in NODES:
            yield _task_id(saved, sent.node, PUSH, str(place)), sent.node
    for node in NODES:
        trigger = node if node == "__start__" else f"branch:to:{node}"
        if trigger in saved.values and _is_new(saved, node, trigger):
            yield _task_id(saved, node, PULL, trigger), node


def _is_new(saved: SavedCheckpoint, node: str, trigger: str) -> bool:
    """Return whether a node has not run since its trigger changed."""
    seen = saved.seen.get(node)
    if seen is None or not saved.versions:
        return bool(saved.versions)
    never = type(next(iter(saved.versions.values())))()
    return saved.versions.get(trigger, never) > seen.get(trigger, never)


def _task_id(saved: SavedCheckpoint, node: str, *how: str) -> str:
    """Return the id that LangGraph gives a task, under which its writes are saved."""
    begun = bytes.fromhex(saved.checkpoint_id.replace("-", ""))
    hashed = xxhash.xxh3_128_hexdigest(begun + "".join((node, str(saved.number), node, *how)).encode())
    return f"{hashed[:8]}-{hashed[8:12]}-{hashed[12:16]}-{hashed[16:20]}-{hashed[20:]}"


def _is_value(name: str) -> bool:
    """Return whether a name is one of the state's own, not of LangGraph's."""
    return not name.startswith(("__", "branch:"))


def _updated(values: Mapping[str, Any], writes: Sequence[SavedWrite]) -> dict[str, Any]:
    """Return the values after the writes of one step."""
    changed = dict(values)
    for name in dict.fromkeys(write.channel for write in writes if _is_value(write.channel)):
        written = [write.value for write in writes if write.channel == name]
        if name == TURNS:
            changed[name] = [*changed[name], *(turn for added in written for turn in added)]
        elif name == _NOTES:
            changed[name] = [note for one in written for note in _several(one)]
        else:
            changed[name] = written[-1]
    return changed


def _several(value: Any) -> Sequence[Any]:
    """Return a list as it is, and anything else as a list of one."""
    return (
        cast("Sequence[Any]", value) if isinstance(value, (list, tuple)) and not hasattr(value, "_fields") else [value]
    )
