"""Reads the calls of a run page by page: rows of the journal, without their texts.

A page is found by its neighbour's rank in the order, never by counting rows, so that the last page of 30,000 calls
takes as long as the first. Rows are read one by one, so that a damaged one hides none but itself.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

from .call_records import CALL_COLUMNS, CUT, REVIEWER, CallRow, read_row, unreadable_row
from .call_sums import Took, children_sums, sums_below
from .db.checksums import checksum_mismatch_sql
from .db.connection import Database
from .db.corruption import Unreadable, is_damage, numbers_of, row_at
from .db.tables import CALLS

Order = Literal["made", "tokens", "cost", "time", "queue"]
"""`made`: as they were made. All others begin with the largest."""
CallState = Literal["asked", "answered", "failed", "cut", "reused", "person"]
"""The outcome of a call, or a fact about it: cut off, served from the journal, answered by a person."""
ORDERS: tuple[Order, ...] = get_args(Order)
STATES: tuple[CallState, ...] = get_args(CallState)

_STATES: dict[CallState, str] = {
    "asked": "status = 'asked'",
    "answered": "status = 'answered'",
    "failed": "status = 'failed'",
    "cut": f"status = 'answered' AND error_kind = '{CUT}'",
    "reused": "reused > 0",
    "person": f"model = '{REVIEWER}'",
}
# Unknown ones come last. What a sub-RLM took counts for the call that it answers.
_VALUES: dict[Order, str] = {
    "made": "0.0",
    "tokens": "calls.input_tokens + calls.output_tokens + coalesce(below.input_tokens + below.output_tokens, 0)",
    "cost": "calls.cost + coalesce(below.cost, 0.0)",
    "time": "seconds",
    "queue": "created - queued",
}
_BELOW = children_sums("SELECT thread_id, thread_id FROM children WHERE caller = :thread_id")
_CHILDREN = "SELECT thread_id FROM children WHERE caller = ? AND thread_id IN (SELECT value FROM json_each(?))"
_COLUMNS = f"{CALL_COLUMNS}, {checksum_mismatch_sql(CALLS)}"


class Rank(NamedTuple):
    """The rank of a call in an order: the value that is sorted by, and the number of its row."""

    value: float
    seq: int


@dataclass(frozen=True)
class CallFilter:
    """The calls to read: all sub-calls, unless a field says otherwise."""

    turn: int | None = None
    line: int | None = None
    model: str | None = None
    state: CallState | None = None
    kind: Literal["llm", "rlm", "root"] | None = None
    """None: sub-calls of both kinds."""

    def sql(self) -> tuple[str, dict[str, Any]]:
        """Return the condition, and its parameters by name."""
        given = {"turn": self.turn, "line": self.line, "model": self.model}
        parts = [f"calls.{name} = :{name}" for name, value in given.items() if value is not None]
        # A turn is looked up with the kind; in a whole run the order is kept by leaving rows out.
        subs = "kind IN ('llm', 'rlm')" if self.turn is not None else "kind IS NOT 'root'"
        parts.append(subs if self.kind is None else f"kind = '{self.kind}'")
        if self.state:
            parts.append(_STATES[self.state])
        return " AND ".join(parts), {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class CallPage:
    """A page of calls in an order."""

    rows: list[CallRow] = field(default_factory=list[CallRow])
    before: Rank | None = None
    """The rank of the first row; None when nothing is before it."""
    after: Rank | None = None
    """The rank of the last row; None when nothing is behind it."""
    below: Mapping[str, Took] = field(default_factory=dict[str, Took])
    """The tokens and costs of the child runs that answer calls of the page, with the runs below each, by name."""


@dataclass(frozen=True)
class Asking:
    """The page that is asked for: at most `most` calls, behind one rank or before another, by default the first."""

    chosen: CallFilter = CallFilter()
    order: Order = "made"
    most: int = 50
    after: Rank | None = None
    before: Rank | None = None
    last: bool = False
    """The last page of all."""


class CallPages:
    """Reads pages of the calls of the runs of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, thread_id: str, asking: Asking) -> CallPage:
        """Return the page that is asked for. Raises StoreError.

        Rows that cannot be read are shown as damaged wherever nothing is known of them that says they are not meant.
        """
        return await self._database.look(lambda connection: _page(connection, thread_id, asking))

    async def count(self, thread_id: str, chosen: CallFilter) -> int:
        """Return the number of calls that are meant; of a damaged file, those that can be read. Raises StoreError."""
        condition, given = chosen.sql()
        query = f"SELECT count(*) FROM calls WHERE thread_id = :thread_id AND {condition}"

        def counted(connection: sqlite3.Connection) -> int:
            try:
                return int(connection.execute(query, {"thread_id": thread_id, **given}).fetchone()[0])
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                numbers = numbers_of(connection, CALLS, thread_id)
                return len(_past_damage(connection, thread_id, Asking(chosen), numbers))

        return await self._database.look(counted)


