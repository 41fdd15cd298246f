"""Sums over the calls of a turn, by the line of code that made them."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .call_records import CUT
from .db.connection import Database
from .db.lineage import OF_PAST, PAST


@dataclass(frozen=True)
class LineSum:
    """The sums over the sub-calls that one line of code has made."""

    line: int | None
    """The line of its block of code, from 1; None for calls of which it is not recorded."""
    calls: int
    """The number of its calls, each counted once however often it was attempted."""
    failed: int
    """The number of them that failed."""
    cut: int
    """The number of answers that were cut off at the output limit."""
    reused: int
    """The number of calls that were answered from the journal."""
    asked: int
    """The number of calls that have no outcome yet."""
    input_tokens: int
    """Tokens of requests with a known outcome, those of the sub-RLMs that its calls started included."""
    output_tokens: int
    cost: float | None
    """US dollars of those requests; None when a price is unknown."""
    seconds: float
    """The seconds that its calls took, added up: calls that run at the same time count each."""


class Took(NamedTuple):
    """The tokens and US dollars that requests took; the dollars are None when a price is unknown."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0.0


# A row that a nearer thread has, too, counts there.
_OF_TURN = f"""
{PAST} SELECT line, count(*), total(status = 'failed'), total(status = 'answered' AND error_kind IS '{CUT}'),
    total(reused > 0), total(status = 'asked'), total(input_tokens), total(output_tokens),
    CASE WHEN total(cost IS NULL AND attempts > 0) = 0 THEN total(cost) END, total(seconds),
    json_group_array(child_thread) FILTER (WHERE EXISTS (
        SELECT 1 FROM children WHERE children.thread_id = child_thread AND caller = calls.thread_id
    ))
FROM calls JOIN past USING (thread_id)
WHERE turn = ? AND kind IN ('llm', 'rlm') AND {OF_PAST} AND (generation = 0 OR NOT EXISTS (
    SELECT 1 FROM past AS nearer JOIN calls AS own USING (thread_id)
    WHERE nearer.generation < past.generation AND own.key = calls.key
)) GROUP BY line ORDER BY line IS NULL, line
"""


def children_sums(chosen: str) -> str:
    """Return a table for a recursive WITH: `below`, with what chosen child runs and the runs below each took.

    `chosen` selects the children's names twice. The columns are `child`, `input_tokens`, `output_tokens` and `cost`,
    which is NULL when a price is unknown.
    """
    return f"""
    tree (top, thread_id) AS (
        {chosen} UNION SELECT top, children.thread_id FROM children JOIN tree ON children.caller = tree.thread_id
    ),
    below (child, input_tokens, output_tokens, cost) AS MATERIALIZED (
        SELECT top, total(input_tokens), total(output_tokens),
            CASE WHEN total(cost IS NULL AND attempts > 0) = 0 THEN total(cost) END
        FROM calls JOIN tree USING (thread_id) GROUP BY top
    )
    """


_OF_CHILDREN = f"WITH RECURSIVE {children_sums('SELECT value, value FROM json_each(?)')} SELECT * FROM below"


async def line_sums(database: Database, thread_id: str, turn: int) -> list[LineSum]:
    """Return the sums of a turn's sub-calls by line, calls of which no line is recorded last. Raises StoreError.

    Those of the threads that this one was forked from count, too, up to the fork. Damaged rows count as they are.
    """
    return await database.look(lambda connection: _sums(connection, thread_id, turn))


def _sums(connection: sqlite3.Connection, thread_id: str, turn: int) -> list[LineSum]:
    rows = connection.execute(_OF_TURN, (thread_id, turn)).fetchall()
    below = sums_below(connection, [child for *_, children in rows for child in json.loads(children)])
    return [_line_sum(row, below) for row in rows]


def _line_sum(row: tuple[Any, ...], below: Mapping[str, Took]) -> LineSum:
    line, calls, failed, cut, reused, asked, *took, seconds, children = row
    tokens_in, tokens_out, cost = _added([Took(*took), *(below[child] for child in json.loads(children))])
    calls, failed, cut, reused, asked = map(int, (calls, failed, cut, reused, asked))
    return LineSum(line, calls, failed, cut, reused, asked, int(tokens_in), int(tokens_out), cost, seconds)


def _added(parts: Iterable[Took]) -> Took:
    tokens_in, tokens_out, costs = zip(*parts, strict=True)
    return Took(sum(tokens_in), sum(tokens_out), None if None in costs else sum(costs))


def sums_below(connection: sqlite3.Connection, children: Sequence[str]) -> Mapping[str, Took]:
    """Return what each of these runs took, with the runs below it."""
    found = defaultdict[str, Took](Took)
    for top, *took in connection.execute(_OF_CHILDREN, (json.dumps([*children]),)):
        found[top] = Took(int(took[0]), int(took[1]), took[2])
    return found
