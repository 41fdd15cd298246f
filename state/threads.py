"""The index of runs: one row per thread, for `rlm list` and to tell a resume from a new run."""

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast, get_args

from .budget import Limits
from .db.checksums import checksum_mismatch_sql
from .db.connection import Database, Unit
from .db.corruption import from_both_ends
from .db.lineage import BELOW
from .db.storable import ensure_storable
from .db.tables import STEPS, THREADS
from .errors import StoredDataDamaged, ThreadExists, UnknownThread, cli_command
from .executions import begin_execution, end_execution
from .leases import Leases
from .records import Status


@dataclass(frozen=True)
class Thread:
    """One run in the index. `seconds` is its wall time, all executions together."""

    thread_id: str
    question: str
    input: str
    """A digest of the input that was given: the same digest means the same run."""
    start: dict[str, Any]
    """The graph's initial input, for a run that was killed before its first checkpoint."""
    model: str
    parent: str | None
    limits: Limits
    status: Status
    error: dict[str, Any] | None
    turns: int
    seconds: float
    created: float
    updated: float
    caller: str | None = None
    """The run that made the call which this run answers."""
    call: str | None = None
    """The key of that call."""
    depth: int = 0
    """The number of runs above it."""
    damaged: bool = False
    """True when the row is not what was saved. The other fields are then for display only."""


@dataclass(frozen=True)
class Step:
    """One saved step. `created` is seconds since 1970."""

    step: int
    checkpoint_id: str
    kind: str
    turn: int
    summary: str
    created: float
    settled: int = 0
    """The number of calls in the whole file that had been settled by then."""


DELETED = "deleted"
"""The status of what remains of a deleted run for its forks (`maintenance/delete.py`): no longer a run."""


def _unless_deleted(name: str) -> str:
    return (
        f"CASE WHEN EXISTS (SELECT 1 FROM threads other WHERE other.thread_id = {name} AND other.status = '{DELETED}') "
        f"THEN NULL ELSE {name} END"
    )


def _of_child(column: str) -> str:
    return f"(SELECT {column} FROM children WHERE children.thread_id = threads.thread_id)"


SELECT_RUN = (
    f"SELECT thread_id, question, input, start, model, {_unless_deleted('threads.parent')}, limits, status, error, "
    f"turns, seconds, created, updated, {_of_child(_unless_deleted('caller'))}, {_of_child('call')}, "
    f"coalesce({_of_child('depth')}, 0), {checksum_mismatch_sql(THREADS)} FROM threads WHERE status != '{DELETED}'"
)
_LAST_TOUCHED = (
    f"{SELECT_RUN} AND thread_id NOT IN (SELECT thread_id FROM children) ORDER BY updated DESC, created DESC LIMIT 1"
)
# The run at the top of a thread's tree. Damaged rows may form a cycle of callers: the height then ends the recursion.
TOP = f"""
WITH RECURSIVE above (thread_id, height) AS (
    SELECT ?, 0 UNION SELECT caller, height + 1 FROM children JOIN above USING (thread_id)
    WHERE height < (SELECT count(*) FROM children)
    AND NOT EXISTS (SELECT 1 FROM threads WHERE threads.thread_id = caller AND status = '{DELETED}')
)
SELECT thread_id FROM above ORDER BY height DESC LIMIT 1
"""
_NAMES = f"SELECT thread_id FROM threads WHERE status != '{DELETED}'"
_LATEST = 253_402_300_800.0
"""The end of the year 9999: no later time can be shown."""
_STEPS = (
    f"SELECT step, checkpoint_id, kind, turn, summary, created, settled, {checksum_mismatch_sql(STEPS)} "
    "FROM steps WHERE thread_id = ?"
)


_BESIDE = (
    "SELECT (SELECT max(step) FROM steps WHERE thread_id = ? AND step < ?), "
    "(SELECT min(step) FROM steps WHERE thread_id = ? AND step > ?)"
)