def _page(connection: sqlite3.Connection, thread_id: str, asking: Asking) -> CallPage:
    names: dict[int, tuple[Any, ...]] = {}
    try:
        found = _ranks(connection, thread_id, asking)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        names = numbers_of(connection, CALLS, thread_id)
        found = _cut_out(_past_damage(connection, thread_id, asking, names), asking)
    backwards = asking.last or asking.before is not None
    more, found = len(found) > asking.most, found[: asking.most]
    if backwards:
        found.reverse()
    rows = [_row(connection, rank.seq, names) for rank in found]
    known_before = more if backwards else asking.after is not None
    known_after = asking.before is not None if backwards else more
    return CallPage(
        rows,
        found[0] if found and known_before else None,
        found[-1] if found and known_after else None,
        took_below(connection, thread_id, rows),
    )


def took_below(connection: sqlite3.Connection, thread_id: str, rows: Sequence[CallRow]) -> Mapping[str, Took]:
    """Return what the child runs took that calls of this thread have started, with the runs below each.

    A child that answered a call of a thread that this one was forked from was paid for there, and is left out. Empty
    when that cannot be read.
    """
    named = [row.child_thread for row in rows if row.child_thread]
    try:
        own = [child for [child] in connection.execute(_CHILDREN, (thread_id, json.dumps(named)))] if named else []
        return sums_below(connection, own) if own else {}
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return {}


def _row(connection: sqlite3.Connection, seq: int, names: Mapping[int, tuple[Any, ...]]) -> CallRow:
    row = row_at(connection, CALLS, _COLUMNS, seq, names.get(seq, ("",)))
    return unreadable_row(row) if isinstance(row, Unreadable) else read_row(row)


def _select(asking: Asking) -> tuple[str, dict[str, Any]]:
    """Return the beginning of a statement that finds ranks of calls, and its parameters."""
    condition, given = asking.chosen.sql()
    value = f"coalesce(CAST({_VALUES[asking.order]} AS REAL), -1.0)"
    summed = asking.order in ("tokens", "cost")
    with_sums = f"WITH RECURSIVE {_BELOW}" if summed else ""
    joined = "LEFT JOIN below ON below.child = calls.child_thread" if summed else ""
    return (
        f"{with_sums} SELECT {value} AS value, seq FROM calls {joined} WHERE thread_id = :thread_id AND {condition}",
        given,
    )


def _ranks(connection: sqlite3.Connection, thread_id: str, asking: Asking) -> list[Rank]:
    """Return the ranks of a page and of one call more, beginning with the one next to the rank that is known."""
    select, given = _select(asking)
    backwards = asking.last or asking.before is not None
    known = asking.before or asking.after
    by_value = asking.order != "made"
    # The calls of one turn are found and sorted: in the order of the index, all of the run would be looked at.
    number = "seq" if asking.chosen.turn is None else "+seq"
    if known:
        further = f"{number} < :seq" if backwards else f"{number} > :seq"
        beyond = "value > :value" if backwards else "value < :value"
        given = {**given, "value": known.value, "seq": known.seq}
        select += f" AND ({beyond} OR (value = :value AND {further}))" if by_value else f" AND {further}"
    directions = ("ASC", "DESC") if backwards else ("DESC", "ASC")
    order = f"value {directions[0]}, seq {directions[1]}" if by_value else f"{number} {directions[1]}"
    parameters = {"thread_id": thread_id, "most": asking.most + 1, **given}
    return [Rank(*row) for row in connection.execute(f"{select} ORDER BY {order} LIMIT :most", parameters)]


def _past_damage(connection: sqlite3.Connection, thread_id: str, asking: Asking, numbers: Iterable[int]) -> list[Rank]:
    """Return the ranks of all calls in their order, each looked at alone. Those that cannot be read come first."""
    select, given = _select(asking)
    found: list[Rank] = []
    for seq in numbers:
        try:
            row = connection.execute(
                f"{select} AND seq = :seq", {"thread_id": thread_id, "seq": seq, **given}
            ).fetchone()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            row = Rank(0.0 if asking.order == "made" else float("inf"), seq)
        if row:
            found.append(Rank(row[0], seq))
    return sorted(found, key=lambda rank: (-rank.value, rank.seq))


def _cut_out(ranks: Sequence[Rank], asking: Asking) -> list[Rank]:
    """Return what `_ranks` does, from all ranks in their order."""

    def at(rank: Rank) -> tuple[float, int]:
        return (0.0 if asking.order == "made" else -rank.value, rank.seq)

    if asking.before is not None or asking.last:
        until = asking.before
        kept = [rank for rank in ranks if until is None or at(rank) < at(until)]
        return kept[: -asking.most - 2 : -1]
    since = asking.after
    return [rank for rank in ranks if since is None or at(rank) > at(since)][: asking.most + 1]
