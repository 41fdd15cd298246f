"""The checkpointer: LangGraph's SQLite saver with group commit, leases, step numbers and seals.

A checkpoint, its place in the order of steps and the check of the lease are one transaction. Steps are
numbered as they are saved: order never depends on a clock (promise P6). What is read is checked first (promise P5).
"""

import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import ERROR
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.checkpoint.sqlite.utils import search_where

from .db.connection import Database, Unit
from .db.integrity import check_checkpoint, check_line, last_checkpoint
from .errors import UnknownThread
from .leases import Leases
from .maintenance.delete import delete_run
from .run_state import Status, StepNote

_PUT = (
    "INSERT OR REPLACE INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, "
    "checkpoint, metadata) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_PUT_WRITES = (
    "INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_PUT_STEP = (
    "INSERT OR IGNORE INTO steps (thread_id, step, checkpoint_id, kind, turn, summary, created, settled) "
    "SELECT ?, coalesce(max(step), 0) + 1, ?, ?, ?, ?, ?, (SELECT value FROM counters WHERE name = 'settled') "
    "FROM steps WHERE thread_id = ?"
)

_ENDED: tuple[Status, ...] = ("answered", "budget")
_STEP = (
    "(SELECT step FROM steps WHERE steps.thread_id = checkpoints.thread_id "
    "AND steps.checkpoint_id = checkpoints.checkpoint_id)"
)


