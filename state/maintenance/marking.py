"""Marks everything that the records of a home need, in one view of its database.

Everything that looks like a hash counts. What cannot be read is named: its references are unknown. A snapshot needs
its chunks and the snapshot that it builds on; a text that is stored as a delta needs the blobs that it is cut from.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ..blobs.deltas import DeltaError, TextDelta
from ..blobs.store import content_hash
from ..db.checksums import checksum_mismatch_sql
from ..db.corruption import is_damage
from ..db.tables import TABLES
from ..errors import CHANGED
from .delete import shown_name
from .references import hashes_in, references_in

_BATCH = 500
EVERYTHING = float("inf")
"""The cutoff with which only what is referred to is marked, however recently the rest was needed."""


class UnreadablePages(Exception):
    """A damaged page hides what the runs refer to."""


class Marks:
    """The hashes that are needed, in the temporary table `marks` of a connection."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        cutoff: float,
        step: Callable[[], None] = lambda: None,
        unreadable: dict[str, str] | None = None,
    ) -> None:
        """Mark for `connection`. What was touched since `cutoff` counts as needed; `step` is called for each record."""
        self.unreadable = {} if unreadable is None else unreadable
        """Unreadable records, by thread."""
        self._connection = connection
        self._cutoff = cutoff
        self._step = step
        self._serde = JsonPlusSerializer(allowed_msgpack_modules=None)
        connection.execute("CREATE TEMP TABLE marks (hash TEXT PRIMARY KEY) WITHOUT ROWID")
        connection.execute("CREATE TEMP TABLE wanted (hash TEXT PRIMARY KEY, thread_id TEXT) WITHOUT ROWID")

    def find(self) -> None:
        """Mark everything within the current transaction. Raises UnreadablePages."""
        for thread_id, references, snapshots in self._references():
            self._mark(references)
            self._connection.executemany(
                "INSERT OR IGNORE INTO wanted VALUES (?, ?)", ((name, thread_id) for name in snapshots)
            )
            self._step()
        self._mark_snapshots()
        self._mark_recipes()

    def has(self, name: str) -> bool:
        """Return whether something needs the record with this hash."""
        return self._connection.execute("SELECT 1 FROM marks WHERE hash = ?", (name,)).fetchone() is not None

    def _references(self) -> Iterator[tuple[str, set[str], set[str]]]:
        """Yield for every row with references its thread, all hashes in it, and those of snapshots."""
        for table in (table for table in TABLES if table.referring):
            form = "type" if table.bodies else "NULL"
            values = ", ".join(f"CAST({column} AS BLOB)" for column in table.referring)
            select = f"SELECT thread_id, {checksum_mismatch_sql(table)}, {form}, {values} FROM {table.name}"
            for thread_id, damaged, form, *bodies in self._rows(select, table.name):
                snapshots = set[str]()
                if damaged:
                    self._cannot_read(thread_id, f"a row of {table.name} has changed on disk")
                elif form:
                    snapshots = self._snapshots_in(thread_id, table.name, form, bodies[0])
                yield thread_id, set[str]().union(*(hashes_in(body or b"") for body in bodies)), snapshots

    def _rows(self, select: str, table: str, *parameters: Any) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(select, parameters)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            raise UnreadablePages(f"a part of {table} cannot be read ({error})") from error

    def _snapshots_in(self, thread_id: str, table: str, form: str, body: bytes) -> set[str]:
        try:
            value = self._serde.loads_typed((form, body))
        except Exception as error:
            self._cannot_read(thread_id, f"a row of {table} cannot be understood ({error})")
            return set()
        return {reference.name for reference in references_in(value) if reference.kind == "snapshot"}

    def _cannot_read(self, thread_id: str, why: str) -> None:
        self.unreadable.setdefault(shown_name(thread_id), why)

    def _mark(self, hashes: set[str]) -> None:
        self._connection.executemany("INSERT OR IGNORE INTO marks VALUES (?)", ((name,) for name in hashes))

    def _mark_snapshots(self) -> None:
        """Mark what the wanted and the recent snapshots are made of, one after another."""
        execute = self._connection.execute
        execute("INSERT OR IGNORE INTO wanted SELECT hash, '*' FROM manifests WHERE touched >= ?", (self._cutoff,))
        execute("CREATE TEMP TABLE followed (hash TEXT PRIMARY KEY) WITHOUT ROWID")
        following = "SELECT hash, thread_id FROM wanted WHERE hash NOT IN (SELECT hash FROM followed) LIMIT ?"
        while batch := execute(following, (_BATCH,)).fetchall():
            for name, thread_id in batch:
                select = f"SELECT CAST(body AS BLOB) FROM manifests WHERE hash = '{name}'"
                body = next(self._rows(select, "manifests"), (b"",))[0]
                if content_hash(body) != name:
                    self._cannot_read(thread_id, f"the snapshot {name[:12]}… is damaged")
                else:
                    self._mark({name, *hashes_in(body)})
                    if base := json.loads(body)["base"]:
                        execute("INSERT OR IGNORE INTO wanted VALUES (?, ?)", (base, thread_id))
                execute("INSERT INTO followed VALUES (?)", (name,))
                self._step()

    def _mark_recipes(self) -> None:
        """Mark the blobs that needed and recent texts are cut from."""
        select = (
            f"SELECT hash, CAST(body AS BLOB) FROM recipes WHERE hash > ? "
            f"AND (touched >= ? OR hash IN (SELECT hash FROM marks)) ORDER BY hash LIMIT {_BATCH}"
        )
        last = ""
        while batch := list(self._rows(select, "recipes", last, self._cutoff)):
            for name, body in batch:
                try:
                    self._mark(set(TextDelta.from_json(name, body).blobs))
                except DeltaError:
                    self._cannot_read("*", f"what the text {name[:12]}… is put together from {CHANGED}")
                self._step()
            last = batch[-1][0]
