"""A saver that commits nothing by itself: for steps that must be saved together with other changes."""

from collections.abc import Mapping, Sequence

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple, DeltaChannelHistory

from .checkpointer import RunSaver
from .db.connection import Database, Unit
from .leases import Leases


class StagedSaver(RunSaver):
    """Shows a thread as a copy of another one's history up to a checkpoint, before the copy exists.

    The saves for the copy are collected in `units`, to be run in the transaction that creates it.
    """

    def __init__(self, database: Database, leases: Leases, *, source: str, checkpoint_id: str, copy: str) -> None:
        super().__init__(database, leases)
        self._source = source
        self._checkpoint_id = checkpoint_id
        self._copy = copy
        self.units: list[Unit] = []

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the copied checkpoint that `config` names; without a name, the last one."""
        found = await super().aget_tuple(self._there(config))
        if found is None:
            return None
        last = found.checkpoint["id"] == self._checkpoint_id
        return CheckpointTuple(
            config=self._here(found.config),
            checkpoint=found.checkpoint,
            metadata=found.metadata,
            parent_config=self._here(found.parent_config) if found.parent_config else None,
            # Pending writes of the last one belong to the steps after it, which are not copied.
            pending_writes=[] if last else found.pending_writes,
        )

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return the writes from which the growing lists are rebuilt."""
        return await super().aget_delta_channel_history(config=self._there(config), channels=channels)

    async def _save(self, unit: Unit, what: str, *, later: bool = False) -> None:
        self.units.append(unit)

    def _there(self, config: RunnableConfig) -> RunnableConfig:
        place = config.get("configurable", {})
        named = {**place, "checkpoint_id": place.get("checkpoint_id") or self._checkpoint_id}
        return {"configurable": {**named, "thread_id": self._source}}

    def _here(self, config: RunnableConfig) -> RunnableConfig:
        return {"configurable": {**config.get("configurable", {}), "thread_id": self._copy}}
