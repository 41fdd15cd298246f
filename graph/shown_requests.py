"""Reads the calls of saved approval requests, so that all that they are about is shown.

What is saved with a run names the listing of its waiting calls by hash (`nodes/approval/call_listing.py`). The listing
is read here on the way out: whole for the command line and `Runner`, bounded for LangGraph's callers, whose servers
keep and pass on what they get.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..nodes.approval.call_listing import whole_request
from ..state.errors import StoreError
from ..state.saved_values import SavedInterrupt
from ..state.stores import Stores
from .saved_states import SavedState

if TYPE_CHECKING:
    from langgraph.types import Interrupt, StateSnapshot

Snapshot = TypeVar("Snapshot", "StateSnapshot", SavedState)
_INTERRUPT = "__interrupt__"


@dataclass(frozen=True)
class ShownRequests:
    """The approval requests of one home as they are shown."""

    stores: Stores
    whole: bool = False
    """True when calls are shown whole, however large their texts are."""

    async def value(self, saved: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the value of an interrupt with its calls. Raises StoredDataDamaged."""
        return await whole_request(saved, self.stores.texts, self.stores.blobs, whole=self.whole)

    async def _value(self, saved: Any) -> Any:
        """Return the same; without the calls when they cannot be read, because the rest can be shown."""
        try:
            return await self.value(saved)
        except StoreError as error:
            return {**saved, "problem": f"The sub-calls that wait cannot be shown: {error.message}"}

    async def of(self, found: Iterable[Any]) -> tuple[Any, ...]:
        """Return interrupts with their calls, as objects or as dicts, as they were given."""
        return tuple([await self._one(interrupt) for interrupt in found])

    async def _one(self, interrupt: Any) -> Any:
        if isinstance(interrupt, Mapping):
            known = cast("Mapping[str, Any]", interrupt)
            return {**known, "value": await self._value(known["value"])}
        if isinstance(interrupt, SavedInterrupt):
            return interrupt._replace(value=await self._value(interrupt.value))
        asked = cast("Interrupt[Any]", interrupt)
        return replace(asked, value=await self._value(asked.value))

    async def snapshot(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot whose interrupts have their calls."""
        if not snapshot.interrupts and not any(task.interrupts for task in snapshot.tasks):
            return snapshot
        tasks = [task._replace(interrupts=await self.of(task.interrupts)) for task in snapshot.tasks]
        return snapshot._replace(tasks=tuple(tasks), interrupts=await self.of(snapshot.interrupts))

    async def chunk(self, mode: str, payload: Any) -> Any:
        """Return what the graph streams in a mode, with the calls of interrupts in it."""
        if not isinstance(payload, dict):
            return payload
        payload = cast("dict[str, Any]", payload)
        if mode in ("values", "updates") and payload.get(_INTERRUPT):
            return {**payload, _INTERRUPT: await self.of(payload[_INTERRUPT])}
        if mode == "tasks" and payload.get("interrupts"):
            return {**payload, "interrupts": [*await self.of(payload["interrupts"])]}
        if mode == "checkpoints" and payload.get("tasks"):
            return {**payload, "tasks": [await self.chunk("tasks", task) for task in payload["tasks"]]}
        if mode == "debug":
            inner = "checkpoints" if payload["type"] == "checkpoint" else "tasks"
            return {**payload, "payload": await self.chunk(inner, payload["payload"])}
        return payload
