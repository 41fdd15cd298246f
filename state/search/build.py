"""Builds the index of an input: in memory, or in a file by a process of its own that this module is.

An index is an SQLite database with the places of passages and documents (`passages`, `documents`), what it was made of
(`about`), and the words (`words`, by FTS5, which keeps no text). With tantivy it is a folder, with the words in files
beside the database.
"""

import contextlib
import json
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from ...matching.search_words import prepared
from ..input.index import document_lines, entry_of
from .fts5 import Fts5Writer
from .passages import passages
from .words import Engine, WordsWriter

FORM = 1
"""Raised when the form of an index, or what a passage is, changes."""
PLACES = "places.sqlite"
"""The database in the folder of an index."""
_SCHEMA = """
CREATE TABLE passages (id INTEGER PRIMARY KEY, document, start, "end", first, line);
CREATE TABLE documents (number INTEGER PRIMARY KEY, start, "end", first_id, last_id);
CREATE INDEX documents_start ON documents (start);
CREATE TABLE about (source, passages);
"""
_UNSAFE = ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "cache_size=-65536", "page_size=8192")
"""A file that is not whole is never found under its name."""
_BATCH = 2_000
_NICE = 10


@dataclass(frozen=True)
class Source:
    """The input of an index: the pack, its index (empty without one) and its range."""

    pack: str
    index: str
    start: int
    end: int


def build(
    database: sqlite3.Connection,
    source: Source,
    name: str,
    progress: Callable[[int], None] = lambda done: None,
    writer: WordsWriter | None = None,
) -> None:
    """Fill an empty database. `source` has the paths; `name` names the input. Raises sqlite3.Error, OSError.

    `progress` is called with the number of bytes that are done. `writer` takes the words; without one they go into the
    database.
    """
    writer = writer or Fts5Writer(database)
    database.executescript(_SCHEMA)
    descriptor = os.open(source.pack, os.O_RDONLY | os.O_CLOEXEC)
    try:
        count = _fill(database, writer, source, lambda start, end: _read(descriptor, start, end), progress)
    finally:
        os.close(descriptor)
    writer.finish()
    database.execute("INSERT INTO about VALUES (?, ?)", (name, count))
    database.commit()


def _fill(
    database: sqlite3.Connection,
    writer: WordsWriter,
    source: Source,
    read: Callable[[int, int], bytes],
    progress: Callable[[int], None],
) -> int:
    """Add all passages, and return their number."""
    count = done = 0
    words: list[tuple[int, int, str]] = []
    places: list[tuple[int, int, int, int, int, int]] = []

    def write() -> None:
        writer.add(words)
        database.executemany("INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?)", places)
        words.clear()
        places.clear()

    for number, start, end in _documents(source):
        first = count + 1
        for text, begin, behind, char, line in passages(read, start, end):
            count += 1
            words.append((count, number, prepared(text)))
            places.append((count, number, begin, behind, char, line))
            done += behind - begin
            if len(words) == _BATCH:
                write()
                progress(done)
        database.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?)", (number, start, end, first, count))
    write()
    return count


def _documents(source: Source) -> Iterator[tuple[int, int, int]]:
    """Yield the number and the range of each document, in the order of the pack."""
    if not source.index:
        yield 0, source.start, source.end
        return
    entries = map(entry_of, document_lines(Path(source.index).read_bytes()))
    yield from sorted(
        ((number, entry["start"], entry["end"]) for number, entry in enumerate(entries)), key=lambda one: one[1:]
    )


def _read(descriptor: int, start: int, end: int) -> bytes:
    data = os.pread(descriptor, end - start, start)
    if len(data) < end - start:
        raise OSError("the stored input is cut short")
    return data


def build_file(
    path: Path, partial: Path, source: Source, name: str, progress: Callable[[int], None], engine: Engine = "fts5"
) -> None:
    """Build the index at `path`, whole or not at all, in the empty file or folder `partial`.

    Raises sqlite3.Error, OSError.
    """
    with contextlib.closing(sqlite3.connect(partial / PLACES if engine == "tantivy" else partial)) as database:
        for one in _UNSAFE:
            database.execute(f"PRAGMA {one}").fetchall()
        if engine == "tantivy":
            from .tantivy_words import TantivyWriter

            build(database, source, name, progress, TantivyWriter(database, partial))
        else:
            build(database, source, name, progress)
    if engine == "fts5":
        _sync(partial)
        partial.replace(path)
        return
    for one in partial.iterdir():
        _sync(one)
    try:
        partial.rename(path)
    except OSError:
        # Another process was faster: a folder that has this name is whole.
        if not path.is_dir():
            raise


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def command(path: Path, partial: Path, source: Source, name: str, engine: Engine = "fts5") -> list[str]:
    """Return the command that builds the index at `path`, in the empty `partial`, which it may leave behind.

    The process ends when its standard input does, so that it outlives no run, and writes its progress in bytes, a line
    each time. Its exit status is 0, or 1 with a last line that says why.
    """
    given = {"path": str(path), "partial": str(partial), "name": name, "source": asdict(source), "engine": engine}
    return [sys.executable, "-P", "-m", __name__, json.dumps(given)]


def main() -> None:
    """Build the index that the first argument describes."""
    given = json.loads(sys.argv[1])
    paths = Path(given["path"]), Path(given["partial"])
    os.nice(_NICE)
    os.umask(0o077)
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    try:
        build_file(*paths, Source(**given["source"]), given["name"], _report, given["engine"])
    except (sqlite3.Error, OSError, ValueError) as error:
        sys.stdout.write(f"{error}\n")
        sys.exit(1)


def _report(done: int) -> None:
    sys.stdout.write(f"{done}\n")
    sys.stdout.flush()


def _end_with_standard_input() -> NoReturn:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main()
