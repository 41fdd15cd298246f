"""The shared parts of a verification: the view of the database, the findings, and the progress reports."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from .references import Needs
from .report import Kind, Problem, Report

OnProgress = Callable[[int, int, str], None]
"""Called with the numbers of records and bytes checked so far, and the kind of the current record."""


class Checking:
    """One verification of one run."""

    def __init__(
        self, connection: sqlite3.Connection, thread_id: str, on_progress: OnProgress, cancelled: Callable[[], bool]
    ) -> None:
        self.connection = connection
        self.report = Report(thread_id)
        self.needs = Needs()
        self._on_progress = on_progress
        self._cancelled = cancelled
        self._records = self._bytes = 0

    def count(self, kind: Kind, size: int, *, already: int = 0) -> None:
        """Count a record as read. `already`: its bytes counted before. Raises InterruptedError when cancelled."""
        self.report.checked[kind].add(size)
        self._records += 1
        self.read(kind, size - already)

    def read(self, kind: Kind, size: int) -> None:
        """Count bytes of a record as read. Raises InterruptedError when cancelled."""
        if self._cancelled():
            raise InterruptedError
        self._bytes += size
        self._on_progress(self._records, self._bytes, kind)

    def problem(self, kind: Kind, name: str, fault: str, where: str, needed_by: Iterable[str] = ()) -> Problem:
        """Report a damaged record."""
        problem = Problem(kind, name, fault, where, list(needed_by))
        self.report.problems.append(problem)
        return problem


def size_of(values: Iterable[Any]) -> int:
    """Return the bytes of a row's values, numbers as 8."""
    return sum(len(value) if isinstance(value, str | bytes) else 8 for value in values if value is not None)


def unreadable(why: object) -> str:
    """Return the fault of a record that SQLite or the disk cannot read."""
    return f"cannot be read ({why})"
