"""Usage totals of runs: sums over their journals, always including all the runs below them."""

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from .db.connection import Database
from .db.lineage import BELOW, LINE, NO_HORIZON

LEAST_LIKELY_OUTPUT = 1_000
"""The least output tokens that an uncertain request counts with, whatever the other requests of its run took."""


class TokenDetails(NamedTuple):
    """Parts of the tokens of input and output, as far as they are known."""

    cached_tokens: int = 0
    """Input tokens that a provider's cache had."""
    cache_write_tokens: int = 0
    """Input tokens that were written into a provider's cache."""
    thought_tokens: int = 0
    """Output tokens of thoughts."""

    def plus(self, other: "TokenDetails") -> "TokenDetails":
        """Add up the details of two requests."""
        return TokenDetails(*map(sum, zip(self, other, strict=True)))


NO_DETAILS = TokenDetails()


@dataclass(frozen=True)
class Uncertain:
    """Requests that were sent and whose outcome is unknown: their answers were lost, or have not arrived yet.

    `input_tokens` and `input_cost` are those of what was sent, `output_tokens` the output limits that it carried,
    `most_tokens` and `most_cost` all that was reserved. Costs are `None` when a price is unknown.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    most_tokens: int = 0
    most_cost: float | None = 0.0
    input_cost: float | None = 0.0
    streamed_calls: int = 0
    """Those of which a part of the answer had arrived."""
    streamed_output: int = 0
    """The output tokens of those parts."""


@dataclass(frozen=True)
class UsageTotals:
    """A sum over rows of the journal. `cost` is `None` when any price was unknown.

    `input_tokens`, `output_tokens` and `cost` are those of known outcomes; the properties add the uncertain ones.
    """

    model_calls: int = 0
    reused_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0.0
    uncertain: Uncertain = field(default_factory=Uncertain)
    details: TokenDetails = NO_DETAILS
    usual_output: int = 0
    """Output tokens that 99 of 100 answered requests kept within; 0 where none was answered or none is uncertain."""

    @property
    def estimated_output(self) -> int:
        """The output tokens that the uncertain requests are likely to have taken, all together."""
        each = max(LEAST_LIKELY_OUTPUT, self.usual_output)
        lost = self.uncertain
        return min((lost.calls - lost.streamed_calls) * each + lost.streamed_output, lost.output_tokens)

    @property
    def estimated_tokens(self) -> int:
        """The tokens that the uncertain requests are likely to have taken, input included."""
        return self.uncertain.input_tokens + self.estimated_output

    @property
    def estimated_cost(self) -> float | None:
        """Dollars that the uncertain requests are likely to have cost: a price is linear in the output."""
        most, bare = self.uncertain.most_cost, self.uncertain.input_cost
        if most is None or bare is None or not self.uncertain.output_tokens:
            return most
        return bare + (most - bare) * self.estimated_output / self.uncertain.output_tokens

    @property
    def tokens(self) -> int:
        """The likely total, which counts against a budget."""
        return self.input_tokens + self.output_tokens + self.estimated_tokens

    @property
    def total_cost(self) -> float | None:
        """The likely total in dollars, which counts against a budget; None when a price is unknown."""
        estimated = self.estimated_cost
        return None if self.cost is None or estimated is None else self.cost + estimated

    @property
    def most_tokens(self) -> int:
        """The total if every uncertain request took all that was reserved for it."""
        return self.input_tokens + self.output_tokens + self.uncertain.most_tokens

    @property
    def most_cost(self) -> float | None:
        """The total in dollars if every uncertain request took its whole reservation; None when a price is unknown."""
        most = self.uncertain.most_cost
        return None if self.cost is None or most is None else self.cost + most

    def without(self, held: Uncertain) -> "UsageTotals":
        """Return the totals without uncertain requests that are in flight."""
        lost = self.uncertain
        if held.calls >= lost.calls:
            # Exactly nothing, whatever rounding errors sums and differences leave.
            return replace(self, uncertain=Uncertain())
        most, bare = (
            None if whole is None or part is None else max(0.0, whole - part)
            for whole, part in ((lost.most_cost, held.most_cost), (lost.input_cost, held.input_cost))
        )
        rest = Uncertain(
            calls=lost.calls - held.calls,
            input_tokens=max(0, lost.input_tokens - held.input_tokens),
            output_tokens=max(0, lost.output_tokens - held.output_tokens),
            most_tokens=max(0, lost.most_tokens - held.most_tokens),
            most_cost=most,
            input_cost=bare,
            streamed_calls=max(0, lost.streamed_calls - held.streamed_calls),
            streamed_output=max(0, lost.streamed_output - held.streamed_output),
        )
        return replace(self, uncertain=rest)


def _total(column: str) -> str:
    """Return SQL for the sum of a count: of damaged rows it may be enormous, and sum() fails beyond 64 bits."""
    return f"CAST(total({column}) AS INTEGER)"


_COUNTS = ("attempts", "reused", "input_tokens", "output_tokens")
_UNCERTAIN = ("uncertain_calls", "uncertain_input", "uncertain_output", "uncertain_tokens")
_PARTS = ("streamed_calls", "streamed_output", "cached_tokens", "cache_write_tokens", "thought_tokens")
_SUMS = ", ".join(
    [
        *map(_total, _COUNTS),
        "total(cost)",
        _total("cost IS NULL AND attempts > 0"),
        *map(_total, _UNCERTAIN),
        "total(uncertain_cost), total(uncertain_input_cost)",
        _total("uncertain_cost IS NULL AND uncertain_calls > 0"),
        *map(_total, _PARTS),
    ]
)
_SPENT = f"SELECT {_SUMS} FROM calls"
_TREE = """
WITH RECURSIVE tree (thread_id) AS (
    VALUES (?) UNION SELECT children.thread_id FROM children JOIN tree ON children.caller = tree.thread_id
)
"""
# Pairs every thread with itself and with each thread below it.
_TREES = """
WITH RECURSIVE trees (top, thread_id) AS (
    SELECT DISTINCT thread_id, thread_id FROM calls
    UNION SELECT caller, caller FROM children
    UNION SELECT top, children.thread_id FROM children JOIN trees ON children.caller = trees.thread_id
)
"""
# The same for the threads below one thread only.
_TREES_BELOW = f"""
{BELOW},
trees (top, thread_id) AS (
    SELECT thread_id, thread_id FROM below
    UNION SELECT top, children.thread_id FROM children JOIN trees ON children.caller = trees.thread_id
)
"""
# The same for some threads only.
_TREES_OF = """
WITH RECURSIVE trees (top, thread_id) AS (
    SELECT value, value FROM json_each(?)
    UNION SELECT top, children.thread_id FROM children JOIN trees ON children.caller = trees.thread_id
)
"""
_SPENT_BY_TOP = f"SELECT {_SUMS}, top FROM trees JOIN calls USING (thread_id) GROUP BY top"
# The threads that a thread was forked from, each with what had been settled at the last step shared with the fork; the
# thread itself with what had been settled at one of its steps, or without (`NO_HORIZON`).
_SPENT_BEFORE = f"""
WITH RECURSIVE past (thread_id, until) AS (
    SELECT ?, ?
    UNION
    SELECT threads.parent, min(past.until, coalesce((
        SELECT max(own.settled) FROM steps AS own JOIN steps AS shared
        ON shared.thread_id = threads.parent AND shared.checkpoint_id = own.checkpoint_id
        WHERE own.thread_id = threads.thread_id
    ), 0)) FROM threads JOIN past USING (thread_id) WHERE threads.parent IS NOT NULL
),
tree (thread_id, until) AS (
    SELECT thread_id, until FROM past WHERE until < {NO_HORIZON}
    UNION SELECT children.thread_id, until FROM children JOIN tree ON children.caller = tree.thread_id
)
{_SPENT} JOIN tree USING (thread_id) WHERE coalesce(settled, {NO_HORIZON}) <= until
"""
# Requests of the execution under way that have no outcome yet. Older ones were lost with the process that sent them.
_HELD = f"""
{_TREE} {_SPENT} JOIN tree USING (thread_id) WHERE status = 'asked' AND uncertain_calls > 0
AND created >= (SELECT max(begun) FROM executions WHERE executions.thread_id = ? AND ended IS NULL)
"""
_LARGEST_TURN = f"""
{LINE} SELECT coalesce(max((input_tokens + uncertain_input) / max(attempts, 1)), 0) FROM calls
JOIN line USING (thread_id) WHERE kind = 'root'
"""
# Only requests answered at the first attempt: of others, the journal has only sums.
_OUTPUTS = f"""
{_TREE} SELECT output_tokens FROM calls JOIN tree USING (thread_id)
WHERE status = 'answered' AND attempts = 1 AND uncertain_calls = 0
"""


class Spending:
    """The usage totals of the runs of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by(self, thread_id: str, *, in_flight: bool = True) -> UsageTotals:
        """Return what the thread and the threads below it have spent so far.

        Without `in_flight`, requests that have no outcome yet are left out: for a run that is being executed.
        """
        settled = "" if in_flight else " WHERE status != 'asked'"
        rows = await self._database.read(f"{_TREE} {_SPENT} JOIN tree USING (thread_id){settled}", (thread_id,))
        return await self._with_usual_output(thread_id, _spent(rows[0]))

    async def held(self, thread_id: str) -> Uncertain:
        """Return what is held for requests in flight of the thread, which a process executes, and those below it."""
        rows = await self._database.read(_HELD, (thread_id, thread_id))
        return _spent(rows[0]).uncertain

    async def before(self, thread_id: str) -> UsageTotals:
        """Return what the threads that this one was forked from, with those below them, had spent before the fork."""
        return await self.until(thread_id, NO_HORIZON)

    async def until(self, thread_id: str, settled: int) -> UsageTotals:
        """Return what a fork of the thread would have spent `before` it, made when `settled` calls were settled."""
        rows = await self._database.read(_SPENT_BEFORE, (thread_id, settled))
        return _spent(rows[0])

    async def outputs(self, thread_id: str) -> list[int]:
        """Return the output tokens of every answered request of the thread and the threads below it, ascending."""
        return sorted(tokens for [tokens] in await self._database.read(_OUTPUTS, (thread_id,)))

    async def largest_turn(self, thread_id: str) -> int:
        """Return the input tokens of the largest root request of the thread and those it was forked from, or 0."""
        rows = await self._database.read(_LARGEST_TURN, (thread_id,))
        return rows[0][0]

    async def by_all(self) -> dict[str, UsageTotals]:
        """Return what every thread has spent, with the threads below it."""
        return await self._by_top(f"{_TREES} {_SPENT_BY_TOP}")

    async def below(self, thread_id: str) -> dict[str, UsageTotals]:
        """Return what each thread below this one has spent, with the threads below it."""
        return await self._by_top(f"{_TREES_BELOW} {_SPENT_BY_TOP}", thread_id)

    async def of(self, thread_ids: Collection[str]) -> dict[str, UsageTotals]:
        """Return what each of these threads has spent, with the threads below it; nothing for one without calls."""
        return await self._by_top(f"{_TREES_OF} {_SPENT_BY_TOP}", json.dumps([*thread_ids]))

    async def _by_top(self, query: str, *parameters: str) -> dict[str, UsageTotals]:
        rows = await self._database.read(query, parameters)
        return {row[-1]: await self._with_usual_output(row[-1], _spent(row)) for row in rows}

    async def _with_usual_output(self, thread_id: str, spent: UsageTotals) -> UsageTotals:
        """Return `spent` with the usual output added, which estimates need, if there are uncertain requests."""
        if not spent.uncertain.calls:
            return spent
        return replace(spent, usual_output=usual_output(await self.outputs(thread_id)))


