"""Reads what is new in a home into its file of words, a step at a time.

A step reads the home (`read`), which must not wait for anything. Some steps later the file is written (`write`), in one
transaction with how far they have come. The order of rows is that in which they were committed, so that none is missed:
first the outcomes of known rows, by the number that each outcome gets, then new rows with the outcomes they have.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from ...matching.search_words import folded_words
from ..blobs.store import Blobs, content_hash
from ..blobs.texts import well_formed
from ..db.corruption import is_damage
from ..threads import DELETED
from .file import SLOTS, FileInUse, Marks, WordsFile, set_marks
from .own_words import CUT, MOST, OwnWords

_MOST_ROWS = 400
_MOST_CHARACTERS = 400_000
"""Characters after which a step ends: some tens of milliseconds of work."""
LONGEST_TERM, MOST_TERMS = 64, 500_000
"""Longer words, and words beyond so many, are found by their beginnings alone."""
_COUNTER = "SELECT value FROM counters WHERE name = 'settled'"
_COLUMNS = "seq, key, thread_id, kind, status, coalesce(settled, 0), prompt, answer, error, places"
_NEW = f"SELECT {_COLUMNS} FROM calls WHERE seq > ? ORDER BY seq LIMIT {_MOST_ROWS}"
_ONE = f"SELECT {_COLUMNS} FROM calls WHERE seq = ?"
_SETTLED = f"""
SELECT seq, calls.settled FROM threads JOIN calls USING (thread_id)
WHERE calls.settled > ? AND calls.settled <= ? AND seq <= ? ORDER BY calls.settled LIMIT {_MOST_ROWS}
"""
_COUNT = "SELECT count(*) FROM calls WHERE seq <= ?"
_KEY = "SELECT key FROM calls WHERE seq = ?"
_RUNS = "SELECT thread_id, updated FROM threads WHERE updated > ? AND status != ? ORDER BY updated LIMIT ?"
_REMNANT = "\0"
_ANSWER = 1


@dataclass
class Read:
    """The results of reading in a step."""

    before: Marks
    after: Marks
    prompts: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """The rows, by number, with the words of their prompts."""
    outcomes: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    again: bool = False
    """True when rows may have had an outcome before."""
    complete: bool = False
    """True when nothing was left to read."""

    @property
    def size(self) -> int:
        """Characters that were read."""
        return sum(len(text) for _, text in (*self.prompts, *self.outcomes))


def is_of_home(connection: sqlite3.Connection, marks: Marks) -> bool:
    """Return whether what was read is still what the home has: no row was deleted, none has another in its place."""
    if not marks.seq:
        return True
    try:
        [count] = connection.execute(_COUNT, (marks.seq,)).fetchone()
        row = connection.execute(_KEY, (marks.seq,)).fetchone()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return True
    return count >= marks.rows and row is not None and _seal(row[0]) == marks.seal


def read(connection: sqlite3.Connection, blobs: Blobs, marks: Marks) -> Read:
    """Return what is new in the home after these marks, as much as a step may take. Raises sqlite3.Error."""
    [counted] = connection.execute(_COUNTER).fetchone() or [0]
    with OwnWords(connection, blobs) as texts:
        found = Read(marks, marks)
        if _read_outcomes(connection, texts, found, counted):
            _read_new(connection, texts, found, counted)
        return found


def _read_outcomes(connection: sqlite3.Connection, texts: OwnWords, found: Read, counted: int) -> bool:
    """Read outcomes up to the number `counted` of rows that are known. Return whether these were all."""
    marks = found.before
    if marks.seq and marks.settled < counted:
        settled = connection.execute(_SETTLED, (marks.settled, counted, marks.seq)).fetchall()
        for place, (seq, number) in enumerate(settled, 1):
            found.again = True
            for row in connection.execute(_ONE, (seq,)):
                found.outcomes.append((seq, _outcome(texts, row, counted)))
            if place == _MOST_ROWS or (found.size > _MOST_CHARACTERS and place < len(settled)):
                found.after = replace(found.after, settled=number)
                return False
    found.after = replace(found.after, settled=counted)
    return True


def _read_new(connection: sqlite3.Connection, texts: OwnWords, found: Read, counted: int) -> None:
    count = size = 0
    for row in _rows(connection, found.after.seq):
        seq, key, thread_id, kind, *_, prompt, _, _, places = row
        count += 1
        if kind != "root" and not thread_id.startswith(_REMNANT):
            found.prompts.append((seq, own := texts.of_prompt(prompt, places)))
            found.outcomes.append((seq, outcome := _outcome(texts, row, counted)))
            size += len(own) + len(outcome)
        found.after = replace(found.after, seq=seq, rows=found.after.rows + 1, seal=_seal(key))
        if size > _MOST_CHARACTERS:
            return
    found.complete = count < _MOST_ROWS


def _rows(connection: sqlite3.Connection, after: int) -> Iterable[tuple[Any, ...]]:
    """Return the next rows, without those that cannot be read."""
    try:
        return connection.execute(_NEW, (after,)).fetchall()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
    rows: list[tuple[Any, ...]] = []
    [last] = connection.execute("SELECT max(seq) FROM calls").fetchone()
    for seq in range(after + 1, (last or 0) + 1):
        with suppress(sqlite3.DatabaseError):
            rows += connection.execute(_ONE, (seq,)).fetchall()
        if len(rows) == _MOST_ROWS:
            break
    return rows


def _outcome(texts: OwnWords, row: tuple[Any, ...], counted: int) -> str:
    """Return the answer of a row, and its error; empty while it has neither.

    An outcome with a later number than `counted` is left to the step that reads it by its number.
    """
    _, _, thread_id, kind, status, number, _, answer, error, _ = row
    if status == "asked" or kind == "root" or number > counted or thread_id.startswith(_REMNANT):
        return ""
    return CUT.join([*([texts.of_text(answer)] if answer else []), *([well_formed(error)] if error else [])])


def _seal(key: str) -> bytes:
    return str(key).encode("utf-8", "replace")


def write(file: WordsFile, found: Sequence[Read]) -> None:
    """Add what was read in steps, one after another. Raises FileInUse when another process was faster."""
    with file.writing() as (connection, marks):
        if marks != replace(found[0].before, touched=marks.touched):
            raise FileInUse
        for one in found:
            documents = [(seq * SLOTS, text) for seq, text in one.prompts if text]
            documents += list(_numbered(connection, one))
            add(connection, "words", sorted(documents))
        set_marks(connection, replace(found[-1].after, touched=marks.touched))


def _numbered(connection: sqlite3.Connection, found: Read) -> Iterator[tuple[int, str]]:
    for seq, text in found.outcomes:
        if text:
            number = seq * SLOTS + _ANSWER
            if found.again:
                taken = "SELECT max(id) FROM words_docsize WHERE id BETWEEN ? AND ?"
                [last] = connection.execute(taken, (number, number + SLOTS - 2)).fetchone()
                number = number if last is None else last + 1
            if number < (seq + 1) * SLOTS:
                yield number, text


def touched_runs(connection: sqlite3.Connection, marks: Marks, most: int) -> list[tuple[str, float]]:
    """Return runs that were touched since they were last read, with the times: the first ones. Raises sqlite3.Error."""
    return connection.execute(_RUNS, (marks.touched, DELETED, most)).fetchall()


def write_runs(file: WordsFile, runs: Sequence[tuple[str, float, str]]) -> None:
    """Add the words of runs: their names, when they were touched, their questions and answers. Raises FileInUse."""
    with file.writing() as (connection, marks):
        for thread_id, _, text in runs:
            said = content_hash(well_formed(text).encode())
            last = "SELECT said FROM runs WHERE thread_id = ? ORDER BY id DESC LIMIT 1"
            if connection.execute(last, (thread_id,)).fetchone() != (said,):
                row = connection.execute("INSERT INTO runs (thread_id, said) VALUES (?, ?)", (thread_id, said))
                add(connection, "run_words", [(row.lastrowid or 0, text[:MOST])])
        set_marks(connection, replace(marks, touched=max([marks.touched, *(touched for _, touched, _ in runs)])))


def add(connection: sqlite3.Connection, table: str, documents: list[tuple[int, str]]) -> None:
    """Add texts, by numbers that the table does not have yet, and their words."""
    words = [(number, folded_words(text)) for number, text in documents]
    connection.executemany(f"INSERT INTO {table} (rowid, text) VALUES (?, ?)", words)
    [known] = connection.execute("SELECT count(*) FROM (SELECT 1 FROM terms LIMIT ?)", (MOST_TERMS,)).fetchone()
    if known < MOST_TERMS:
        terms = set(" ".join(text for _, text in words).split())
        short = ((term,) for term in terms if len(term) <= LONGEST_TERM)
        connection.executemany("INSERT OR IGNORE INTO terms VALUES (?)", short)