class Threads:
    """Reads and writes the index."""

    def __init__(
        self, database: Database, clock: Callable[[], float] = time.time, leases: Leases | None = None
    ) -> None:
        """`leases` are those of this process; by default it holds none."""
        self._database = database
        self._clock = clock
        self._leases = leases or Leases(database, clock)

    def now(self) -> float:
        """Return the seconds since 1970, as stamped on rows."""
        return self._clock()

    async def add(self, thread_id: str, **facts: Any) -> None:
        """Add a new run, with the facts that `entering` takes. Raises ThreadExists when the name is taken."""
        await self._database.commit(self.entering(thread_id, **facts), "thread")

    def entering(
        self,
        thread_id: str,
        *,
        question: str,
        input_digest: str,
        start: dict[str, Any],
        model: str,
        limits: Limits,
        parent: str | None = None,
        seconds: float = 0.0,
    ) -> Unit:
        """Return the unit that adds a new run to the index. The unit raises ThreadExists when the name is taken.

        `seconds`: the time that reading its input took.
        """
        now = self._clock()
        row = {
            **{"thread_id": thread_id, "question": question, "input": input_digest, "start": json.dumps(start)},
            **{"model": model, "parent": parent, "limits": limits.model_dump_json(), "status": "running"},
            **{"created": now, "updated": now, "seconds": seconds},
        }
        ensure_storable(row, "The run")

        def unit(connection: sqlite3.Connection) -> None:
            try:
                connection.execute(THREADS.insert(*row), row)
            except sqlite3.IntegrityError:
                raise ThreadExists(f"A run named {thread_id} exists already.") from None

        return unit

    async def get(self, thread_id: str) -> Thread:
        """Return the run's row. Raises UnknownThread, StoredDataDamaged."""
        row = await self.look(thread_id)
        if row.damaged:
            verify, show = cli_command("verify", thread_id), cli_command("show", thread_id)
            raise StoredDataDamaged(
                f"What is saved of {thread_id} in the index of runs has changed on disk.",
                hint=f"{verify} says what is lost, {show} shows the rest of it.",
            )
        return row

    async def find(self, thread_id: str) -> Thread | None:
        """Return the run's row, or None. Raises StoredDataDamaged."""
        return await self.get(thread_id) if await self.exists(thread_id) else None

    async def look(self, thread_id: str) -> Thread:
        """Return the run's row, as far as it can be read. Raises UnknownThread."""
        try:
            rows = await self._database.read(f"{SELECT_RUN} AND thread_id = ?", (thread_id,))
        except StoredDataDamaged:
            return _nothing_but(thread_id)
        if not rows:
            raise UnknownThread(f"There is no run named {thread_id} here.", hint="`rlm list` shows those there are.")
        return read_thread(rows[0])

    async def exists(self, thread_id: str) -> bool:
        """Return whether there is a run of that name."""
        return bool(await self._names("thread_id = ?", thread_id))

    async def _names(self, condition: str, *parameters: Any) -> list[str]:
        """Return the names of the runs that meet `condition`, from the steps where the index cannot be read."""
        try:
            rows = await self._database.read(f"{_NAMES} AND {condition} ORDER BY thread_id", parameters)
        except StoredDataDamaged:
            rows = await self._database.read(f"SELECT DISTINCT thread_id FROM steps WHERE {condition}", parameters)
        return [row[0] for row in rows]

    async def all(self) -> list[Thread]:
        """Return every run, most recently updated first; those whose rows are damaged as far as they can be read."""
        rows, missing = await self._database.look(
            lambda connection: from_both_ends(connection, SELECT_RUN, "thread_id")
        )
        found = [read_thread(row) for row in rows]
        if missing:
            # The steps still name the runs whose rows cannot be read at all.
            names = await self._database.read("SELECT DISTINCT thread_id FROM steps")
            found += [_nothing_but(name) for [name] in set(names) - {(row.thread_id,) for row in found}]
        return sorted(found, key=lambda row: (-row.updated, row.thread_id))

    async def last_touched(self) -> Thread | None:
        """Return the most recently updated run that is no sub-RLM, as far as it can be read; None without any."""
        try:
            rows = await self._database.read(_LAST_TOUCHED)
        except StoredDataDamaged:
            rows = []
        found = [read_thread(row) for row in rows]
        if found and not found[0].damaged:
            return found[0]
        # The time in a damaged row is not reliable.
        return next((row for row in await self.all() if row.caller is None), None)

    async def begin(self, thread_id: str, limits: Limits, start: dict[str, Any], *, decided: bool = False) -> None:
        """Mark the run as running, with these limits and, in `start`, these settings. Raises LeaseLost, RunBusy.

        `decided`: it begins with a reviewer's decision.
        """
        model = start.get("settings", {}).get("model", "")
        facts: dict[str, Any] = {"limits": limits.model_dump_json(), "start": json.dumps(start), "model": model}
        begin = partial(begin_execution, thread_id=thread_id, now=self._clock(), decided=decided)
        await self._update(thread_id, "execution-begun", [begin], status="running", error=None, **facts)

    async def set_limits(self, thread_id: str, limits: Limits) -> None:
        """Replace the limits of the run. Raises LeaseLost, RunBusy."""
        await self._update(thread_id, "limits-raised", limits=limits.model_dump_json())

    async def set_status(
        self,
        thread_id: str,
        status: Status,
        *,
        seconds: float,
        error: dict[str, Any] | None = None,
        detail: str | None = None,
        together: Sequence[Unit] = (),
    ) -> None:
        """Set the run's status, and do the work of `together` in the same transaction. Raises LeaseLost, RunBusy.

        `detail` says why its execution ended, for a person.
        """
        end = partial(end_execution, thread_id=thread_id, status=status, now=self._clock(), detail=detail)
        facts = {"status": status, "seconds": seconds, "error": json.dumps(error) if error else None}
        await self._update(thread_id, "execution-ended", [end, *together], **facts)

    async def _update(self, thread_id: str, what: str, together: Sequence[Unit] = (), **columns: Any) -> None:
        row = {**columns, "updated": self._clock(), "thread_id": thread_id}
        ensure_storable(row, f"The run {thread_id}")
        changed = ", ".join(f"{name} = :{name}" for name in row if name != "thread_id")

        def unit(connection: sqlite3.Connection) -> None:
            self._leases.check(connection, thread_id)
            connection.execute(f"UPDATE threads SET {changed} WHERE thread_id = :thread_id", row)
            for other in together:
                other(connection)

        await self._database.commit(unit, what)

    async def steps(self, thread_id: str) -> list[Step]:
        """Return the run's steps in saved order, damaged ones with kind `damaged`; loads no checkpoint."""
        rows, _ = await self._database.look(lambda connection: from_both_ends(connection, _STEPS, "step", (thread_id,)))
        return [_step(row) for row in rows]

    async def steps_from(self, thread_id: str, number: int, most: int) -> list[Step]:
        """Return the run's steps with the `most` numbers from this one on, damaged ones with kind `damaged`.

        Numbers of steps that were pruned have none.
        """
        select, place = f"{_STEPS} AND step >= ? AND step < ?", (thread_id, number, number + most)
        rows, _ = await self._database.look(lambda connection: from_both_ends(connection, select, "step", place))
        return [_step(row) for row in rows]

    async def steps_beside(self, thread_id: str, first: int, last: int) -> tuple[int | None, int | None]:
        """Return the numbers of the run's steps next before number `first` and next after `last`; None without one."""
        [[before, after]] = await self._database.read(_BESIDE, (thread_id, first, thread_id, last))
        return before, after

    async def last_step_number(self, thread_id: str) -> int:
        """Return the number of the run's last step; 0 without any. Of a run that was pruned it is not their count."""
        [[number]] = await self._database.read("SELECT max(step) FROM steps WHERE thread_id = ?", (thread_id,))
        return int(number or 0)

    async def count_steps(self, thread_id: str) -> int:
        """Return the number of steps of the run."""
        rows = await self._database.read("SELECT count(*) FROM steps WHERE thread_id = ?", (thread_id,))
        return int(rows[0][0])

    async def children(self, thread_id: str) -> list[Thread]:
        """Return the runs that the thread's calls have started, the oldest first."""
        rows = await self._database.read(
            f"{SELECT_RUN} AND thread_id IN (SELECT thread_id FROM children WHERE caller = ?) "
            "ORDER BY created, thread_id",
            (thread_id,),
        )
        return [read_thread(row) for row in rows]

    async def below(self, thread_id: str) -> list[Thread]:
        """Return all the runs below the thread (its children, their children, and so on), the oldest first."""
        rows = await self._database.read(
            f"{BELOW} {SELECT_RUN} AND thread_id IN below ORDER BY created, thread_id", (thread_id,)
        )
        return [read_thread(row) for row in rows]

    async def top_of(self, thread_id: str) -> str:
        """Return the run at the top of the thread's tree: the thread itself, unless another one called it."""
        rows = await self._database.read(TOP, (thread_id,))
        return str(rows[0][0])

    async def named_like(self, beginning: str) -> list[str]:
        """Return the names of the runs that begin with `beginning`."""
        return await self._names("substr(thread_id, 1, ?) = ?", len(beginning), beginning)


