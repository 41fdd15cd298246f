"""Verifies every stored byte that a run needs, and continues past any damage (promise P12).

One consistent view of the database is checked: its pages; the rows of the run and of its child runs, and those that
it needs of the runs it was forked from, for matching checksums, readable contents and completeness; and everything
that they refer to, by its hash. Safe at any time, also while the run executes.
"""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from ..blobs.deltas import DeltaError, TextDelta
from ..blobs.store import Blobs, content_hash
from ..db.corruption import is_damage, until_damage
from ..db.opening import connected
from ..db.store_errors import as_store_error
from ..db.tables import TABLES
from ..errors import CHANGED, MISSING, StoredDataDamaged
from .report import Kind, Report
from .verify_citations import check_citations
from .verify_context import Checking, OnProgress, unreadable
from .verify_rows import CheckedRows

_TABLES: dict[Kind, str] = {"text": "texts", "snapshot": "manifests", "piece": "chunks"}
_ALL_TABLES = (*(table.name for table in TABLES), *_TABLES.values(), "recipes", "leases", "counters", "home")
_MOST_FAULTS = 5


def verify(
    path: Path,
    blobs: Blobs,
    thread_id: str,
    *,
    on_progress: OnProgress = lambda records, size, kind: None,
    cancelled: Callable[[], bool] = lambda: False,
    pages: bool = True,
    sound: set[tuple[str, str]] | None = None,
) -> Report:
    """Check the run `thread_id` in the database at `path` and return the report.

    Of several runs of a home that are checked one after another, all but the first need no check of the file's `pages`;
    contents that are found intact are added to `sound` by kind and name, and those in it are not read again.

    Synchronous and long (at the speed of a disk): call it in a thread. Raises StoreError when the file cannot be opened
    at all, and InterruptedError once `cancelled()`.
    """
    try:
        with connected(path) as connection:
            connection.set_progress_handler(cancelled, 10_000)
            connection.execute("BEGIN")
            checking = Checking(connection, thread_id, on_progress, cancelled)
            with closing(checking.needs):
                return _Verification(checking, blobs, set() if sound is None else sound).run(pages=pages)
    except sqlite3.Error as error:
        if cancelled():
            raise InterruptedError from None
        raise as_store_error(error, path) from error


