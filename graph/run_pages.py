"""The list of runs by pages, with what needs a person and what is running: for a home of any number of runs.

Sums and answers are read for the runs of one page only.
"""

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ..state.answer_tables import TableHead
from ..state.blobs.texts import LARGE
from ..state.errors import StoredDataDamaged, StoreError
from ..state.executions import Execution
from ..state.records import AnswerRef
from ..state.run_pages import Filter, Place
from ..state.saved_answers import latest_answers
from ..state.stores import Stores
from ..state.summaries import first_line
from ..state.threads import Thread
from ..state.usage import UsageTotals
from ..state.wording import counted
from .queries import run_summary
from .spent import Spent, spent_by

PER_PAGE = 50
MOST_ASKING = 8
"""The number of runs that are shown at most of those that need a person, and of those that are running."""
_NAMES, _NEAR, _LONGEST_NAME = 1_000, 5, 100
_FIRST_LINE = 400
"""Characters of an answer's first line."""


@dataclass(frozen=True)
class RunsPage:
    """A page of the list of runs."""

    runs: list[dict[str, Any]]
    """Entries of `rlm list --json`, each with `sub_rlms` (the number of runs below it), `fork_of` and `answer` (the
    first line of it, None without one)."""
    newer: Place | None
    """The place to read on from for the page before this one; None on the first page."""
    older: Place | None
    """The place to read on from for the next page; None on the last page."""


@dataclass(frozen=True)
class RunsNow:
    """The runs that need a person, and those that are running."""

    waiting: list[dict[str, Any]]
    """Entries of `rlm list --json` of runs that wait for a person, each with `asks`: for what, in words."""
    waiting_count: int
    running: list[dict[str, Any]]
    """Entries of `rlm list --json` of runs that a process runs now, each with `limits`, `seconds` (of earlier
    executions) and `begun` (seconds since 1970)."""
    running_count: int


async def runs_page(
    stores: Stores,
    wanted: Filter,
    *,
    after: Place | None = None,
    before: Place | None = None,
    limit: int = PER_PAGE,
) -> RunsPage:
    """Return the runs that are wanted, `limit` at most: those behind `after`, or those before `before`.

    Raises StoreError.
    """
    alive = await _alive(stores)
    rows = await _rows(stores, wanted, alive, limit + 1, after=after, before=before)
    beyond = len(rows) > limit
    shown = rows[-limit:] if before else rows[:limit]
    first, last = (_place(shown[0]), _place(shown[-1])) if shown else (None, None)
    backwards = before is not None
    newer = first if after or (backwards and beyond) else None
    older = last if backwards or beyond else None
    return RunsPage(await _entries(stores, shown, alive), newer, older)


async def runs_now(stores: Stores) -> RunsNow:
    """Return what needs a person and what is running, of each kind the latest. Raises StoreError."""
    alive = await _alive(stores)
    paused, busy = Filter("paused"), Filter("busy")
    waiting = await _rows(stores, paused, alive, MOST_ASKING)
    running = await _rows(stores, busy, alive, MOST_ASKING) if alive else []
    many = len(waiting) == MOST_ASKING, len(running) == MOST_ASKING
    return RunsNow(
        [
            {**entry, "asks": await _asks(stores, entry["thread_id"])}
            for entry in await _summaries(stores, waiting, alive)
        ],
        await stores.run_pages.count(paused, alive) if many[0] else len(waiting),
        await _under_way(stores, running, alive),
        await stores.run_pages.count(busy, alive) if many[1] else len(running),
    )


async def near_names(stores: Stores, name: str) -> list[str]:
    """Return the names of late runs that `name` may have been meant for, the nearest first. Raises StoreError."""
    names = await stores.run_pages.latest_names(_NAMES)
    within = [one for one in names if name[:_LONGEST_NAME].lower() in one.lower()]
    close = get_close_matches(name[:_LONGEST_NAME], names, n=_NEAR, cutoff=0.5)
    return [*dict.fromkeys([*within[:_NEAR], *close])][:_NEAR]


async def _alive(stores: Stores) -> set[str]:
    """Return the names of the runs that processes run now."""
    return set(await stores.leases.alive())


