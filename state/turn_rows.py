"""A row per turn: its times, sums, flags and first sentence, so that a run is shown without its checkpoints.

A row is written in the transaction of the step that it belongs to (`checkpointer.py`): it always agrees with the steps.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from .db.checksums import checksum_mismatch_sql
from .db.connection import Database
from .db.corruption import from_both_ends
from .db.tables import TURNS

CellStatus = Literal["ok", "error", "timeout", "died"]


@dataclass(frozen=True)
class TurnRow:
    """One turn as it is listed. Times are seconds since 1970, None where they are not known (yet)."""

    turn: int
    summary: str = ""
    """The first sentence of what the turn did, at most 200 characters."""
    flags: frozenset[str] = frozenset()
    """What is special about the turn: words such as `error`, `restored` or `answer` (docs/glossary.md)."""
    status: CellStatus | None = None
    """How its cell ended; None until it has, and for a turn without code."""
    asked: float | None = None
    """The time at which the root model was asked."""
    planned: float | None = None
    """The time at which its reply was there."""
    began: float | None = None
    """The time at which its cell began."""
    ended: float | None = None
    """The time at which its cell ended."""
    computed: float | None = None
    """Seconds that its cell computed, apart from waiting for calls and for a reviewer."""
    calls: int = 0
    """The number of its sub-calls."""
    failed: int = 0
    """The number of them that failed."""
    cut: int = 0
    """The number of answers that were cut off at the output limit."""
    reused: int = 0
    """The number of answers that were served from the journal."""
    input_tokens: int = 0
    """Tokens of all its requests: the root request, sub-calls, and those of the sub-RLMs that it started."""
    output_tokens: int = 0
    cost: float | None = None
    """US dollars of those requests; None when a price is unknown."""
    first_call: float | None = None
    """The time at which its first sub-call was asked for."""
    last_call: float | None = None
    """The time at which its last sub-call was settled."""
    damaged: bool = False
    """True when the row is not what was saved. The other fields then say nothing."""


_COLUMNS = TURNS.columns()[1:]
_SELECT = f"SELECT {', '.join(_COLUMNS)}, {checksum_mismatch_sql(TURNS)} FROM turns WHERE thread_id = ?"
_LAST = 1 << 62
"""A number that no turn reaches."""


class TurnRows:
    """Reads the rows of turns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, thread_id: str, first: int = 1, last: int | None = None) -> list[TurnRow]:
        """Return the rows of turns `first` to `last` (None: to the end), in order. Raises StoreError."""
        place = (thread_id, first, _LAST if last is None else last)
        rows, _ = await self._database.look(
            lambda connection: from_both_ends(connection, f"{_SELECT} AND turn BETWEEN ? AND ?", "turn", place)
        )
        return [read_turn_row(row) for row in rows]

    async def one(self, thread_id: str, turn: int) -> TurnRow | None:
        """Return the row of a turn, or None. Raises StoreError."""
        rows = await self.page(thread_id, turn, turn)
        return rows[0] if rows else None

    async def count(self, thread_id: str) -> int:
        """Return the number of turns that have a row. Raises StoreError."""
        rows = await self._database.read("SELECT count(*) FROM turns WHERE thread_id = ?", (thread_id,))
        return int(rows[0][0])


def read_turn_row(row: tuple[Any, ...]) -> TurnRow:
    """Return a row that was selected as its columns and whether it is damaged."""
    *values, damaged = row
    columns: dict[str, Any] = dict(zip(_COLUMNS, values, strict=True))
    if damaged or columns["status"] not in (None, *get_args(CellStatus)):
        return TurnRow(values[0] if isinstance(values[0], int) else 0, damaged=True)
    columns["flags"] = frozenset(columns["flags"].split())
    return TurnRow(**columns)
