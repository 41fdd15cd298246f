"""The call journal: the record of every model request of a run, written before the graph receives the answer.

A row is opened before the request is sent (so that a killed process leaves "may have been billed" behind) and
settled when its outcome is known. A settled row is never paid for again (promise P2). What is spent is
the sum over the rows (promise P9). A request whose outcome is unknown, temporarily or permanently, is counted in the
row's `uncertain_…` columns with what was reserved for it, and moves into the others once the outcome is known.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from .blobs.texts import well_formed
from .call_records import (
    CALL_COLUMNS,
    REVIEWER,
    CallRow,
    Entry,
    Outcome,
    RecordedCall,
    call_row,
    read_row,
    unreadable_row,
)
from .db.checksums import checksum_mismatch_sql
from .db.connection import Database, Unit
from .db.corruption import Unreadable, rows_of
from .db.lineage import LINE
from .db.storable import ensure_storable
from .db.tables import CALLS
from .journal_rows import Row, correct_row, decide_row, open_child_row, open_row, place_row, reuse_row, settle_row
from .leases import Leases
from .reservations import Reservation


class Journal:
    """The journal of every run in one database. Writes are checked against the thread's lease (promise P4)."""

    def __init__(
        self, database: Database, clock: Callable[[], float] = time.time, leases: Leases | None = None
    ) -> None:
        """`leases` are those of this process; by default it holds none."""
        self._database = database
        self._clock = clock
        self._leases = leases or Leases(database, clock)

    async def of(self, thread_id: str) -> "ThreadJournal":
        """Return the thread's journal, with the settled rows of it and of the threads it was forked from in memory."""
        rows = await self._database.read(_SETTLED, (thread_id,))
        settled = {row[0]: RecordedCall(*row) for row in rows}
        old_keys = frozenset(key for [key] in await self._database.read(_OLD_KEYS, (thread_id,)))
        return ThreadJournal(self._database, self._leases, self._clock, thread_id, settled, old_keys)

    async def calls_of_turn(self, thread_id: str, turn: int) -> list[CallRow]:
        """Return the sub-calls of a turn's cell, one per key, including those of the threads it was forked from."""
        rows = await self._database.read(
            f"{LINE} SELECT {CALL_COLUMNS} FROM calls JOIN line USING (thread_id) WHERE turn = ? AND kind != 'root' "
            f"AND NOT ({checksum_mismatch_sql(CALLS)}) ORDER BY generation DESC, seq",
            (thread_id, turn),
        )
        return list({row[1]: call_row(row) for row in rows}.values())

    async def rows(self, thread_id: str, *, sub_calls_only: bool = True) -> list[CallRow]:
        """Return the thread's requests, oldest first; damaged ones as far as they can be read."""
        columns = f"{CALL_COLUMNS}, {checksum_mismatch_sql(CALLS)}"
        found = await self._database.look(lambda connection: list(rows_of(connection, CALLS, columns, thread_id)))
        rows = [unreadable_row(row) if isinstance(row, Unreadable) else read_row(row) for row in found]
        return [row for row in rows if row.damage or row.kind != "root" or not sub_calls_only]

    async def unfinished_child(self, thread_id: str, key: str) -> tuple[str, int] | None:
        """Return the child that an ancestor called under `key` and did not see end, with its horizon; None without any.

        An ancestor is a thread that this one was forked from; this one sees nothing of it behind the horizon.
        """
        rows = await self._database.read(
            f"{LINE} SELECT child_thread, horizon FROM calls JOIN line USING (thread_id) WHERE key = ? AND "
            f"generation > 0 AND child_thread IS NOT NULL AND NOT ({checksum_mismatch_sql(CALLS)}) "
            "ORDER BY generation LIMIT 1",
            (thread_id, key),
        )
        return rows[0] if rows else None


# The furthest ancestor first, so that a thread's own answers win.
_SETTLED = f"""
{LINE} SELECT key, answer, error_kind, error, thread_id, child_thread, kind, thoughts
FROM calls JOIN line USING (thread_id)
WHERE status != 'asked' AND coalesce(settled, 0) <= line.horizon AND NOT ({checksum_mismatch_sql(CALLS)})
ORDER BY generation DESC
"""


