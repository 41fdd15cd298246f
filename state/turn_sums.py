"""The sums of a turn over the call journal: what its row says of its requests (`turn_rows.py`)."""

import sqlite3
from dataclasses import dataclass

from .call_records import CUT
from .db.lineage import LINE


@dataclass(frozen=True)
class TurnSums:
    """The sums over a turn's requests, named and documented as in `TurnRow`."""

    asked: float | None = None
    planned: float | None = None
    calls: int = 0
    failed: int = 0
    cut: int = 0
    reused: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0.0
    first_call: float | None = None
    last_call: float | None = None


# The end of the last attempt, or what comes closest: rows of earlier formats have no log of attempts. In a damaged row
# anything may stand, which is no error here: sums are what the journal says, as for a run's spending (`usage.py`).
_LOG = "'[' || replace(rtrim(attempt_log, char(10)), char(10), ',') || ']'"
_END = (
    f"CASE WHEN attempts != 1 AND attempt_log > '' AND json_valid({_LOG}) THEN json_extract({_LOG}, '$[#-1][1]') "
    "ELSE created + seconds END"
)

# A copy of a recorded answer was asked for when it was copied; it says when its original was.
_BEGIN = "CASE WHEN attempts = 0 AND child_thread IS NULL THEN created ELSE coalesce(queued, created) END"


def _whole(condition: str) -> str:
    """Return SQL for a sum of integers, which sum() would fail for beyond 64 bits."""
    return f"CAST(total({condition}) AS INTEGER)"


def _time(function: str, value: str, where: str) -> str:
    return f"{function}(CASE WHEN {where} THEN CAST({value} AS REAL) END)"


_SPENT = ", ".join(
    [
        _whole(f"error_kind = '{CUT}' AND status = 'answered'"),
        *map(_whole, ("reused", "input_tokens", "output_tokens")),
        "total(cost)",
        _whole("cost IS NULL AND attempts > 0"),
    ]
)
_SAID = ", ".join(
    [
        _whole("kind != 'root'"),
        _whole("kind != 'root' AND status = 'failed'"),
        _time("min", _BEGIN, "kind != 'root'"),
        _time("max", _END, "kind != 'root' AND status != 'asked'"),
    ]
)
_OF_TURN = f"""
SELECT count(*), {_SAID}, {_SPENT}, {_time("min", "created", "kind = 'root'")},
{_time("max", _END, "kind = 'root' AND status = 'answered'")}, {_whole("child_thread IS NOT NULL")}
FROM calls WHERE thread_id = ? AND turn = ?
"""
_OF_CHILDREN = f"""
WITH RECURSIVE below (thread_id) AS (
    SELECT children.thread_id FROM calls JOIN children ON children.caller = calls.thread_id AND children.call = key
    WHERE calls.thread_id = ? AND turn = ? AND child_thread IS NOT NULL
    UNION SELECT children.thread_id FROM children JOIN below ON children.caller = below.thread_id
)
SELECT {_SPENT} FROM below CROSS JOIN calls USING (thread_id)
"""
# One row per key: of the nearest thread that has it.
_OF_LINE = f"""
{LINE}, found AS (
    SELECT calls.*, min(generation) FROM line CROSS JOIN calls USING (thread_id) WHERE turn = ? GROUP BY key
)
SELECT {_SAID}, {_whole(f"error_kind = '{CUT}' AND status = 'answered'")},
{_time("min", "created", "kind = 'root'")}, {_time("max", _END, "kind = 'root' AND status = 'answered'")} FROM found
"""


def turn_sums(connection: sqlite3.Connection, thread_id: str, turn: int) -> TurnSums | None:
    """Return the sums over the thread's own rows of a turn, those of its sub-RLMs included; None without any rows."""
    row = connection.execute(_OF_TURN, (thread_id, turn)).fetchone()
    number, calls, failed, first_call, last_call, *spent, asked, planned, children = row
    if not number:
        return None
    below = connection.execute(_OF_CHILDREN, (thread_id, turn)).fetchone() if children else (0, 0, 0, 0, 0.0, 0)
    cut, reused, tokens_in, tokens_out, cost, no_price = [own + other for own, other in zip(spent, below, strict=True)]
    return TurnSums(
        asked=asked,
        planned=planned,
        calls=calls,
        failed=failed,
        cut=cut,
        reused=reused,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cost=None if no_price else cost,
        first_call=first_call,
        last_call=last_call,
    )


def inherited_sums(connection: sqlite3.Connection, thread_id: str, turn: int) -> TurnSums:
    """Return the sums of a turn that a fork has with its history: its calls as recorded there, and nothing paid."""
    row = connection.execute(_OF_LINE, (thread_id, turn)).fetchone()
    calls, failed, first_call, last_call, cut, asked, planned = row
    return TurnSums(asked, planned, calls, failed, cut, first_call=first_call, last_call=last_call)
