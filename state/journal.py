"""The call journal: every model request of a run, written before the graph hears of its answer.

A row is opened before the request leaves (so that a kill leaves "may have been billed" behind) and
settled when its outcome is known. A settled row is never paid for again (promise P2). What is spent is
the sum over the rows, an open one counting with what was reserved for it (promise P9).
"""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from .database import Database, Unit
from .leases import Leases
from .lines import LINE
from .salvage import Unreadable, rows_of
from .seal import broken

RequestKind = Literal["root", "llm", "rlm"]
CallStatus = Literal["asked", "answered", "failed"]


@dataclass(frozen=True)
class Entry:
    """What is known of a request before it is sent. Token counts and cost are what is reserved for it."""

    key: str
    kind: RequestKind
    turn: int
    depth: int
    model: str
    prompt: str
    input_tokens: int
    output_tokens: int
    cost: float | None


@dataclass(frozen=True)
class Outcome:
    """What came of a request: `answer` is the hash of a text, or `error_kind` and `error` say why not.

    With an answer, `error_kind` says what is wrong with it.
    """

    answer: str | None = None
    error_kind: str | None = None
    error: str | None = None
    attempts: int = 1
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    seconds: float = 0.0

    @property
    def status(self) -> CallStatus:
        return "answered" if self.answer is not None else "failed"


@dataclass(frozen=True)
class Recorded:
    """A settled row, as replay needs it."""

    key: str
    answer: str | None
    error_kind: str | None
    error: str | None
    thread_id: str = ""
    """Whose row it is: the thread's own, or that of one it was forked from."""
    child_thread: str | None = None
    """The run that gave the answer, when a run did, as it was when the journal was opened."""


@dataclass(frozen=True)
class CallRow:
    """One row, as `rlm calls` shows it. `prompt` and `answer` are hashes of texts."""

    seq: int
    key: str
    kind: RequestKind
    turn: int
    depth: int
    model: str
    prompt: str
    status: CallStatus
    answer: str | None
    error: str | None
    tokens: int
    seconds: float
    reused: int
    child_thread: str | None
    damage: str | None = None
    """Why the row is not what was saved; what it says is then for showing only."""


PERSON = "person"
"""The model of a call whose answer a person gave."""


class Journal:
    """The journal of every run in one database. What is written is checked against the thread's lease (promise P4)."""

    def __init__(
        self, database: Database, clock: Callable[[], float] = time.time, leases: Leases | None = None
    ) -> None:
        """`leases` are those of this process; without them, it holds none."""
        self._database = database
        self._clock = clock
        self._leases = leases or Leases(database, clock)

    async def of(self, thread_id: str) -> "ThreadJournal":
        """The journal of one thread, its settled rows in memory, with those of the threads it was forked from."""
        rows = await self._database.read(_SETTLED, (thread_id,))
        settled = {row[0]: Recorded(*row) for row in rows}
        return ThreadJournal(self._database, self._leases, self._clock, thread_id, settled)

    async def calls_of_turn(self, thread_id: str, turn: int) -> list[CallRow]:
        """The sub-calls of a turn's cell, those of the threads that this one was forked from included, by key."""
        rows = await self._database.read(
            f"{LINE} SELECT {_ROW} FROM calls JOIN line USING (thread_id) WHERE turn = ? AND kind != 'root' "
            f"AND NOT ({broken('calls')}) ORDER BY generation DESC, seq",
            (thread_id, turn),
        )
        return list({row[1]: CallRow(*row) for row in rows}.values())

    async def rows(self, thread_id: str, *, sub_calls_only: bool = True) -> list[CallRow]:
        """The thread's requests, oldest first; a damaged one as far as it can be read."""
        columns = f"{_ROW}, {broken('calls')}"
        found = await self._database.look(lambda connection: list(rows_of(connection, "calls", columns, thread_id)))
        rows = [_unreadable(row) if isinstance(row, Unreadable) else _call(row) for row in found]
        return [row for row in rows if row.damage or row.kind != "root" or not sub_calls_only]

    async def unfinished_child(self, thread_id: str, key: str) -> tuple[str, int] | None:
        """The child that one of the threads which this one was forked from has called under `key`, and not seen end.

        With it the horizon behind which nothing of it is to be seen.
        """
        rows = await self._database.read(
            f"{LINE} SELECT child_thread, horizon FROM calls JOIN line USING (thread_id) WHERE key = ? AND "
            f"generation > 0 AND child_thread IS NOT NULL AND NOT ({broken('calls')}) ORDER BY generation LIMIT 1",
            (thread_id, key),
        )
        return rows[0] if rows else None


_ROW = (
    "seq, key, kind, turn, depth, model, prompt, status, answer, error, input_tokens + output_tokens, seconds, "
    "reused, child_thread"
)

# The furthest ancestor first, so that a thread's own answers win.
_SETTLED = f"""
{LINE} SELECT key, answer, error_kind, error, thread_id, child_thread FROM calls JOIN line USING (thread_id)
WHERE status != 'asked' AND coalesce(settled, 0) <= line.horizon AND NOT ({broken("calls")})
ORDER BY generation DESC
"""


