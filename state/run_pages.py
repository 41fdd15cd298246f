"""Reads the index of runs by parts, so that a home of thousands of runs is listed as fast as one of ten."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from .db.connection import Database
from .threads import DELETED, SELECT_RUN, Thread, read_thread

_MOST_WORDS = 8
_LONGEST_TEXT = 10_000
"""Characters of a question that are searched."""
# A sub-RLM whose caller was deleted is listed like any other run, or nothing would lead to it.
_CALLER = (
    "(SELECT caller FROM children WHERE children.thread_id = threads.thread_id AND EXISTS (SELECT 1 FROM threads above "
    f"WHERE above.thread_id = children.caller AND above.status != '{DELETED}'))"
)
_OF = "thread_id IN (SELECT value FROM json_each(?))"
_LIKE = f"(substr(question, 1, {_LONGEST_TEXT}) LIKE ? ESCAPE '\\' OR thread_id LIKE ? ESCAPE '\\')"


@dataclass(frozen=True)
class Place:
    """A place in the list of runs: that of the run with this time of its last change and this name."""

    updated: float
    thread_id: str


@dataclass(frozen=True)
class Filter:
    """The runs that are wanted."""

    status: str = ""
    """A saved status, or `busy`; empty: any. A run that no process runs any more is `stopped`."""
    words: Sequence[str] = ()
    """Each must stand in the question or in the name, in any case of ASCII letters."""
    found: Collection[str] = ()
    """The names of runs that are wanted, too, where there are `words`: those in which a search has found them."""
    caller: str | None = None
    """The run whose sub-RLMs are wanted; None: runs that no other run has called."""

    def condition(self, alive: Collection[str]) -> tuple[str, list[Any]]:
        """Return the filter in SQL, with its parameters. `alive`: the runs that processes run now."""
        parts = [f"{_CALLER} IS ?"]
        values: list[Any] = [self.caller]
        living = _json(alive)
        match self.status:
            case "":
                pass
            case "busy":
                parts.append(f"status = 'running' AND {_OF}")
                values.append(living)
            case "stopped":
                parts.append(f"(status = 'stopped' OR status = 'running' AND NOT {_OF})")
                values.append(living)
            case _:
                parts.append("status = ?")
                values.append(self.status)
        if words := self.words[:_MOST_WORDS]:
            parts.append(f"({' AND '.join([_LIKE] * len(words))} OR {_OF})")
            values += [f"%{_literal(word)}%" for word in words for _ in range(2)]
            values.append(_json(self.found))
        return " AND ".join(parts), values


def _literal(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _json(names: Collection[str]) -> str:
    return json.dumps([*names])


class RunPages:
    """Reads pages of the index of runs, the run that was touched last first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        wanted: Filter,
        alive: Collection[str],
        limit: int,
        *,
        after: Place | None = None,
        before: Place | None = None,
    ) -> list[Thread]:
        """Return the first `limit` runs that are wanted, those that follow `after`, or the last ones before `before`.

        Raises StoreError, StoredDataDamaged.
        """
        condition, values = wanted.condition(alive)
        order = "updated DESC, thread_id"
        if after:
            condition += " AND updated <= ? AND (updated < ? OR thread_id > ?)"
            values += [after.updated, after.updated, after.thread_id]
        elif before:
            condition += " AND updated >= ? AND (updated > ? OR thread_id < ?)"
            values += [before.updated, before.updated, before.thread_id]
            order = "updated, thread_id DESC"
        rows = await self._database.read(f"{SELECT_RUN} AND {condition} ORDER BY {order} LIMIT ?", (*values, limit))
        found = [read_thread(row) for row in rows]
        return found[::-1] if before and not after else found

    async def count(self, wanted: Filter, alive: Collection[str]) -> int:
        """Return the number of runs that are wanted. Raises StoreError."""
        condition, values = wanted.condition(alive)
        query = f"SELECT count(*) FROM threads WHERE status != '{DELETED}' AND {condition}"
        [[number]] = await self._database.read(query, tuple(values))
        return int(number)

    async def latest_names(self, limit: int) -> list[str]:
        """Return the names of the runs that were touched last and that no other run has called. Raises StoreError."""
        condition, values = Filter().condition(())
        query = (
            f"SELECT thread_id FROM threads WHERE status != '{DELETED}' AND {condition} ORDER BY updated DESC LIMIT ?"
        )
        return [str(name) for [name] in await self._database.read(query, (*values, limit))]

    async def below(self, thread_ids: Collection[str]) -> dict[str, int]:
        """Return the number of sub-RLMs below each of these runs that has any, at all levels. Raises StoreError."""
        rows = await self._database.read(_BELOW, (_json(thread_ids),))
        return {top: int(number) for top, number in rows}


_BELOW = f"""
WITH RECURSIVE trees (top, thread_id) AS (
    SELECT value, value FROM json_each(?)
    UNION SELECT top, children.thread_id FROM children JOIN trees ON children.caller = trees.thread_id
)
SELECT top, count(*) - 1 FROM trees JOIN threads USING (thread_id) WHERE status != '{DELETED}'
GROUP BY top HAVING count(*) > 1
"""
