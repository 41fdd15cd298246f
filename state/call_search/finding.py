"""Finds documents in the file of words, and looks for the words in the stored texts: only those are believed."""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Literal

from ..blobs.store import Blobs
from ..blobs.texts import well_formed
from ..db.checksums import checksum_mismatch_sql
from ..db.tables import CALLS
from ..errors import UsageError
from .file import SLOTS, WordsFile
from .filling import LONGEST_TERM
from .own_words import OwnWords
from .query import Query, Snippet

Where = Literal["prompt", "answer", "error", "question", "result"]
"""The text that has the words: of a call, or the question or the answer of a run."""
_AT_ONCE = 200
_MOST_SECONDS = 5.0
_STEPS = 20_000
_ROW = (
    f"SELECT thread_id, key, kind, status, prompt, answer, error, places FROM calls WHERE seq = ? "
    f"AND NOT ({checksum_mismatch_sql(CALLS)})"
)


@dataclass(frozen=True)
class Hit:
    """A text that has all the words."""

    thread_id: str
    key: str | None
    """The call; None for a run's question or answer."""
    seq: int
    """The number of the call in the journal of the home; 0 for a run."""
    where: Where
    snippet: Snippet


@dataclass(frozen=True)
class Candidates:
    """Documents that may have the words."""

    documents: Sequence[int]
    """In order."""
    more: bool
    """True when there are more behind them."""


def call_candidates(file: WordsFile, query: Query, after: int, last: int | None = None) -> Candidates:
    """Return documents behind `after`, up to `last`. Raises UsageError when that takes too long, DamagedFile."""
    with file.reading() as connection:
        if connection is None:
            return Candidates((), False)
        return _candidates(connection, "words", query, "> ? AND {} <= ?", (after, _MOST if last is None else last))


def run_candidates(file: WordsFile, query: Query, before: int | None = None) -> tuple[Candidates, dict[int, str]]:
    """Return documents of runs, the one touched last first, and the names of the runs. Raises as `call_candidates`."""
    with file.reading() as connection:
        if connection is None:
            return Candidates((), False), {}
        limits = (0, _MOST if before is None else before - 1)
        found = _candidates(connection, "run_words", query, "> ? AND {} <= ?", limits, order="DESC")
        named = "SELECT thread_id FROM runs WHERE id = ?"
        rows = [(one, connection.execute(named, (one,)).fetchone()) for one in found.documents]
        return found, {one: str(row[0]) for one, row in rows if row}


_MOST = (1 << 63) - 1


def _candidates(
    connection: sqlite3.Connection, table: str, query: Query, within: str, limits: tuple[int, int], order: str = "ASC"
) -> Candidates:
    until = monotonic() + _MOST_SECONDS
    connection.set_progress_handler(lambda: monotonic() > until, _STEPS)
    try:
        expression = query.expression(lambda word, ends, most: _terms(connection, word, ends, most))
        if expression is None:
            select = f"SELECT id FROM {table}_docsize WHERE id {within.format('id')} ORDER BY id {order} LIMIT ?"
            rows = connection.execute(select, (*limits, _AT_ONCE + 1)).fetchall()
        else:
            select = f"SELECT rowid FROM {table} WHERE {table} MATCH ? AND rowid {within.format('rowid')} "
            rows = connection.execute(f"{select} ORDER BY rowid {order} LIMIT ?", (expression, *limits, _AT_ONCE + 1))
            rows = rows.fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise UsageError("The search took too long.", hint="Give fewer words, or rarer ones.") from None
        raise
    finally:
        connection.set_progress_handler(None, 0)
    return Candidates([number for [number] in rows[:_AT_ONCE]], len(rows) > _AT_ONCE)


def _terms(connection: sqlite3.Connection, word: str, ends: bool, most: int) -> list[str] | None:
    """Return the known words that have `word` in them, or at their end; None when they are more than `most`."""
    if len(word) > LONGEST_TERM:
        return []
    has = "substr(term, -length(?1)) = ?1" if ends else "instr(term, ?1) > 0"
    rows = connection.execute(f"SELECT term FROM terms WHERE {has} LIMIT ?2", (word, most + 1)).fetchall()
    return None if len(rows) > most else [term for [term] in rows]


@dataclass
class Looked:
    """The results of looking at some candidates."""

    hits: list[Hit]
    done: int
    """The last candidate that was looked at."""


def look_up(
    connection: sqlite3.Connection,
    blobs: Blobs,
    query: Query,
    candidates: Sequence[int],
    threads: Collection[str] | None,
    most: int,
    is_over: Callable[[], bool],
) -> Looked:
    """Return the hits among candidates, at most `most`, of these runs (None: of all). Raises sqlite3.Error."""
    found = Looked([], 0)
    seen: set[tuple[int, str]] = set()
    with OwnWords(connection, blobs) as texts:
        for document in candidates:
            seq, slot = divmod(document, SLOTS)
            row = connection.execute(_ROW, (seq,)).fetchone()
            if row and (threads is None or row[0] in threads) and row[2] != "root" and "\0" not in row[0]:
                hit = _hit(texts, query, seq, slot, row)
                if hit and (seq, hit.where) not in seen:
                    seen.add((seq, hit.where))
                    found.hits.append(hit)
            found.done = document
            if len(found.hits) == most or is_over():
                break
    return found


def _hit(texts: OwnWords, query: Query, seq: int, slot: int, row: Sequence[str | None]) -> Hit | None:
    thread_id, key, _, _, prompt, answer, error, places = row
    parts: list[tuple[Where, str]] = []
    if slot == 0:
        parts.append(("prompt", texts.of_prompt(str(prompt), places)))
    else:
        if answer:
            parts.append(("answer", texts.of_text(answer)))
        if error:
            parts.append(("error", well_formed(error)))
    for where, text in parts:
        if snippet := query.found_in(text):
            return Hit(str(thread_id), str(key), seq, where, snippet)
    return None