def usual_output(outputs: list[int]) -> int:
    """Return the 99th percentile of output tokens in ascending order, by nearest rank; 0 without any."""
    return outputs[-(-99 * len(outputs) // 100) - 1] if outputs else 0


def _spent(row: tuple[Any, ...]) -> UsageTotals:
    calls, reused, tokens_in, tokens_out, cost, no_price, *rest = row[:18]
    lost, sent, limits, most, most_cost, sent_cost, lost_no_price, streamed, streamed_output, *details = rest
    costs = (None, None) if lost_no_price else (most_cost, sent_cost)
    uncertain = Uncertain(lost, sent, limits, most, *costs, streamed, streamed_output)
    known = None if no_price else cost
    return UsageTotals(calls, reused, tokens_in, tokens_out, known, uncertain, TokenDetails(*details))


def charge_to_caller(connection: sqlite3.Connection, thread_id: str) -> None:
    """Add what a child has spent to the row of the call that it answers, inside a transaction, before it is deleted.

    The tree's account stays the same (promise P9).
    """
    child = connection.execute("SELECT caller, call FROM children WHERE thread_id = ?", (thread_id,)).fetchone()
    if child is None:
        return
    row = connection.execute(f"{_TREE} {_SPENT} JOIN tree USING (thread_id)", (thread_id,)).fetchone()
    spent = _spent(row)
    lost = spent.uncertain
    connection.execute(
        "UPDATE calls SET attempts = attempts + ?, input_tokens = input_tokens + ?, output_tokens = output_tokens + ?, "
        "cost = cost + ?, uncertain_calls = uncertain_calls + ?, uncertain_input = uncertain_input + ?, "
        "uncertain_output = uncertain_output + ?, uncertain_tokens = uncertain_tokens + ?, "
        "uncertain_cost = uncertain_cost + ?, uncertain_input_cost = uncertain_input_cost + ?, "
        "streamed_calls = streamed_calls + ?, streamed_output = streamed_output + ?, "
        "cached_tokens = cached_tokens + ?, cache_write_tokens = cache_write_tokens + ?, "
        "thought_tokens = thought_tokens + ? WHERE thread_id = ? AND key = ?",
        (
            *(spent.model_calls, spent.input_tokens, spent.output_tokens, spent.cost),
            *(lost.calls, lost.input_tokens, lost.output_tokens, lost.most_tokens, lost.most_cost, lost.input_cost),
            *(lost.streamed_calls, lost.streamed_output, *spent.details),
            *child,
        ),
    )
