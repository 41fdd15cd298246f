"""Adds texts to what LangGraph's callers receive: the answer itself, and the root model's turns as messages.

The state holds references, never a text. LangGraph's callers have no store in which to look them up, so they are
resolved here on the way out; none of it is saved a second time.
"""

import contextlib
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from langchain_core.messages import AIMessage
from langgraph.types import StateSnapshot

from ..nodes.evidence.citations import citations_of
from ..state.blobs.texts import Texts
from ..state.errors import StoreError
from .langgraph_ids import checkpoint_called
from .run import answer_of
from .shown_requests import ShownRequests

ANSWER, CITATIONS = "answer_value", "citations"
_INTERRUPT = "__interrupt__"


@dataclass(frozen=True)
class StreamAdapter:
    """The form in which one caller receives what the graph streams."""

    texts: Texts
    requests: ShownRequests
    thread_id: str
    """The caller's name for the thread."""
    modes: str | Sequence[str]
    subgraphs: bool = False
    version: Literal["v1", "v2"] = "v1"

    @property
    def inner_modes(self) -> list[str]:
        """The modes in which the graph itself must stream: messages are made from the results of its nodes."""
        modes = [self.modes] if isinstance(self.modes, str) else list(self.modes)
        return modes if "messages" not in modes or "tasks" in modes else [*modes, "tasks"]

    async def chunks(self, mode: str, payload: Any) -> AsyncGenerator[Any]:
        """Yield the caller's chunks for one of the graph's. Raises StoreError for an answer that cannot be read."""
        payload = await self.requests.chunk(mode, payload)
        if mode == "values":
            payload = await with_answer(payload, self.texts)
        elif mode == "checkpoints":
            payload = await self._checkpoint(payload)
        elif mode == "debug" and payload["type"] == "checkpoint":
            payload = {**payload, "payload": await self._checkpoint(payload["payload"])}
        if mode in ([self.modes] if isinstance(self.modes, str) else self.modes):
            yield self._shaped(mode, payload)
        if mode == "tasks" and "messages" in self.inner_modes:
            for message in await self._messages(payload):
                about = {"langgraph_node": payload["name"], "thread_id": self.thread_id}
                yield self._shaped("messages", (message, about))

    async def _checkpoint(self, payload: dict[str, Any]) -> dict[str, Any]:
        values = await with_answer(payload["values"], self.texts)
        return checkpoint_called({**payload, "values": values}, self.thread_id)

    async def _messages(self, task: Mapping[str, Any]) -> list[AIMessage]:
        """Return the root model's reply after its turn, or the answer once it is settled: whole, not token by token."""
        result = task.get("result") or {}
        if task["name"] == "plan":
            return [
                AIMessage(await self.texts.get(turn["reply"]), id=f"{self.thread_id}:{turn['number']}")
                for turn in result.get("turns", [])
            ]
        if task["name"] == "finalize" and result.get("answer"):
            answer = await answer_of(cast(Any, result), self.texts)
            text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
            return [AIMessage(text, id=f"{self.thread_id}:answer")]
        return []

    def _shaped(self, mode: str, payload: Any) -> Any:
        """Return a chunk in LangGraph's form. Child runs are threads of their own: the namespace is always the root."""
        if self.version == "v2":
            chunk: dict[str, Any] = {"type": mode, "ns": (), "data": payload}
            if mode == "values":
                values = dict(payload)
                chunk |= {"interrupts": values.pop(_INTERRUPT, ()), "data": values}
            return chunk
        namespace = [()] if self.subgraphs else []
        named = [] if isinstance(self.modes, str) else [mode]
        return (*namespace, *named, payload) if namespace or named else payload


async def with_answer(values: Any, texts: Texts) -> Any:
    """Return the values of a state with the answer itself and its citations, once there is one. Raises StoreError."""
    if not isinstance(values, dict) or not values.get("answer"):
        return values
    citations = await citations_of(values["answer"], texts)
    return {**values, ANSWER: await answer_of(cast(Any, values), texts), CITATIONS: citations}


async def snapshot_with_answer(snapshot: StateSnapshot, texts: Texts) -> StateSnapshot:
    """Return a snapshot with the answer itself, or without it when it cannot be read, because the rest still can."""
    with contextlib.suppress(StoreError):
        return snapshot._replace(values=await with_answer(snapshot.values, texts))
    return snapshot