class _Verification:
    def __init__(self, checking: Checking, blobs: Blobs, sound: set[tuple[str, str]]) -> None:
        self._sound = sound
        self._checking = checking
        self._connection = checking.connection
        self._blobs = blobs
        self._rows: list[CheckedRows] = []
        """The rows of the thread and of its child runs."""

    def run(self, *, pages: bool) -> Report:
        """Check everything and return the report."""
        report, needs = self._checking.report, self._checking.needs
        for table in _ALL_TABLES if pages else ():
            self._check_pages(table)
        self._check_counter()
        own = CheckedRows(self._checking, report.thread_id)
        own.check()
        self._rows.append(own)
        self._check_children(own.children)
        self._check_snapshots()
        for kind in ("text", "piece", "input"):
            for name in needs.names(kind):
                self._check_content(kind, name)
        for rows in self._rows:
            check_citations(self._checking, self._blobs, rows.context, rows.cited, self._text, rows.place)
        needs.settle(report, own.calls, own.lost_calls, self._manifest)
        return report

    def _check_pages(self, table: str) -> None:
        """Check every page of a table and its indexes with SQLite. All runs of a home share the file."""
        query = f"SELECT integrity_check FROM pragma_integrity_check('{table}')"
        found, why = until_damage(self._connection, query)
        faults = [line for [said] in found if said != "ok" for line in said.splitlines()] + ([why] if why else [])
        faults = [fault for fault in faults if not fault.startswith("***")]
        if faults:
            more = f", and {len(faults) - _MOST_FAULTS:,} more" if len(faults) > _MOST_FAULTS else ""
            fault = f"has damaged pages ({'; '.join(faults[:_MOST_FAULTS])}{more})"
            self._checking.problem("database", f"table {table}", fault, "checkpoints.sqlite")

    def _check_counter(self) -> None:
        """Check that the counter of settled calls is not below any call's number."""
        try:
            [counted] = self._connection.execute("SELECT max(value) FROM counters WHERE name = 'settled'").fetchone()
            [used] = self._connection.execute("SELECT max(settled) FROM calls").fetchone()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return
        if counted is None or counted < (used or 0):
            fault = MISSING if counted is None else CHANGED
            self._checking.problem("database", "counter settled", fault, "table counters", ["the order of new answers"])

    def _check_children(self, names: list[str]) -> None:
        known = {self._checking.report.thread_id}
        there = "SELECT 1 FROM threads WHERE thread_id = ? UNION SELECT 1 FROM checkpoints WHERE thread_id = ?"
        while names := [name for name in names if name not in known]:
            known.update(names)
            found: list[str] = []
            for name in names:
                if self._connection.execute(there, (name, name)).fetchone():
                    child = CheckedRows(self._checking, name)
                    child.check()
                    self._rows.append(child)
                    found += child.children
            names = found

    def _check_snapshots(self) -> None:
        needs = self._checking.needs
        names = list(needs.names("snapshot"))
        known = set(names)
        while names:
            self._check_content("snapshot", name := names.pop())
            if manifest := self._manifest(name):
                for group in manifest["groups"]:
                    for piece in group["chunks"]:
                        needs.add_part("piece", piece)
                base = manifest["base"]
                if base and base not in known:
                    known.add(base)
                    names.append(base)

    def _manifest(self, name: str) -> dict[str, Any] | None:
        """Return a snapshot's manifest, None when it is damaged."""
        body, fault, _ = self._row("snapshot", name)
        return None if fault or body is None else json.loads(body)

    def _check_content(self, kind: Kind, name: str) -> None:
        if (kind, name) in self._sound:
            self._checking.count(kind, 0)
            return
        body, fault, where = self._row(kind, name)
        if body is None and fault is None:
            fault, size, where = self._file(kind, name)
            if kind == "text" and fault == MISSING:
                fault, size, where = self._recipe(name) or (fault, size, where)
            self._checking.count(kind, size, already=size)
        else:
            self._checking.count(kind, len(body or b""))
        if fault:
            self._checking.needs.damaged(self._checking.problem(kind, name, fault, where))
        else:
            self._sound.add((kind, name))

    def _row(self, kind: Kind, name: str) -> tuple[bytes | None, str | None, str]:
        """Return the body in the database, if there is one, its fault, and its table."""
        table = _TABLES.get(kind)
        if table is None:
            return None, None, ""
        where = f"table {table}"
        try:
            row = self._connection.execute(f"SELECT CAST(body AS BLOB) FROM {table} WHERE hash = ?", (name,)).fetchone()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return None, unreadable(error), where
        if row is None:
            return None, MISSING if kind == "snapshot" else None, where
        return row[0], None if content_hash(row[0]) == name else CHANGED, where

    def _text(self, name: str) -> str | None:
        """Return a text; None when it is damaged."""
        body, fault, _ = self._row("text", name)
        try:
            return None if fault else (body or self._blobs.read(name)).decode()
        except (StoredDataDamaged, UnicodeDecodeError):
            return None

    def _recipe(self, name: str) -> tuple[str | None, int, str] | None:
        """Return the fault of a text stored as a delta, its bytes, and the damaged place; None when it has no delta."""
        size = 0
        try:
            select = "SELECT CAST(body AS BLOB) FROM recipes WHERE hash = ?"
            row = self._connection.execute(select, (name,)).fetchone()
            if row is None:
                return None
            for chunk in TextDelta.from_json(name, row[0]).chunks(self._blobs):
                size += len(chunk)
                self._checking.read("text", len(chunk))
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return unreadable(error), size, "table recipes"
        except DeltaError as fault:
            return str(fault), size, fault.where
        return None, size, "table recipes"

    def _file(self, kind: Kind, name: str) -> tuple[str | None, int, str]:
        """Return the fault of a blob, its bytes, and its path."""
        size = 0

        def progress(count: int) -> None:
            nonlocal size
            size += count
            self._checking.read(kind, count)

        fault = self._blobs.fault(name, progress=progress)
        where = f"blobs/{name[:2]}/{name[2:]}"
        if fault == MISSING and kind != "input":
            # Small ones are rows: the size of this one is unknown.
            tables = "tables texts and recipes" if kind == "text" else f"table {_TABLES[kind]}"
            where = f"{tables}, or {where}"
        return fault, size, where
