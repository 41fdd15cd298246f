"""The engine of the extra `search`: tantivy, with its files in the folder of the index.

It splits at blanks only: texts and what is searched for are given to it as words, the same that FTS5 makes of them.
The sizes and checksums of its files stand in the database of the index, because it would map damaged files as they are.
"""

import contextlib
import sqlite3
import stat
import zlib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from ...matching.search_words import plain_words
from .errors import DamagedIndex
from .words import Allowed, Ranked, own

_HEAP = 128_000_000
_MOST_RANGES = 16
"""Ranges up to which each is a condition of its own; more become a set of documents."""
_MOST_EQUAL = 10_000
"""Passages of equal score among which the first ones are looked for."""
_BLOCK = 1 << 20
_META, _LOCK = "meta.json", ".lock"
_WORDS, _ID, _DOCUMENT = "words", "id", "document"
_SPLIT = "blanks"


def is_available() -> bool:
    """Return whether tantivy is installed and works."""
    try:
        import tantivy
    except ImportError:
        return False
    return hasattr(tantivy.Searcher, "fast_field_values")


def _schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field(_WORDS, tokenizer_name=_SPLIT, index_option="position")
    builder.add_unsigned_field(_ID, fast=True)
    builder.add_unsigned_field(_DOCUMENT, indexed=True)
    return builder.build()


class TantivyWriter:
    """Writes words into a folder, and what its files are into the database of the index."""

    def __init__(self, database: sqlite3.Connection, folder: Path) -> None:
        """Use a folder without files of tantivy. Raises OSError."""
        import tantivy

        self._database, self._folder = database, folder
        database.execute("CREATE TABLE files (name, bytes, checksum)")
        index = tantivy.Index(_schema(), str(folder), reuse=False)
        analyzer = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
        index.register_tokenizer(_SPLIT, analyzer)
        self._writer = index.writer(_HEAP, 1)

    def add(self, passages: Sequence[tuple[int, int, str]]) -> None:
        """Add passages: number, document, prepared text."""
        import tantivy

        for number, document, text in passages:
            one = tantivy.Document()
            one.add_text(_WORDS, plain_words(text))
            one.add_unsigned(_ID, number)
            one.add_unsigned(_DOCUMENT, document)
            self._writer.add_document(one)

    def finish(self) -> None:
        """Write what is held in memory, and note all files."""
        self._writer.commit()
        self._writer.wait_merging_threads()
        for path in self._folder.iterdir():
            if not path.name.endswith(_LOCK) and path.suffix != ".sqlite":
                facts = path.name, path.stat().st_size, _checksum(path)
                self._database.execute("INSERT INTO files VALUES (?, ?, ?)", facts)


class TantivyWords:
    """Reads words in a folder."""

    def __init__(self, database: sqlite3.Connection, folder: Path) -> None:
        """Raises DamagedIndex when a file is not as it was written."""
        import tantivy

        self._database = database
        with _as_damage():
            own(folder, stat.S_IFDIR)
            noted = database.execute("SELECT name, bytes, checksum FROM files").fetchall()
            if _META not in {name for name, _, _ in noted}:
                raise DamagedIndex("no files")
            for name, size, checksum in noted:
                path = folder / Path(name).name
                if own(path).st_size != size or _checksum(path) != checksum:
                    raise DamagedIndex("a changed file")
            self._schema = _schema()
            self._searcher = tantivy.Index.open(str(folder)).searcher()

    def phrase(self, part: str, *, begins: bool) -> tuple[Any, list[str]] | None:
        """Return a part of what is searched for as a query, with its words; none for a beginning."""
        import tantivy

        words = plain_words(part).split()
        if not words:
            return None
        if begins:
            return tantivy.Query.regex_query(self._schema, _WORDS, f"{words[0]}.*"), []
        if len(words) > 1:
            return tantivy.Query.phrase_query(self._schema, _WORDS, list(words)), words
        return tantivy.Query.term_query(self._schema, _WORDS, words[0], "freq"), words

    def count(self, phrase: tuple[Any, list[str]]) -> int:
        """Return in how many passages the rarest word is."""
        with _as_damage():
            return min((self._searcher.doc_freq(_WORDS, word) for word in phrase[1]), default=1)

    def ranked(self, phrases: Sequence[tuple[Any, list[str]]], k: int, allowed: Allowed | None) -> Ranked:
        """Return the best passages; among equal ones the first."""
        import tantivy

        some = tantivy.Query.boolean_query([(tantivy.Occur.Should, query) for query, _ in phrases])
        with _as_damage():
            if allowed is not None:
                if not allowed:
                    return []
                within = tantivy.Query.const_score_query(self._within(allowed), 0.0)
                some = tantivy.Query.boolean_query([(tantivy.Occur.Must, some), (tantivy.Occur.Must, within)])
            limit = k + 1
            while True:
                hits = self._searcher.search(some, limit, count=False).hits
                # The order of equal ones differs between two builds of an index, so none of them may be cut off.
                if len(hits) < limit or hits[-1][0] < hits[k - 1][0] or limit > _MOST_EQUAL:
                    break
                limit *= 4
            numbers = self._searcher.fast_field_values(_ID, [address for _, address in hits])
        found = [(int(number or 0), float(score)) for number, (score, _) in zip(numbers, hits, strict=True)]
        return sorted(found, key=lambda one: (-one[1], one[0]))[:k]

    def close(self) -> None:
        """Free what is held."""
        del self._searcher

    def _within(self, allowed: Allowed) -> Any:
        """Return the query for passages that are allowed."""
        import tantivy

        if len(allowed) <= _MOST_RANGES:
            ranges = [
                tantivy.Query.range_query(self._schema, _ID, tantivy.FieldType.Unsigned, first, last)
                for first, last in allowed
            ]
            return tantivy.Query.boolean_query([(tantivy.Occur.Should, one) for one in ranges])
        find = "SELECT number FROM documents WHERE first_id BETWEEN ? AND ?"
        numbers = [number for span in allowed for (number,) in self._database.execute(find, span)]
        return tantivy.Query.term_set_query(self._schema, _DOCUMENT, numbers)


@contextlib.contextmanager
def _as_damage() -> Generator[None]:
    """Make a DamagedIndex of what tantivy and files raise."""
    try:
        yield
    except (OSError, ValueError, TypeError, RuntimeError, SystemError) as error:
        raise DamagedIndex(str(error)) from error
    except BaseException as error:
        # Rust's panics are no Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise DamagedIndex(str(error)) from None


def _checksum(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found = zlib.crc32(block, found)
    return found
