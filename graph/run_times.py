"""Reads when a run did what: its turns, its executions, its sub-RLMs, and how many calls were under way."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..state.db.lineage import BELOW
from ..state.executions import Execution
from ..state.stores import Stores
from ..state.threads import DELETED, Thread
from ..state.turn_calls import calls_under_way
from ..state.turn_rows import TurnRow

PARTS = 4_000
"""Parts of a run's time in which calls are counted."""
MOST_CHILDREN = 400
_ALWAYS = (float("-inf"), float("inf"))
_CHILD = (
    "thread_id, substr(question, 1, 200), status, turns, created, updated, "
    "(SELECT depth FROM children WHERE children.thread_id = threads.thread_id)"
)
_CHILDREN = (
    f"{BELOW} SELECT {_CHILD} FROM threads WHERE thread_id IN below AND status != '{DELETED}' "
    "AND (created, thread_id) > (?, ?) AND created <= ? AND updated >= ? ORDER BY created, thread_id LIMIT ?"
)
_COUNT = f"{BELOW} SELECT count(*) FROM threads WHERE thread_id IN below AND status != '{DELETED}'"
_FORKS = f"""
SELECT thread_id, substr(question, 1, 200), status FROM threads WHERE parent = ? AND status != '{DELETED}'
ORDER BY created, thread_id LIMIT ?
"""


@dataclass(frozen=True)
class ChildRun:
    """A sub-RLM below a run. Times are seconds since 1970."""

    thread_id: str
    question: str
    """Its first 200 characters."""
    status: str
    """As it is saved: `running` also when no process runs it."""
    turns: int
    created: float
    updated: float
    depth: int


@dataclass(frozen=True)
class RunTimes:
    """The times of a run, in seconds since 1970."""

    begin: float
    end: float
    """Now, while it is under way."""
    alive: bool
    turns: Sequence[TurnRow]
    """One for every turn; damaged ones have no times."""
    executions: Sequence[Execution]
    children: Sequence[ChildRun]
    """Those of this time, the first 400 of them."""
    flights: Sequence[tuple[float, float, int]]
    """Sub-calls under way: from, until, and how many began and ended at these times."""


async def run_times(stores: Stores, row: Thread, *, alive: bool, first: int = 1, last: int | None = None) -> RunTimes:
    """Return the times of a run, or of its turns `first` to `last`. Raises StoreError."""
    turns = await stores.turn_rows.page(row.thread_id, first, last)
    executions = [one for one in await stores.executions.of(row.thread_id) if not one.damaged]
    moments = [at for turn in turns for at in _moments(turn)]
    part = first > 1 or last is not None
    begin = min(moments if part and moments else [row.created, *moments])
    end: float = max([*moments, begin + 0.001, *([] if part else [row.updated])])
    if alive and not part:
        end = max(end, stores.threads.now())
    within = (begin, end) if part else _ALWAYS
    children = await children_page(stores, row.thread_id, most=MOST_CHILDREN, within=within)
    flights = await calls_under_way(stores.database, row.thread_id, begin, end, PARTS)
    width = (end - begin) / PARTS
    # In the part in which some calls end, others begin: they were not under way together.
    spans = [(begin + one * width, begin + max(other, one + 1) * width, count) for one, other, count in flights]
    return RunTimes(begin, end, alive and not part, turns, executions, children, spans)


def _moments(turn: TurnRow) -> list[float]:
    known = (turn.asked, turn.planned, turn.began, turn.ended, turn.first_call, turn.last_call)
    return [at for at in known if at is not None]


async def children_page(
    stores: Stores,
    thread_id: str,
    after: tuple[float, str] = (0.0, ""),
    *,
    most: int,
    within: tuple[float, float] = _ALWAYS,
) -> list[ChildRun]:
    """Return the sub-RLMs below a run, the oldest first, from behind `after` on (when one was created, and its name).

    `within`: only those that were under way between two times. Raises StoreError.
    """
    rows = await stores.database.read(_CHILDREN, (thread_id, *after, within[1], within[0], most))
    return [
        ChildRun(str(name), str(question), str(status), int(turns), float(created), float(updated), int(depth or 0))
        for name, question, status, turns, created, updated, depth in rows
    ]


async def count_children(stores: Stores, thread_id: str) -> int:
    """Return the number of sub-RLMs below a run. Raises StoreError."""
    return int((await stores.database.read(_COUNT, (thread_id,)))[0][0])


@dataclass(frozen=True)
class ForkOf:
    """A run that was forked from another one."""

    thread_id: str
    question: str
    status: str


async def forks_of(stores: Stores, thread_id: str, most: int = 100) -> list[ForkOf]:
    """Return the runs that were forked from a run, the oldest first. Raises StoreError."""
    rows = await stores.database.read(_FORKS, (thread_id, most))
    return [ForkOf(str(name), str(question), str(status)) for name, question, status in rows]
