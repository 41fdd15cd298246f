"""Opens the index of an input, and searches in it.

The file is the home's own, and its contents are still not trusted further than they must be: it is opened for reading
only, its schema runs no function, and the places it gives are checked by the caller.
"""

import sqlite3
import stat
import threading
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Self
from urllib.parse import quote

from ...matching.search_words import wanted
from .build import PLACES, Source, build
from .errors import DamagedIndex, SearchUnavailable
from .fts5 import Fts5Words
from .words import Engine, Ranked, Words, own

_FREQUENT = 5
"""A word in more than a fifth of the passages is left out when a rarer one is there."""
_MOST_SECONDS = 30.0
_STEPS = 100_000
_SETTINGS = ("trusted_schema=OFF", "cell_size_check=ON", "temp_store=MEMORY", "cache_size=-16384")


Found = tuple[int, int, int, int, int, float]
"""A document's number, first byte and end of the passage, its first character and line, and the score."""


class Index:
    """An open index. One thread at a time searches in it."""

    def __init__(self, database: sqlite3.Connection, name: str, folder: Path | None = None) -> None:
        """Raises DamagedIndex when this is not the index of the input `name`.

        `folder` has the words, when they are not in the database.
        """
        self._database = database
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._until = 0.0
        try:
            for one in _SETTINGS:
                database.execute(f"PRAGMA {one}").fetchall()
            [(source, count)] = database.execute("SELECT source, passages FROM about").fetchall()
            self._words = _words(database, folder)
            database.execute("PRAGMA query_only=ON")
        except (sqlite3.Error, ValueError) as error:
            raise DamagedIndex(str(error)) from error
        if source != name or type(count) is not int:
            raise DamagedIndex("the index of another input")
        self._passages = count
        database.set_progress_handler(self._is_over, _STEPS)

    @classmethod
    def open(cls, path: Path, name: str, engine: Engine = "fts5") -> Self:
        """Open the index in a file or a folder. Raises FileNotFoundError, DamagedIndex."""
        folder = path if engine == "tantivy" else None
        own(path, stat.S_IFDIR if folder else stat.S_IFREG)
        file = path
        if folder:
            file = folder / PLACES
            try:
                own(file)
            except FileNotFoundError as error:
                raise DamagedIndex(str(error)) from error
        uri = f"file:{quote(str(file))}?mode=ro&immutable=1"
        try:
            database = sqlite3.connect(uri, uri=True, check_same_thread=False)
        except sqlite3.Error as error:
            raise DamagedIndex(str(error)) from error
        return cls._of(database, name, folder)

    @classmethod
    def in_memory(cls, source: Source, name: str) -> Self:
        """Build the index of a small input in memory. Raises sqlite3.Error, OSError."""
        database = sqlite3.connect(":memory:", check_same_thread=False)
        build(database, source, name)
        return cls._of(database, name)

    @classmethod
    def _of(cls, database: sqlite3.Connection, name: str, folder: Path | None = None) -> Self:
        try:
            return cls(database, name, folder)
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
                phrases = self._phrases(words)
                if not phrases:
                    return []
                return self._found(self._words.ranked(phrases, k, self._allowed(ranges) if ranges else None))
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
            self._words.close()
            self._database.close()

    def _is_over(self) -> bool:
        return self._stopped.is_set() or monotonic() >= self._until

    def _phrases(self, words: str) -> list[Any]:
        """Return what is searched for, in the engine's form: phrases that are not very frequent, or else all."""
        phrases = [self._words.phrase(part, begins=begins) for part, begins in wanted(words)]
        counted = [(phrase, self._words.count(phrase)) for phrase in phrases if phrase is not None]
        there = [(phrase, count) for phrase, count in counted if count]
        rare = [phrase for phrase, count in there if count * _FREQUENT <= self._passages]
        return rare or [phrase for phrase, _ in there]

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

    def _found(self, ranked: Ranked) -> list[Found]:
        find = 'SELECT document, start, "end", first, line FROM passages WHERE id = ?'
        found: list[Found] = []
        for number, score in ranked:
            document, start, end, first, line = self._database.execute(find, (number,)).fetchone()
            found.append((int(document), int(start), int(end), int(first), int(line), round(score, 3)))
        return found


def _words(database: sqlite3.Connection, folder: Path | None) -> Words:
    """Open the words of an index. Raises sqlite3.Error, DamagedIndex."""
    if folder is None:
        return Fts5Words(database)
    from .tantivy_words import TantivyWords

    return TantivyWords(database, folder)
