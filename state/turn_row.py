"""The row of one turn: its times, sums, flags and first sentence, so that a run is shown without its checkpoints."""

from dataclasses import dataclass
from typing import Any, get_args

from .db.checksums import checksum_mismatch_sql
from .db.tables import TURNS
from .records import CellStatus


@dataclass(frozen=True)
class TurnRow:
    """One turn as it is listed. Times are seconds since 1970, None where they are not known (yet)."""

    turn: int
    summary: str = ""
    """The first sentence of what the turn did, at most 200 characters."""
    flags: frozenset[str] = frozenset()
    """Words for what is special about the turn, such as `error`, `restored` or `answer` (docs/glossary.md)."""
    status: CellStatus | None = None
    """The way in which its cell ended; None until it has, and for a turn without code."""
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
SELECT_TURNS = f"SELECT {', '.join(_COLUMNS)}, {checksum_mismatch_sql(TURNS)} FROM turns WHERE thread_id = ?"
"""Selects the rows of a thread, as `read_turn_row` reads them."""


def read_turn_row(row: tuple[Any, ...]) -> TurnRow:
    """Return a row that was selected as `SELECT_TURNS` does."""
    *values, damaged = row
    columns: dict[str, Any] = dict(zip(_COLUMNS, values, strict=True))
    if damaged or columns["status"] not in (None, *get_args(CellStatus)):
        return TurnRow(values[0] if isinstance(values[0], int) else 0, damaged=True)
    columns["flags"] = frozenset(columns["flags"].split())
    return TurnRow(**columns)