class RunSaver(AsyncSqliteSaver):
    """Passes LangGraph's conformance suite; only what the strict serializer knows is ever read back."""

    def __init__(self, database: Database, leases: Leases, clock: Callable[[], float] = time.time) -> None:
        # allowed_msgpack_modules=None: nothing but the safe built-in types is rebuilt from the file.
        super().__init__(database.connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        self.lock = database.lock
        self._database = database
        self._leases = leases
        self._clock = clock

    @property
    def parts(self) -> tuple[Database, Leases, Callable[[], float]]:
        """What another saver over the same file is made of."""
        return self._database, self._leases, self._clock

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint; it is on disk when this returns. Raises LeaseLost, RunBusy or StoreError."""
        await self.setup()
        place = config.get("configurable", {})
        thread_id, namespace = str(place["thread_id"]), str(place.get("checkpoint_ns", ""))
        kind, body = self.serde.dumps_typed(checkpoint)
        about = json.dumps(get_checkpoint_metadata(config, metadata), ensure_ascii=False).encode("utf-8", "ignore")
        row = (thread_id, namespace, checkpoint["id"], place.get("checkpoint_id"), kind, body, about)
        note = _step_note(checkpoint, metadata)
        # A run that has ended is known as such from here on, whatever becomes of its process.
        status = checkpoint.get("channel_values", {}).get("status")
        ended = status if status in _ENDED else None
        now = self._clock()

        def unit(connection: sqlite3.Connection) -> None:
            self._leases.check(connection, thread_id)
            connection.execute(_PUT, row)
            if not namespace:
                step = (thread_id, checkpoint["id"], note["kind"], note["turn"], note["summary"], now, thread_id)
                connection.execute(_PUT_STEP, step)
                connection.execute(
                    "UPDATE threads SET turns = max(turns, ?), status = coalesce(?, status), updated = ? "
                    "WHERE thread_id = ?",
                    (note["turn"], ended, now, thread_id),
                )

        await self._save(unit, "checkpoint")
        return {"configurable": _place(thread_id, namespace, checkpoint["id"])}

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save what one task wrote, with the step that it makes: LangGraph puts that next, and no later than then it
        is on disk. What no step follows (an interrupt, an error, what a person answered) is on disk when this returns.

        Of a task that failed or was cancelled only that is saved. LangGraph hands over what it had written
        until then as well, and would take it on resume for all that the task had to say: cancelled between
        a node and its route, the run would end there without a word.
        """
        await self.setup()
        if any(channel == ERROR for channel, _ in writes):
            writes = [write for write in writes if write[0] in WRITES_IDX_MAP]
        place = config.get("configurable", {})
        thread_id = str(place["thread_id"])
        rows = [
            (
                *(thread_id, str(place.get("checkpoint_ns", "")), str(place["checkpoint_id"])),
                *(task_id, task_path, WRITES_IDX_MAP.get(channel, index), channel),
                *self.serde.dumps_typed(value),
            )
            for index, (channel, value) in enumerate(writes)
        ]
        # LangGraph's special channels (errors, interrupts) are replaced, ordinary writes never.
        special = all(channel in WRITES_IDX_MAP for channel, _ in writes)
        verb = "INSERT OR REPLACE " if special else "INSERT OR IGNORE "

        def unit(connection: sqlite3.Connection) -> None:
            self._leases.check(connection, thread_id)
            connection.executemany(verb + _PUT_WRITES, rows)

        # Killed before the step is saved, the task is done again, as if it had been killed before its end. What growing
        # lists are made from, LangGraph hands over before it puts their checkpoint.
        await self._save(unit, "writes", later=not any(channel in WRITES_IDX_MAP for channel, _ in writes))

    async def _save(self, unit: Unit, what: str, *, later: bool = False) -> None:
        if later:
            self._database.defer(unit)
        else:
            await self._database.commit(unit, what)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that `config` names, else the one saved last. Raises StoredDataDamaged."""
        await self.setup()
        place = config.get("configurable", {})
        thread_id, namespace = str(place["thread_id"]), str(place.get("checkpoint_ns", ""))
        named = get_checkpoint_id(config)

        await self._database.catch_up()

        def look(connection: sqlite3.Connection) -> str | None:
            chosen = named or last_checkpoint(connection, thread_id, namespace)
            if chosen:
                check_checkpoint(connection, thread_id, namespace, chosen)
            return chosen

        chosen = await self._database.look(look)
        if chosen is None:
            return None
        return await super().aget_tuple({"configurable": _place(thread_id, namespace, chosen)})

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """The checkpoints that are asked for; of one thread, the one saved last first. Raises StoredDataDamaged."""
        await self.setup()
        for place in await self._database.read(*_wanted(config, filter, before, limit)):
            if found := await self.aget_tuple({"configurable": _place(*place)}):
                yield found

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What the growing lists of a checkpoint are made from. Raises StoredDataDamaged."""
        place = config.get("configurable", {})
        await self._database.catch_up()
        if channels and (checkpoint_id := get_checkpoint_id(config)):
            named = (str(place["thread_id"]), str(place.get("checkpoint_ns", "")), checkpoint_id)
            await self._database.look(lambda connection: check_line(connection, self.serde, named, channels))
        return await super().aget_delta_channel_history(config=config, channels=channels)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread as `rlm delete` does. Raises RunBusy while it is being run."""
        await self.setup()
        with contextlib.suppress(UnknownThread):
            await self._database.commit(lambda connection: delete_run(connection, self._leases, str(thread_id)))


def _place(thread_id: str, namespace: str, checkpoint_id: str) -> dict[str, str]:
    return {"thread_id": thread_id, "checkpoint_ns": namespace, "checkpoint_id": checkpoint_id}


def _wanted(
    config: RunnableConfig | None, filter: dict[str, Any] | None, before: RunnableConfig | None, limit: int | None
) -> tuple[str, tuple[Any, ...]]:
    """The query for the places of checkpoints, and its parameters."""
    where, found = search_where(config, filter)
    parameters = [*found]
    # Ids of checkpoints are in the order of their making only as long as the clock is not set back.
    place = f"coalesce({_STEP}, 0), checkpoint_id" if config else "checkpoint_id"
    if before and (last := get_checkpoint_id(before)):
        thread = config.get("configurable", {})["thread_id"] if config else None
        where += f"{' AND' if where else 'WHERE'} ({place}) < (SELECT {place} FROM checkpoints WHERE checkpoint_id = ?"
        where += " AND thread_id = ?)" if config else ")"
        parameters += [last, thread] if config else [last]
    order = ", ".join(f"{column} DESC" for column in place.rsplit(", ", 1))
    query = f"SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints {where} ORDER BY {order}"
    if limit is not None:
        query += " LIMIT ?"
        parameters.append(limit)
    return query, tuple(parameters)


def _step_note(checkpoint: Checkpoint, metadata: CheckpointMetadata) -> StepNote:
    """What made this checkpoint: the nodes' own note, else where LangGraph says it came from."""
    values = checkpoint.get("channel_values", {})
    notes = cast(list[StepNote], values.get("step") or [])
    turn = values.get("turn")
    turn = turn if isinstance(turn, int) else 0
    source = metadata.get("source", "unknown")
    if not notes or source != "loop":
        # LangGraph's own first step, which only takes the input apart, has no note.
        return {"kind": cast(Any, "start" if source == "loop" else source), "turn": turn, "summary": ""}
    if notes[0]["kind"] == "sub_call":
        answered = sum(note.get("answered", 0) for note in notes)
        return {"kind": "sub_call", "turn": turn, "summary": f"{answered} answered"}
    return notes[0]