def _call(row: tuple[Any, ...]) -> CallRow:
    *values, damaged = row
    if not damaged:
        return CallRow(*values)
    seq, key, kind, turn, _, model, prompt, _, answer, *_ = values
    return replace(
        _unreadable(Unreadable(seq, (key,), "it has changed on disk")),
        kind="rlm" if kind == "rlm" else "llm",
        turn=turn if isinstance(turn, int) else 0,
        model=str(model),
        prompt=str(prompt),
        answer=None if answer is None else str(answer),
    )


def _unreadable(row: Unreadable) -> CallRow:
    """What is known of a request whose row cannot be read."""
    damage = f"the record of this call is damaged: {row.why}"
    return CallRow(row.rowid, str(row.key[0]), "llm", 0, 0, "", "", "failed", None, None, 0, 0.0, 0, None, damage)


class ThreadJournal:
    """One thread's journal. Lookups are in memory; writes are committed before they return.

    They raise LeaseLost when another process has taken the thread over: what it does not know of is not asked,
    and the answers that it has recorded stay.
    """

    def __init__(
        self,
        database: Database,
        leases: Leases,
        clock: Callable[[], float],
        thread_id: str,
        settled: dict[str, Recorded],
    ) -> None:
        self._database = database
        self._leases = leases
        self._clock = clock
        self._thread_id = thread_id
        self._settled: dict[str, Recorded] = {}
        self._by_turn: dict[str, set[str]] = {}
        for row in settled.values():
            self._remember(row)

    def _remember(self, row: Recorded) -> None:
        self._settled[row.key] = row
        turn, _, _ = row.key.partition(":")
        self._by_turn.setdefault(turn, set()).add(row.key)

    def find(self, key: str) -> Recorded | None:
        """The settled row under `key`, if there is one."""
        return self._settled.get(key)

    def of_turn(self, turn: int) -> frozenset[str]:
        """Keys of the settled sub-calls of a turn's cell that this thread itself has made."""
        root = f"{turn}:root:"
        return frozenset(
            key
            for key in self._by_turn.get(str(turn), ())
            if not key.startswith(root) and self._settled[key].thread_id == self._thread_id
        )

    async def open(self, entry: Entry) -> None:
        """Record that a request is about to be sent, again for each retry: reservations add up.

        A row that a killed process left open is taken over, what it had reserved with it. A power loss within
        moments may take the row with it (and nothing else): the fsync that this would cost is the call's own.
        """
        row = (
            *(self._thread_id, entry.key, entry.kind, entry.turn, entry.depth, entry.model, entry.prompt),
            *(entry.input_tokens, entry.output_tokens, entry.cost, self._clock()),
        )
        await self._database.commit(self._fenced(lambda connection: _open(connection, row)), "call-asked", synced=False)

    async def open_child(self, entry: Entry, child_thread: str, alongside: Unit) -> None:
        """Record that a child thread is about to answer a call; its requests are in its own journal. On disk on return.

        `alongside` is done in the same transaction.
        """
        row = (
            *(self._thread_id, entry.key, entry.kind, entry.turn, entry.depth, entry.model, entry.prompt),
            *(child_thread, self._clock()),
        )

        def unit(connection: sqlite3.Connection) -> None:
            alongside(connection)
            _open_child(connection, row)

        await self._database.commit(self._fenced(unit), "child-asked")

    async def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Record the outcome; when this returns, it is on disk and will be served on replay.

        Of the row's sums, only what *this* process reserved becomes what was used: a request that a
        killed process had under way stays counted.
        """
        row = (
            *(outcome.status, outcome.answer, outcome.error_kind, outcome.error),
            *_used(entry, outcome),
            *(outcome.seconds, self._thread_id, entry.key),
        )
        await self._database.commit(self._fenced(lambda connection: _settle(connection, row)), "call-settled")
        self._remember(Recorded(entry.key, outcome.answer, outcome.error_kind, outcome.error, self._thread_id))

    async def decide(self, entry: Entry, outcome: Outcome) -> None:
        """Record what a person decided about a call that was never sent; on disk when this returns."""
        row = (
            *(self._thread_id, entry.key, entry.kind, entry.turn, entry.depth, PERSON, entry.prompt),
            *(outcome.status, outcome.answer, outcome.error_kind, outcome.error, self._clock()),
        )
        await self._database.commit(self._fenced(lambda connection: _decide(connection, row)), "call-decided")
        self._remember(Recorded(entry.key, outcome.answer, outcome.error_kind, outcome.error, self._thread_id))

    async def correct(self, entry: Entry, outcome: Outcome, *, not_sent: int = 0) -> None:
        """Record what requests have taken that gave no answer, and are to be sent anew: the row stays open.

        `not_sent`: how many of them have reached no server, and are taken back.
        """
        row = (not_sent, *_used(entry, outcome), self._thread_id, entry.key)
        await self._database.commit(self._fenced(lambda connection: _correct(connection, row)), "call-corrected")

    def reuse(self, key: str) -> None:
        """Count that a recorded answer was served instead of a request; saved with the next commit.

        One of a thread that this one was forked from becomes an answer of this one too, paid for there.
        """
        row, now = self._settled[key], self._clock()
        self._remember(replace(row, thread_id=self._thread_id))
        self._database.defer(
            self._fenced(lambda connection: _reuse(connection, self._thread_id, key, row.thread_id, now))
        )

    def _fenced(self, unit: Unit) -> Unit:
        def checked(connection: sqlite3.Connection) -> None:
            self._leases.check(connection, self._thread_id)
            unit(connection)

        return checked


def _open(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    # A damaged row makes place for a sound one: nothing that it says can be relied on, but that it was asked.
    damaged = connection.execute(
        f"DELETE FROM calls WHERE thread_id = ? AND key = ? AND {broken('calls')}", row[:2]
    ).rowcount
    connection.execute(
        "INSERT INTO calls (thread_id, key, kind, turn, depth, model, prompt, status, input_tokens, output_tokens, "
        "cost, created, attempts) VALUES (?, ?, ?, ?, ?, ?, ?, 'asked', ?, ?, ?, ?, ?) "
        "ON CONFLICT (thread_id, key) DO UPDATE SET attempts = attempts + 1, "
        "input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens, "
        "cost = cost + excluded.cost",
        (*row, 1 + damaged),
    )


def _open_child(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    connection.execute(f"DELETE FROM calls WHERE thread_id = ? AND key = ? AND {broken('calls')}", row[:2])
    connection.execute(
        "INSERT INTO calls (thread_id, key, kind, turn, depth, model, prompt, status, cost, child_thread, created) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, 'asked', 0.0, ?, ?) ON CONFLICT (thread_id, key) DO NOTHING",
        row,
    )


def _settle(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    now_settled = _count_settled(connection)
    connection.execute(
        "UPDATE calls SET settled = ?, status = ?, answer = ?, error_kind = ?, error = ?, "
        "input_tokens = input_tokens + ?, output_tokens = output_tokens + ?, cost = cost + ?, seconds = ? "
        "WHERE thread_id = ? AND key = ?",
        (now_settled, *row),
    )


def _decide(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    settled = _count_settled(connection)
    connection.execute(f"DELETE FROM calls WHERE thread_id = ? AND key = ? AND {broken('calls')}", row[:2])
    # A row that is there was asked before, and may have been billed: what it counts stays.
    connection.execute(
        "INSERT INTO calls (thread_id, key, kind, turn, depth, model, prompt, status, answer, error_kind, error, "
        "created, cost, settled) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0.0, ?) ON CONFLICT (thread_id, key) "
        "DO UPDATE SET model = excluded.model, status = excluded.status, answer = excluded.answer, "
        "error_kind = excluded.error_kind, error = excluded.error, settled = excluded.settled",
        (*row, settled),
    )


def _correct(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    connection.execute(
        "UPDATE calls SET attempts = attempts - ?, input_tokens = input_tokens + ?, output_tokens = output_tokens + ?, "
        "cost = cost + ? WHERE thread_id = ? AND key = ?",
        row,
    )


def _used(entry: Entry, outcome: Outcome) -> tuple[int, int, float | None]:
    """What the attempts have taken more than was reserved for them."""
    cost = None if outcome.cost is None or entry.cost is None else outcome.cost - entry.cost * outcome.attempts
    return (
        outcome.input_tokens - entry.input_tokens * outcome.attempts,
        outcome.output_tokens - entry.output_tokens * outcome.attempts,
        cost,
    )


def _count_settled(connection: sqlite3.Connection) -> int:
    connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'settled'")
    return int(connection.execute("SELECT value FROM counters WHERE name = 'settled'").fetchone()[0])


def _reuse(connection: sqlite3.Connection, thread_id: str, key: str, owner: str, now: float) -> None:
    own = connection.execute("UPDATE calls SET reused = reused + 1 WHERE thread_id = ? AND key = ?", (thread_id, key))
    if own.rowcount == 0:
        connection.execute(
            "INSERT INTO calls (thread_id, key, kind, turn, depth, model, prompt, status, answer, error_kind, error, "
            "cost, reused, child_thread, created, settled) SELECT ?, key, kind, turn, depth, model, prompt, status, "
            "answer, error_kind, error, 0.0, 1, child_thread, ?, ? FROM calls WHERE thread_id = ? AND key = ? "
            f"AND NOT ({broken('calls')})",
            (thread_id, now, _count_settled(connection), owner, key),
        )


def give_answer(
    connection: sqlite3.Connection, thread_id: str, call: CallRow, answer: str, *, settled: int, now: float
) -> None:
    """Inside a transaction: record the answer (a text's hash) that a person gives to `call`. Nothing is paid for it.

    It wins over the answers of the threads that this one was forked from.
    """
    connection.execute(
        "INSERT INTO calls (thread_id, key, kind, turn, depth, model, prompt, status, answer, cost, created, settled) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, 'answered', ?, 0.0, ?, ?)",
        (thread_id, call.key, call.kind, call.turn, call.depth, PERSON, call.prompt, answer, now, settled),
    )