def read_thread(row: tuple[Any, ...]) -> Thread:
    """Return a row of `SELECT_RUN`, a damaged one as far as it can be read."""
    *values, damaged = row
    if damaged:
        return _as_far_as_readable(values)
    try:
        start, limits = json.loads(values[3]), Limits.model_validate_json(values[6])
        error = json.loads(values[8]) if values[8] else None
    except (ValueError, TypeError):
        # Of another version, or of another program: the row has its checksum.
        return _as_far_as_readable(values)
    values[3], values[6:9] = start, [limits, cast(Status, values[7]), error]
    return Thread(*values)


def _as_far_as_readable(values: list[Any]) -> Thread:
    name, question, _, start, model, _, _, status, _, turns, _, _, updated, caller, call, depth = values
    try:
        begun: Any = json.loads(start)
    except (ValueError, TypeError):
        begun = {}
    return replace(
        _nothing_but(str(name)),
        question=question if isinstance(question, str) else "",
        start=begun if isinstance(begun, dict) else {},
        model=model if isinstance(model, str) else "",
        status=status if status in get_args(Status) else "failed",
        turns=turns if isinstance(turns, int) else 0,
        updated=updated if isinstance(updated, float) and 0 <= updated < _LATEST else 0.0,
        caller=caller,
        call=call,
        depth=depth,
    )


def _nothing_but(name: str) -> Thread:
    """Return a Thread with what is known of a run whose row cannot be read."""
    limits = Limits(max_turns=1, max_calls=1)
    return Thread(name, "", "", {}, "", None, limits, "failed", None, 0, 0.0, 0.0, 0.0, damaged=True)


def _step(row: tuple[Any, ...]) -> Step:
    *values, damaged = row
    if damaged:
        return Step(int(values[0]), str(values[1]), "damaged", 0, "what is saved of this step has changed on disk", 0.0)
    return Step(*values)
