"""What all parts of a check share: the view of the database, what is found, and word of how far it is."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from .references import Needs
from .report import Kind, Problem, Report

Tell = Callable[[int, int, str], None]
"""Called with how many records and bytes have been checked, and the kind of what is being checked."""


class Checking:
    """One check of one run."""

    def __init__(
        self, connection: sqlite3.Connection, thread_id: str, tell: Tell, cancelled: Callable[[], bool]
    ) -> None:
        self.connection = connection
        self.report = Report(thread_id)
        self.needs = Needs()
        self._tell = tell
        self._cancelled = cancelled
        self._records = self._bytes = 0

    def count(self, kind: Kind, size: int, *, already: int = 0) -> None:
        """A record has been read, `already` bytes of it said so before. Raises InterruptedError when cancelled."""
        self.report.checked[kind].add(size)
        self._records += 1
        self.read(kind, size - already)

    def read(self, kind: Kind, size: int) -> None:
        """Some bytes of a record have been read. Raises InterruptedError when the check is cancelled."""
        if self._cancelled():
            raise InterruptedError
        self._bytes += size
        self._tell(self._records, self._bytes, kind)

    def problem(self, kind: Kind, name: str, fault: str, where: str, needed_by: Iterable[str] = ()) -> Problem:
        """Something is wrong with a record."""
        problem = Problem(kind, name, fault, where, list(needed_by))
        self.report.problems.append(problem)
        return problem


def size_of(values: Iterable[Any]) -> int:
    """Bytes of a row's values, numbers as 8."""
    return sum(len(value) if isinstance(value, str | bytes) else 8 for value in values if value is not None)


def unreadable(why: object) -> str:
    """The fault of what SQLite or the disk does not give."""
    return f"cannot be read ({why})"