async def _rows(
    stores: Stores,
    wanted: Filter,
    alive: Collection[str],
    limit: int,
    *,
    after: Place | None = None,
    before: Place | None = None,
) -> list[Thread]:
    try:
        return await stores.run_pages.page(wanted, alive, limit, after=after, before=before)
    except StoredDataDamaged:
        # A page of the index is damaged: all that can be read, in order, without what needs the index.
        every = [row for row in await stores.threads.all() if row.caller == wanted.caller]
        wished = [row for row in every if not wanted.status or _standing(row, alive) == wanted.status]
        if after:
            wished = [row for row in wished if _key(_place(row)) > _key(after)]
        if before:
            return [row for row in wished if _key(_place(row)) < _key(before)][-limit:]
        return wished[:limit]


def _standing(row: Thread, alive: Collection[str]) -> str:
    if row.status != "running":
        return row.status
    return "busy" if row.thread_id in alive else "stopped"


def _place(row: Thread) -> Place:
    return Place(row.updated, row.thread_id)


def _key(place: Place) -> tuple[float, str]:
    return -place.updated, place.thread_id


async def _summaries(stores: Stores, rows: list[Thread], alive: Collection[str]) -> list[dict[str, Any]]:
    spent = await spent_by(stores, await _spent(stores, rows), alive)
    return [
        {**run_summary(row, row.thread_id in alive, spent.get(row.thread_id, Spent())), "fork_of": row.parent}
        for row in rows
    ]


async def _spent(stores: Stores, rows: list[Thread]) -> dict[str, UsageTotals | None]:
    """Return what each run has spent; None for those whose calls cannot be read."""
    names = [row.thread_id for row in rows]
    try:
        return {**await stores.spending.of(names)}
    except StoredDataDamaged:
        found: dict[str, UsageTotals | None] = {}
        for name in names:
            try:
                found |= await stores.spending.of([name])
            except StoredDataDamaged:
                found[name] = None
        return found


async def _entries(stores: Stores, rows: list[Thread], alive: Collection[str]) -> list[dict[str, Any]]:
    names = [row.thread_id for row in rows]
    try:
        below = await stores.run_pages.below(names)
        answers = await latest_answers(
            stores.database, [row.thread_id for row in rows if row.status == "answered" and not row.damaged]
        )
    except StoredDataDamaged:
        below, answers = {}, {}
    lines = await _first_lines(stores, answers)
    return [
        {**entry, "sub_rlms": below.get(entry["thread_id"], 0), "answer": lines.get(entry["thread_id"])}
        for entry in await _summaries(stores, rows, alive)
    ]


async def _first_lines(stores: Stores, answers: dict[str, AnswerRef]) -> dict[str, str]:
    """Return the first line of each answer, by run."""
    texts = await stores.texts.beginnings([answer["text"] for answer in answers.values()], _FIRST_LINE)
    return {name: _first_line(answer, texts.get(answer["text"])) for name, answer in answers.items()}


def _first_line(answer: AnswerRef, text: str | None) -> str:
    if text is None:
        return f"[a text of more than {LARGE >> 10} KB, or one that cannot be read]"
    if "table" in answer:
        return _about_table(text)
    return first_line(text)


def _about_table(head: str) -> str:
    try:
        table = TableHead.from_json(head)
    except (ValueError, KeyError, TypeError):
        return "[a table]"
    columns = ", ".join(column.name for column in table.columns)
    return f"{counted(table.rows, 'row')}: {columns}"


async def _last_execution(stores: Stores, thread_id: str) -> Execution | None:
    try:
        found = await stores.executions.of(thread_id)
    except StoreError:
        return None
    return found[-1] if found else None


async def _asks(stores: Stores, thread_id: str) -> str:
    last = await _last_execution(stores, thread_id)
    return last.detail or "" if last and last.outcome == "paused" else ""


async def _under_way(stores: Stores, rows: list[Thread], alive: Collection[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for row, entry in zip(rows, await _summaries(stores, rows, alive), strict=True):
        last = await _last_execution(stores, row.thread_id)
        begun = last.begun if last and last.ended is None else row.created
        found.append({**entry, "limits": row.limits.model_dump(), "seconds": row.seconds, "begun": begun})
    return found
