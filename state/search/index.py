"""Opens the index of an input, and searches in it.

The file is the home's own, and its contents are still not trusted further than they must be: it is opened for reading
only, its schema runs no function, and the places it gives are checked by the caller.
"""

import contextlib
import os
import sqlite3
import stat
import threading
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Self
from urllib.parse import quote

from ...matching.search_words import wanted
from ..errors import RlmError
from .build import TOKENIZE, Source, build

_FREQUENT = 5
"""A word in more than a fifth of the passages is left out when a rarer one is there."""
_MOST_SECONDS = 30.0
_STEPS = 100_000
_SETTINGS = ("trusted_schema=OFF", "cell_size_check=ON", "temp_store=MEMORY", "cache_size=-16384")


class SearchUnavailable(RlmError):
    """The input cannot be searched."""


class DamagedIndex(Exception):
    """A file is not the index that it should be, and has to be built again."""


Found = tuple[int, int, int, int, int, float]
"""A document's number, first byte and end of the passage, its first character and line, and the score."""


def ensure_available() -> None:
    """Raise SearchUnavailable when Python's SQLite is without full-text search."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        try:
            database.execute(f'CREATE VIRTUAL TABLE words USING fts5(text, tokenize="{TOKENIZE}")')
        except sqlite3.OperationalError as error:
            raise SearchUnavailable(
                f"This Python's SQLite ({sqlite3.sqlite_version}) has no full-text search: {error}.",
                hint="Use `grep`, or a Python whose SQLite is compiled with FTS5.",
            ) from None


class Index:
    """An open index. One thread at a time searches in it."""

    def __init__(self, database: sqlite3.Connection, name: str) -> None:
        """Raises DamagedIndex when this is not the index of the input `name`."""
        self._database = database
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._until = 0.0
        try:
            for one in _SETTINGS:
                database.execute(f"PRAGMA {one}").fetchall()
            [(source, count)] = database.execute("SELECT source, passages FROM about").fetchall()
            database.execute("CREATE VIRTUAL TABLE temp.counts USING fts5vocab(main, words, row)")
            database.execute("PRAGMA query_only=ON")
        except (sqlite3.Error, ValueError) as error:
            raise DamagedIndex(str(error)) from error
        if source != name or type(count) is not int:
            raise DamagedIndex("the index of another input")
        self._passages = count
        self._words = sqlite3.connect(":memory:", check_same_thread=False)
        self._words.executescript(
            f'CREATE VIRTUAL TABLE words USING fts5(text, tokenize="{TOKENIZE}");'
            "CREATE VIRTUAL TABLE terms USING fts5vocab(words, instance);"
        )
        database.set_progress_handler(self._is_over, _STEPS)

    @classmethod
    def open(cls, path: Path, name: str) -> Self:
        """Open the index in a file. Raises FileNotFoundError, DamagedIndex."""
        facts = path.lstat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
            raise DamagedIndex("a file that others may have written")
        uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
        try:
            database = sqlite3.connect(uri, uri=True, check_same_thread=False)
        except sqlite3.Error as error:
            raise DamagedIndex(str(error)) from error
        return cls._of(database, name)

    @classmethod
    def in_memory(cls, source: Source, name: str) -> Self:
        """Build the index of a small input in memory. Raises sqlite3.Error, OSError."""
        database = sqlite3.connect(":memory:", check_same_thread=False)
        build(database, source, name)
        return cls._of(database, name)

    @classmethod
    def _of(cls, database: sqlite3.Connection, name: str) -> Self:
        try:
            return cls(database, name)
        except BaseException:
            database.close()
            raise

    def search(
        self,
        words: str,
        k: int,
        ranges: Sequence[tuple[int, int]] = (),
        stopped: threading.Event | None = None,
    ) -> list[Found]:
        """Return the best `k` passages that have some of the words, in documents within one of the ranges, if any.

        Raises SearchUnavailable when it takes too long, InterruptedError once `stopped` is set, DamagedIndex.
        """
        with self._lock:
            self._stopped = stopped or threading.Event()
            self._until = monotonic() + _MOST_SECONDS
            try:
                query = self._query(words)
                if not query:
                    return []
                allowed = self._allowed(ranges) if ranges else None
                return self._found(self._ranked(query, k, allowed))
            except sqlite3.OperationalError as error:
                if self._stopped.is_set():
                    raise InterruptedError from None
                if monotonic() >= self._until:
                    raise SearchUnavailable(
                        f"The search took longer than {_MOST_SECONDS:g} s.", hint="Use fewer and rarer words."
                    ) from None
                raise DamagedIndex(str(error)) from error
            except (sqlite3.Error, TypeError, ValueError) as error:
                raise DamagedIndex(str(error)) from error

    def close(self) -> None:
        """Close the index, once no search is under way."""
        with self._lock:
            self._database.close()
            self._words.close()

    def _is_over(self) -> bool:
        return self._stopped.is_set() or monotonic() >= self._until

    def _query(self, words: str) -> str:
        """Return the words in FTS5's syntax, joined by OR: those that are not very frequent, or else all."""
        counted = [(phrase, self._passages_with(terms)) for phrase, terms in self._phrases(words)]
        there = [(phrase, count) for phrase, count in counted if count]
        rare = [phrase for phrase, count in there if count * _FREQUENT <= self._passages]
        return " OR ".join(rare or [phrase for phrase, _ in there])

    def _phrases(self, words: str) -> list[tuple[str, list[str]]]:
        """Return the phrases to search for, each with the terms that the index has of it; empty for a beginning."""
        phrases: list[tuple[str, list[str]]] = []
        for part, begins in wanted(words):
            quoted = '"' + part.replace('"', " ") + '"'
            self._words.execute("INSERT INTO words(rowid, text) VALUES (1, ?)", (part,))
            terms = [term for (term,) in self._words.execute('SELECT term FROM terms ORDER BY "offset"')]
            self._words.execute("DELETE FROM words")
            if terms:
                phrases.append((f"{quoted}*", []) if begins else (quoted, terms))
        return phrases

    def _passages_with(self, terms: list[str]) -> int:
        """Return the number of passages that have the rarest of the terms; 1 for a beginning of words."""
        counts = [self._database.execute("SELECT doc FROM counts WHERE term = ?", (term,)).fetchone() for term in terms]
        return min((count[0] if count else 0 for count in counts), default=1)

    def _allowed(self, ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the first and last numbers of the passages of documents within the ranges, sorted and joined."""
        find = 'SELECT first_id, last_id FROM documents WHERE start >= ? AND "end" <= ? AND start < ?'
        spans = sorted(span for start, end in ranges for span in self._database.execute(find, (start, end, end)))
        joined: list[tuple[int, int]] = []
        for first, last in spans:
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = joined[-1][0], max(joined[-1][1], last)
            elif first <= last:
                joined.append((first, last))
        return joined

    def _ranked(self, query: str, k: int, allowed: list[tuple[int, int]] | None) -> list[tuple[int, float]]:
        """Return the numbers and ranks of the best passages; a lower rank is better."""
        find = "SELECT rowid, rank FROM words WHERE words MATCH ?"
        if allowed is None:
            return self._database.execute(f"{find} ORDER BY rank LIMIT ?", (query, k)).fetchall()
        if len(allowed) == 1:
            within = f"{find} AND rowid BETWEEN ? AND ? ORDER BY rank LIMIT ?"
            return self._database.execute(within, (query, *allowed[0], k)).fetchall()
        best: list[tuple[int, float]] = []
        firsts = [first for first, _ in allowed]
        for number, rank in self._database.execute(f"{find} ORDER BY rank", (query,)):
            at = bisect_right(firsts, number) - 1
            if at >= 0 and number <= allowed[at][1]:
                best.append((number, rank))
                if len(best) == k:
                    break
        return best

    def _found(self, ranked: list[tuple[int, float]]) -> list[Found]:
        find = 'SELECT document, start, "end", first, line FROM passages WHERE id = ?'
        found: list[Found] = []
        for number, rank in ranked:
            document, start, end, first, line = self._database.execute(find, (number,)).fetchone()
            found.append((int(document), int(start), int(end), int(first), int(line), round(-rank, 3)))
        return found
