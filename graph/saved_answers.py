"""Reads the answer of a run and the files beside it: the beginning of a large one, and all of it by parts."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ..nodes.evidence.citations import citations_or_none
from ..nodes.runtime.answers import answer_or_damage, open_table
from ..nodes.runtime.untrusted_text import one_line
from ..state.answer_tables import Column
from ..state.errors import CHANGED, StoredDataDamaged
from ..state.evidence.citations import Citation
from ..state.records import AnswerRef
from ..state.stores import Stores

_PIECE = 4 << 20
_WHOLE = 4 << 20
"""Bytes up to which a stored text is read as a whole for display."""


@dataclass(frozen=True)
class StoredFile:
    """A file that code has left for the user beside its answer."""

    name: str
    """A path that the code chose, so nothing in it is trusted."""
    size: int
    hash: str
    _stores: Stores

    def pieces(self) -> Iterator[bytes]:
        """Yield its content. Raises StoredDataDamaged, at the latest at the end. Reads files."""
        digest = sha256()
        try:
            with self._stores.blobs.open(self.hash) as file:
                while piece := file.read(_PIECE):
                    digest.update(piece)
                    yield piece
        except (OSError, ValueError) as error:
            raise StoredDataDamaged(f"The stored file {one_line(self.name, 80)} cannot be read: {error}.") from error
        if digest.hexdigest() != self.hash:
            raise StoredDataDamaged(f"The stored file {one_line(self.name, 80)} {CHANGED}.", hint="Run `rlm verify`.")


@dataclass(frozen=True)
class ShownAnswer:
    """An answer as a page shows it."""

    value: Any = None
    """A text, another JSON value, or None for a table; of a large one the text of its beginning."""
    columns: tuple[Column, ...] = ()
    rows: list[list[Any]] = field(default_factory=list[list[Any]])
    """The first rows of a table."""
    count: int = 0
    """The number of rows of a table."""
    table: bool = False
    cut: bool = False
    """True when `value` is the beginning of a text, or `rows` are not all rows."""
    citations: list[Citation] = field(default_factory=list[Citation])
    files: list[StoredFile] = field(default_factory=list[StoredFile])


async def shown_answer(stores: Stores, answer: AnswerRef, *, rows: int = 200) -> ShownAnswer:
    """Return an answer for display, of a table the first `rows`. A sentence in brackets replaces a damaged one."""
    citations = await citations_or_none(answer, stores.texts)
    files = [StoredFile(one["name"], one["size"], one["hash"], stores) for one in answer.get("files", [])]
    try:
        if (table := await open_table(answer, stores)) is not None:
            first = await asyncio.to_thread(lambda: [row for row, _ in zip(table.rows(), range(rows), strict=False)])
            columns, count = tuple(table.columns), table.rows_count
            cut = count > len(first)
            return ShownAnswer(None, columns, first, count, table=True, cut=cut, citations=citations, files=files)
    except StoredDataDamaged as damaged:
        return ShownAnswer(f"[{damaged.message}]", citations=citations, files=files)
    beginning = await asyncio.to_thread(_beginning, stores, answer["text"])
    value = await answer_or_damage(answer, stores.texts) if beginning is None else beginning
    return ShownAnswer(value, cut=beginning is not None, citations=citations, files=files)


def _beginning(stores: Stores, name: str) -> str | None:
    """Return the beginning of a text that is too large to be read as a whole; None for any other."""
    try:
        if stores.blobs.path(name).stat().st_size <= _WHOLE:
            return None
        with stores.blobs.open(name) as file:
            return file.read(_WHOLE // 16).decode("utf-8", "ignore")
    except (OSError, ValueError):
        return None


async def answer_pieces(stores: Stores, answer: AnswerRef) -> Iterator[bytes]:
    """Return an answer as text in pieces: a text as it is, a table as a list of objects, any other value as JSON.

    Iterating reads files. Raises StoredDataDamaged, at the latest at the end.
    """
    if (table := await open_table(answer, stores)) is not None:
        names = [column.name for column in table.columns]
        return _objects(table.rows(), names)
    if await asyncio.to_thread(_beginning, stores, answer["text"]) is not None:
        return StoredFile("answer", 0, answer["text"], stores).pieces()
    return iter([(await stores.texts.get(answer["text"])).encode()])


def _objects(rows: Iterator[list[Any]], names: list[str]) -> Iterator[bytes]:
    yield b"["
    for place, row in enumerate(rows):
        text = json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)
        yield f"{',' if place else ''}\n{text}".encode()
    yield b"\n]\n"