# Rows of earlier formats, whose keys name the model that answered.
_OLD_KEYS = f"""
{LINE} SELECT key FROM calls JOIN line USING (thread_id) WHERE request IS NULL
AND (status != 'asked' OR child_thread IS NOT NULL) AND coalesce(settled, 0) <= line.horizon
AND NOT ({checksum_mismatch_sql(CALLS)})
"""


class ThreadJournal:
    """One thread's journal. Lookups are in memory; writes are committed before they return.

    Writes raise LeaseLost when another process has taken the thread over: a request that the journal did not record is
    not sent, and the answers that the other process has recorded stay.
    """

    def __init__(
        self,
        database: Database,
        leases: Leases,
        clock: Callable[[], float],
        thread_id: str,
        settled: dict[str, RecordedCall],
        old_keys: frozenset[str] = frozenset(),
    ) -> None:
        self.old_keys = old_keys
        """Keys of rows of earlier formats."""
        self._database = database
        self._leases = leases
        self._clock = clock
        self._thread_id = thread_id
        self._settled: dict[str, RecordedCall] = {}
        self._by_turn: dict[str, set[str]] = {}
        for row in settled.values():
            self._remember(row)

    def _remember(self, row: RecordedCall) -> None:
        self._settled[row.key] = row
        turn, _, _ = row.key.partition(":")
        self._by_turn.setdefault(turn, set()).add(row.key)

    def now(self) -> float:
        """Return the seconds since 1970, as stamped on rows."""
        return self._clock()

    def find(self, key: str) -> RecordedCall | None:
        """Return the settled row under `key`, or None."""
        return self._settled.get(key)

    def of_turn(self, turn: int) -> frozenset[str]:
        """Return the keys of the settled sub-calls of a turn's cell that this thread itself has made."""
        root = f"{turn}:root:"
        return frozenset(
            key
            for key in self._by_turn.get(str(turn), ())
            if not key.startswith(root) and self._settled[key].thread_id == self._thread_id
        )

    async def open(self, entry: Entry) -> None:
        """Record that a request is about to be sent, again for each retry: reservations add up.

        A row that a killed process left open is taken over with its uncertain attempts. A power loss shortly afterwards
        may lose the row (and nothing else): an fsync here would cost as much as the call's own.
        """
        reserved = entry.reserved
        row = {
            **self._about(entry),
            "cost": None if reserved.cost is None else 0.0,
            **{"created": self._clock(), "uncertain_calls": 1},
            **_reservations(reserved, attempts=1),
        }
        await self._database.commit(self._writing(open_row, row), "call-asked", synced=False)

    async def open_child(self, entry: Entry, child_thread: str, alongside: Unit) -> None:
        """Record that a child thread is about to answer a call; its requests are in its own journal. On disk on return.

        `alongside` is done in the same transaction.
        """
        row = {**self._about(entry), "child_thread": child_thread, "created": self._clock()}

        def write(connection: sqlite3.Connection, row: Row) -> None:
            alongside(connection)
            open_child_row(connection, row)

        await self._database.commit(self._writing(write, row), "child-asked")

    async def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Record the outcome; when this returns, it is on disk and will be served on replay.

        Only attempts of *this* process are settled: an attempt that a killed process had under way stays uncertain.
        """
        row = {
            **self._about(entry),
            **_outcome(outcome),
            **{"seconds": outcome.seconds, "thoughts": outcome.thoughts, "places": outcome.places},
            **_used(entry, outcome),
        }
        await self._database.commit(self._writing(settle_row, row), "call-settled")
        self._remember(
            RecordedCall(
                *(entry.key, outcome.answer, outcome.error_kind, outcome.error, self._thread_id, None),
                *(entry.kind, outcome.thoughts),
            )
        )

    async def decide(self, entry: Entry, outcome: Outcome) -> None:
        """Record what a reviewer decided about a call that was never sent; on disk on return."""
        row = {**self._about(entry), "model": REVIEWER, **_outcome(outcome), "created": self._clock()}
        await self._database.commit(self._writing(decide_row, row), "call-decided")
        self._remember(RecordedCall(entry.key, outcome.answer, outcome.error_kind, outcome.error, self._thread_id))

    async def correct(self, entry: Entry, outcome: Outcome) -> None:
        """Record what requests took that gave no answer and will be sent again: the row stays open."""
        row = {**self._about(entry), **_used(entry, outcome)}
        await self._database.commit(self._writing(correct_row, row), "call-corrected")

    def place(self, key: str, places: str) -> None:
        """Record the parts of the input that a settled request held; saved with the next commit."""
        row = {"thread_id": self._thread_id, "key": key, "places": places}
        self._database.defer(self._writing(place_row, row))

    def reuse(self, key: str) -> None:
        """Count that a recorded answer was served instead of a request; saved with the next commit.

        An answer of a thread that this one was forked from becomes an answer of this one too; it was paid for there.
        """
        call = self._settled[key]
        self._remember(replace(call, thread_id=self._thread_id))
        row = {"thread_id": self._thread_id, "key": key, "owner": call.thread_id, "created": self._clock()}
        self._database.defer(self._writing(reuse_row, row))

    def _about(self, entry: Entry) -> dict[str, Any]:
        return {
            **{"thread_id": self._thread_id, "key": entry.key, "kind": entry.kind, "turn": entry.turn},
            **{"depth": entry.depth, "model": entry.model, "prompt": entry.prompt, "request": entry.request},
            **{"parameters": _json(entry.parameters), "queued": entry.queued, "line": entry.line},
            "messages": json.dumps(entry.messages) if entry.messages else None,
        }

    def _writing(self, write: Callable[[sqlite3.Connection, Row], None], row: Row) -> Unit:
        """Return the unit that writes a row, unless another process has the thread or a text of the row is unsaved.

        Raises StoreError for a row that cannot be stored.
        """
        ensure_storable(row, f"The call {row['key']}")
        texts = [row.get(name) for name in CALLS.referring]

        def unit(connection: sqlite3.Connection) -> None:
            self._leases.check(connection, self._thread_id)
            self._database.unsaved.check(connection, *texts)
            write(connection, row)

        return unit


def _json(parameters: Mapping[str, Any]) -> str | None:
    return json.dumps(parameters) if parameters else None


def _outcome(outcome: Outcome) -> Row:
    return {
        **{"status": outcome.status, "answer": outcome.answer},
        # Servers say what they like; keys and hashes are made here.
        **{"error_kind": outcome.error_kind, "error": None if outcome.error is None else well_formed(outcome.error)},
    }


def _used(entry: Entry, outcome: Outcome) -> Row:
    """Return what was used, and the reservations of attempts no longer uncertain (`correct_row`)."""
    ended = outcome.known + outcome.unsent
    return {
        **{"input_tokens": outcome.input_tokens, "output_tokens": outcome.output_tokens, "cost": outcome.cost},
        **{"unsent": outcome.unsent, "ended": ended, "cached_tokens": outcome.details.cached_tokens},
        **{"cache_write_tokens": outcome.details.cache_write_tokens, "thought_tokens": outcome.details.thought_tokens},
        **{"streamed_calls": outcome.streamed_calls, "streamed_output": outcome.streamed_output},
        "attempt_log": "".join(f"{json.dumps(attempt, allow_nan=False)}\n" for attempt in outcome.attempts),
        **_reservations(entry.reserved, attempts=ended),
    }


def _reservations(reserved: Reservation, *, attempts: int) -> Row:
    cost, input_cost = (
        None if dollars is None else dollars * attempts for dollars in (reserved.cost, reserved.input_cost)
    )
    return {
        "uncertain_input": reserved.sent_tokens * attempts,
        "uncertain_output": reserved.output_tokens * attempts,
        "uncertain_tokens": (reserved.input_tokens + reserved.output_tokens) * attempts,
        "uncertain_cost": cost,
        "uncertain_input_cost": input_cost,
    }


def give_answer(
    connection: sqlite3.Connection, thread_id: str, call: CallRow, answer: str, *, settled: int, now: float
) -> None:
    """Record the answer (a text's hash) that a reviewer gives to `call`, inside a transaction. It costs nothing.

    It takes precedence over the answers of the threads that this one was forked from.
    """
    row = {
        **{"thread_id": thread_id, "key": call.key, "kind": call.kind, "turn": call.turn, "depth": call.depth},
        **{"model": REVIEWER, "prompt": call.prompt, "status": "answered", "answer": answer, "cost": 0.0},
        **{"created": now, "settled": settled, "request": "", "parameters": _json(call.parameters)},
    }
    connection.execute(CALLS.insert(*row), row)
