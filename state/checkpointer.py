"""The checkpointer: LangGraph's SQLite saver with group commit, leases, step numbers and checksums.

A checkpoint, its step number and the check of the lease are one transaction. Steps are
numbered as they are saved: order never depends on a clock (promise P6). Rows are checked before they are
loaded (promise P5).
"""

import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
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
from .db.storable import ensure_storable
from .db.tables import CHECKPOINTS, STEPS, WRITES, Verb
from .errors import StoreError, UnknownThread, UsageError
from .executions import end_execution
from .leases import Leases
from .maintenance.delete import delete_run
from .maintenance.prune import OWNED, copy_steps, keep_latest, roll_back
from .run_state import Status, StepNote
from .turn_making import SavedAs, last_step, write_turn

_NEXT_STEP = "SELECT coalesce(max(step), 0) + 1 FROM steps WHERE thread_id = ?"
_SETTLED = "SELECT value FROM counters WHERE name = 'settled'"

_ENDED: tuple[Status, ...] = ("answered", "budget")
_STEP = (
    "(SELECT step FROM steps WHERE steps.thread_id = checkpoints.thread_id "
    "AND steps.checkpoint_id = checkpoints.checkpoint_id)"
)


class RunSaver(AsyncSqliteSaver):
    """A checkpointer that passes LangGraph's conformance suite; it loads only what the strict serializer allows."""

    def __init__(self, database: Database, leases: Leases, clock: Callable[[], float] = time.time) -> None:
        # allowed_msgpack_modules=None: only the safe built-in types are rebuilt from the file.
        super().__init__(database.connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        self.lock = database.lock
        self._database = database
        self._leases = leases
        self._clock = clock

    @property
    def parts(self) -> tuple[Database, Leases, Callable[[], float]]:
        """The arguments for another saver over the same file."""
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
        kind, body = self._dumped(checkpoint, f"A step of the run {thread_id}")
        about = json.dumps(get_checkpoint_metadata(config, metadata), ensure_ascii=False).encode("utf-8", "ignore")
        row = {
            **_place(thread_id, namespace, checkpoint["id"]),
            **{"parent_checkpoint_id": place.get("checkpoint_id"), "type": kind, "checkpoint": body},
            "metadata": about,
        }
        note = _step_note(checkpoint, metadata)
        ensure_storable({**row, **note}, f"A step of the run {thread_id}")
        # From this commit on the run counts as ended, whatever happens to its process.
        status = checkpoint.get("channel_values", {}).get("status")
        ended = status if status in _ENDED else None
        note_of_end = checkpoint.get("channel_values", {}).get("note") if ended else None
        now = self._clock()
        step = SavedAs(checkpoint["id"], place.get("checkpoint_id"), note["turn"], now, checkpoint["channel_values"])
        leading_here = _writes_after(thread_id, namespace, str(place.get("checkpoint_id")))

        def unit(connection: sqlite3.Connection) -> None:
            self._leases.check(connection, thread_id)
            self._database.unsaved.check(connection, body)
            self._database.unsaved.check_beginning(leading_here)
            connection.execute(CHECKPOINTS.insert(*row, verb="INSERT OR REPLACE"), row)
            if not namespace:
                follows = last_step(connection, thread_id)
                _number(connection, thread_id, checkpoint["id"], note, now)
                entered = connection.execute(
                    "UPDATE threads SET turns = max(turns, ?), status = coalesce(?, status), updated = ? "
                    "WHERE thread_id = ?",
                    (note["turn"], ended, now, thread_id),
                )
                # Other threads are of graphs of which nothing is known.
                if entered.rowcount:
                    if ended:
                        end_execution(connection, thread_id, ended, now, note_of_end)
                    write_turn(connection, self.serde, thread_id, step, follows)

        await self._save(unit, "checkpoint")
        return {"configurable": _place(thread_id, namespace, checkpoint["id"])}

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save the writes of one task, with the step that it leads to.

        They are on disk no later than that step, which LangGraph saves next. Writes that no step follows (an interrupt,
        an error, a reviewer's answer) are on disk when this returns.

        Of a task that failed or was cancelled only those are saved. LangGraph also passes what the task had written
        until then, and on resume would take it for the task's complete output: cancelled between a node and its route,
        the run would silently end there.
        """
        await self.setup()
        if any(channel == ERROR for channel, _ in writes):
            writes = [write for write in writes if write[0] in WRITES_IDX_MAP]
        place = config.get("configurable", {})
        named = (str(place["thread_id"]), str(place.get("checkpoint_ns", "")), str(place["checkpoint_id"]))
        rows = [
            {
                **_place(*named),
                **{"task_id": task_id, "task_path": task_path, "idx": WRITES_IDX_MAP.get(channel, index)},
                "channel": channel,
                **dict(zip(("type", "value"), self._dumped(value, "What a task wrote"), strict=True)),
            }
            for index, (channel, value) in enumerate(writes)
        ]
        for row in rows:
            ensure_storable(row, f"What a task of the run {named[0]} wrote")
        # LangGraph's special channels (errors, interrupts) are replaced, ordinary writes never.
        special = all(channel in WRITES_IDX_MAP for channel, _ in writes)
        verb: Verb = "INSERT OR REPLACE" if special else "INSERT OR IGNORE"

        def unit(connection: sqlite3.Connection) -> None:
            self._leases.check(connection, named[0])
            self._database.unsaved.check(connection, *(row["value"] for row in rows))
            if rows:
                connection.executemany(WRITES.insert(*rows[0], verb=verb), rows)

        # When the process is killed before the step is saved, the task runs again, as if killed before its end.
        # LangGraph passes the writes to growing lists before it puts their checkpoint.
        if any(channel in WRITES_IDX_MAP for channel, _ in writes):
            await self._save(unit, "writes")
        else:
            self._save_later(unit, f"{_writes_after(*named)}{task_id}")

    def _dumped(self, value: Any, what: str) -> tuple[str, bytes]:
        """Return a value's type and bytes. Raises StoreError for one that LangGraph's serializer cannot write."""
        try:
            return self.serde.dumps_typed(value)
        except Exception as error:
            raise StoreError(
                f"{what} cannot be saved: {error}.", hint="A value in it is too large, or of an unknown type."
            ) from error

    async def _save(self, unit: Unit, what: str) -> None:
        await self._database.commit(unit, what)

    def _save_later(self, unit: Unit, name: str) -> None:
        self._database.defer(unit, saves=[name])

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that `config` names, else the one saved last. Raises StoredDataDamaged."""
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
        """Yield the matching checkpoints; of one thread, the one saved last first. Raises StoredDataDamaged."""
        await self.setup()
        for place in await self._database.read(*_wanted(config, filter, before, limit)):
            if found := await self.aget_tuple({"configurable": _place(*place)}):
                yield found

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return the writes from which the growing lists of a checkpoint are rebuilt. Raises StoredDataDamaged."""
        place = config.get("configurable", {})
        await self._database.catch_up()
        if channels and (checkpoint_id := get_checkpoint_id(config)):
            named = (str(place["thread_id"]), str(place.get("checkpoint_ns", "")), checkpoint_id)
            await self._database.look(lambda connection: check_line(connection, self.serde, named, channels))
        return await super().aget_delta_channel_history(config=config, channels=channels)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread as `rlm delete` does. Raises RunBusy while it is running."""
        await self.setup()
        with contextlib.suppress(UnknownThread):
            await self._database.commit(lambda connection: delete_run(connection, self._leases, str(thread_id)))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Take back what these runs of a server did: their steps, and a thread that has no other ones.

        What they paid stays in the journal of a thread that stays. Raises RunBusy while such a thread is running.
        """
        await self.setup()
        await self._database.catch_up()
        named = json.dumps([str(one) for one in run_ids])
        for (thread_id,) in await self._database.read(OWNED, (named,)):
            taking_back = partial(roll_back, leases=self._leases, serde=self.serde, thread_id=thread_id, run_ids=named)
            await self._database.commit(taking_back)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy the steps of a thread that is not in the index of runs. Raises ThreadExists, UsageError for a run."""
        await self.setup()
        source, target = str(source_thread_id), str(target_thread_id)
        if await self._database.read("SELECT 1 FROM threads WHERE thread_id = ?", (source,)):
            raise UsageError(f"{source} is a run, which is not copied by its steps alone.", hint="Fork it.")
        await self._database.commit(lambda connection: copy_steps(connection, self._leases, source, target))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete threads (`delete`), or all of their steps from which the last state is not rebuilt (`keep_latest`).

        Raises UsageError for another strategy, RunBusy while one of them is running.
        """
        if strategy not in ("delete", "keep_latest"):
            raise UsageError(f"There is no strategy {strategy}.", hint="There are keep_latest and delete.")
        for thread_id in map(str, thread_ids):
            if strategy == "delete":
                await self.adelete_thread(thread_id)
            else:
                await self.setup()
                keeping = partial(keep_latest, leases=self._leases, serde=self.serde, thread_id=thread_id)
                await self._database.commit(keeping)


class StagedSaver(RunSaver):
    """Shows a thread as a copy of another one's history up to a checkpoint, before the copy exists.

    It commits nothing: the saves for the copy are collected in `units`, to be run in the transaction that creates it.
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

    async def _save(self, unit: Unit, what: str) -> None:
        self.units.append(unit)

    def _save_later(self, unit: Unit, name: str) -> None:
        self.units.append(unit)

    def _there(self, config: RunnableConfig) -> RunnableConfig:
        place = config.get("configurable", {})
        named = {**place, "checkpoint_id": place.get("checkpoint_id") or self._checkpoint_id}
        return {"configurable": {**named, "thread_id": self._source}}

    def _here(self, config: RunnableConfig) -> RunnableConfig:
        return {"configurable": {**config.get("configurable", {}), "thread_id": self._copy}}


def _place(thread_id: str, namespace: str, checkpoint_id: str) -> dict[str, str]:
    return {"thread_id": thread_id, "checkpoint_ns": namespace, "checkpoint_id": checkpoint_id}


def _writes_after(thread_id: str, namespace: str, checkpoint_id: str) -> str:
    """Return the beginning of the names, in `Unsaved`, of the writes of tasks that ran after a checkpoint."""
    return f"writes after {thread_id} {namespace} {checkpoint_id} of "


def _number(connection: sqlite3.Connection, thread_id: str, checkpoint_id: str, note: StepNote, now: float) -> None:
    """Give the checkpoint the thread's next step number, unless it has one."""
    step = {
        **{"thread_id": thread_id, "step": connection.execute(_NEXT_STEP, (thread_id,)).fetchone()[0]},
        **{"checkpoint_id": checkpoint_id, "kind": note["kind"], "turn": note["turn"], "summary": note["summary"]},
        **{"created": now, "settled": connection.execute(_SETTLED).fetchone()[0]},
    }
    connection.execute(STEPS.insert(*step, verb="INSERT OR IGNORE"), step)


def _wanted(
    config: RunnableConfig | None, filter: dict[str, Any] | None, before: RunnableConfig | None, limit: int | None
) -> tuple[str, tuple[Any, ...]]:
    """Return the query for the ids of checkpoints, and its parameters."""
    where, found = search_where(config, filter)
    parameters = [*found]
    # Checkpoint ids are in order of creation only as long as the clock is not set back.
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
    """Return the nodes' own note for this checkpoint, else one from LangGraph's metadata."""
    values = checkpoint.get("channel_values", {})
    # Another graph may mean something else by this name.
    noted = values.get("step")
    notes = cast(list[StepNote], noted) if isinstance(noted, list) else []
    turn = values.get("turn")
    turn = turn if isinstance(turn, int) else 0
    source = metadata.get("source", "unknown")
    edited = source == "update" and bool(notes) and notes[0]["kind"] == "edit"
    if not notes or not (source == "loop" or edited):
        # LangGraph's own first step, which only distributes the input, has no note.
        return {"kind": cast(Any, "start" if source == "loop" else source), "turn": turn, "summary": ""}
    if notes[0]["kind"] == "sub_call":
        answered = sum(note.get("answered", 0) for note in notes)
        return {"kind": "sub_call", "turn": turn, "summary": f"{answered} answered"}
    return notes[0]
