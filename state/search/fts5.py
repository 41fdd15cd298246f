"""The engine that is always there: FTS5 of SQLite, in the same database as the places of the passages."""

import contextlib
import sqlite3
from bisect import bisect_right
from collections.abc import Sequence

from ...matching.search_words import MARKS
from .errors import SearchUnavailable
from .words import Allowed, Ranked

TOKENIZE = f"unicode61 remove_diacritics 2 categories '{MARKS}'"
_SCHEMA = f"""
CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize="{TOKENIZE}");
INSERT INTO words(words, rank) VALUES ('automerge', 0), ('hashsize', {32 << 20});
"""

Phrase = tuple[str, list[str]]
"""A phrase in FTS5's syntax, and the terms that the index has of it; none for a beginning."""


def ensure_available() -> None:
    """Raise SearchUnavailable when Python's SQLite is without full-text search."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        try:
            database.execute(f'CREATE VIRTUAL TABLE words USING fts5(text, tokenize="{TOKENIZE}")')
        except sqlite3.OperationalError as error:
            raise SearchUnavailable(
                f"This Python's SQLite ({sqlite3.sqlite_version}) has no full-text search: {error}.",
                hint="Use `grep`, a Python whose SQLite is compiled with FTS5, or the extra `search`.",
            ) from None


class Fts5Writer:
    """Writes words into the database of an index."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Add the table of words."""
        self._database = database
        database.executescript(_SCHEMA)

    def add(self, passages: Sequence[tuple[int, int, str]]) -> None:
        """Add passages."""
        words = ((number, text) for number, _, text in passages)
        self._database.executemany("INSERT INTO words(rowid, text) VALUES (?, ?)", words)

    def finish(self) -> None:
        """Make one tree of the words."""
        self._database.execute("INSERT INTO words(words) VALUES ('optimize')")


class Fts5Words:
    """Reads words in the database of an index."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """`database` is the caller's to close. Raises sqlite3.Error."""
        self._database = database
        database.execute("CREATE VIRTUAL TABLE temp.counts USING fts5vocab(main, words, row)")
        self._allowed: Allowed = ()
        self._firsts: list[int] = []
        database.create_function("allowed", 1, self._is_allowed)
        self._words = sqlite3.connect(":memory:", check_same_thread=False)
        self._words.executescript(
            f'CREATE VIRTUAL TABLE words USING fts5(text, tokenize="{TOKENIZE}");'
            "CREATE VIRTUAL TABLE terms USING fts5vocab(words, instance);"
        )

    def phrase(self, part: str, *, begins: bool) -> Phrase | None:
        """Return a part of what is searched for as a phrase."""
        quoted = '"' + part.replace('"', " ") + '"'
        self._words.execute("INSERT INTO words(rowid, text) VALUES (1, ?)", (part,))
        terms = [term for (term,) in self._words.execute('SELECT term FROM terms ORDER BY "offset"')]
        self._words.execute("DELETE FROM words")
        if not terms:
            return None
        return (f"{quoted}*", []) if begins else (quoted, terms)

    def count(self, phrase: Phrase) -> int:
        """Return in how many passages the rarest word is."""
        find = "SELECT doc FROM counts WHERE term = ?"
        counts = [self._database.execute(find, (term,)).fetchone() for term in phrase[1]]
        return min((count[0] if count else 0 for count in counts), default=1)

    def ranked(self, phrases: Sequence[Phrase], k: int, allowed: Allowed | None) -> Ranked:
        """Return the best passages."""
        query = " OR ".join(quoted for quoted, _ in phrases)
        # `ORDER BY rank` would read the places of the words twice, once to sort and once for the score.
        find = "SELECT rowid, bm25(words) AS score FROM words WHERE words MATCH ?"
        best = "ORDER BY score, rowid LIMIT ?"
        if allowed is None:
            found = self._database.execute(f"{find} {best}", (query, k))
        elif len(allowed) == 1:
            found = self._database.execute(f"{find} AND rowid BETWEEN ? AND ? {best}", (query, *allowed[0], k))
        else:
            self._allowed = allowed
            self._firsts = [first for first, _ in allowed]
            found = self._database.execute(f"{find} AND allowed(rowid) {best}", (query, k))
        return [(number, -score) for number, score in found]

    def _is_allowed(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._allowed[at][1]

    def close(self) -> None:
        """Free what is held."""
        self._words.close()
