"""The parts of an answer that a kernel sends before its final value: kept on disk, and checked as hostile data.

Parts are appended to a file without a name as they come. They are read again, a part at a time and off the event loop
where there is much, when the cell has ended: then the final value says which of them are rows of a table, and where the
files begin.
"""

import asyncio
import errno
import os
import re
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from json import dumps
from typing import IO, Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from ..state.answer_tables import Column, ColumnType, TableHead
from ..state.errors import StoreError
from .inside.protocol import (
    FILES_DEEP,
    MAX_DEPTH,
    MOST_BATCH_BYTES,
    MOST_COLUMNS,
    MOST_FILE_BYTES,
    MOST_FILES,
    MOST_TABLE_BYTES,
)
from .untrusted_json import BadMessage, depth, read

_MOST_PARTS = 20_000
_SMALL = 64 << 10
"""Bytes of parts that are checked on the event loop."""
_LEFT = 64 << 20
"""Bytes of the disk that parts leave free: they may be many, and the home of all runs is there as well."""
_PIECE = 4 << 20
_LONGEST = 100
"""Characters of a date, a time or a duration, at most."""
_LONGEST_PART = 255
"""Bytes of a part of a file's path, at most."""
_DATE = r"-?\d{4,9}-\d\d-\d\d"
_CLOCK = r"\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?"
_ZONE = r"(?:Z|[+-]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?"
_FORMS = {
    "date": re.compile(_DATE, re.ASCII),
    "datetime": re.compile(rf"{_DATE}T{_CLOCK}{_ZONE}", re.ASCII),
    "time": re.compile(_CLOCK + _ZONE, re.ASCII),
    "duration": re.compile(r"-?P(?=[\dT])(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d{1,9})?S)?)?", re.ASCII),
    "decimal": re.compile(r"-?\d+(?:\.\d+)?(?:E[+-]?\d+)?", re.ASCII),
}
_TYPES: Mapping[str, frozenset[type]] = {
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "boolean": frozenset({bool}),
}
_TEXT = frozenset({str})
_MOST_KEYS = 20


def _of_few_keys(said: Any) -> Any:
    """Return what is said as it is. Raises ValueError for an object with more keys than any here has.

    Each unknown key would become an error of its own, and a message has room for millions.
    """
    if isinstance(said, dict) and len(cast(dict[Any, Any], said)) > _MOST_KEYS:
        raise ValueError("more keys than it has")
    return said


_FewKeys = BeforeValidator(_of_few_keys)


class _Column(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)
    name: Annotated[str, Field(max_length=10_000)]
    type: ColumnType


class TableHeadSaid(BaseModel):
    """A table without its rows, as the final value of `CELL_REPLY` has it."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)
    columns: Annotated[list[Annotated[_Column, _FewKeys]], FailFast(), Field(max_length=MOST_COLUMNS)]
    rows: Annotated[int, Field(ge=0, le=1 << 40)]
    parts: Annotated[int, Field(ge=0, le=_MOST_PARTS)]


class FileSaid(BaseModel):
    """A file of an answer, as the final value of `CELL_REPLY` has it."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)
    name: Annotated[str, Field(min_length=1, max_length=4096)]
    size: Annotated[int, Field(ge=0, le=MOST_FILE_BYTES)]


FilesSaid = Annotated[list[Annotated[FileSaid, _FewKeys]], FailFast(), Field(max_length=MOST_FILES)]


class Spool:
    """The parts of one answer, in a file that is gone when nothing refers to it any more."""

    def __init__(self, folder: str | None = None) -> None:
        """Make the file in `folder`, or in the system's for temporary ones, when the first part comes."""
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._fault = ""
        self.ends: list[int] = []
        """The end of each part, in bytes from the beginning."""

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return self.ends[-1] if self.ends else 0

    def add(self, part: bytes) -> None:
        """Append a part. Raises BadMessage for more than an answer may have."""
        size = self.size + len(part)
        if len(part) > MOST_BATCH_BYTES or size > MOST_TABLE_BYTES + MOST_FILE_BYTES or len(self.ends) >= _MOST_PARTS:
            raise BadMessage("an answer larger than one may be")
        self.ends.append(size)
        if self._fault:
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
                weakref.finalize(self, self._file.close)
            _ensure_room(self._file, len(part))
            self._file.seek(size - len(part))
            view = memoryview(part)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self._fault = error.strerror or str(error)
            self.drop()

    def drop(self) -> None:
        """Free the room on the disk at once: what is written there is not needed any more."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def part(self, number: int) -> bytes:
        """Return a part, the first of which has the number 0. Raises StoreError."""
        start = self.ends[number - 1] if number else 0
        return self.read(start, self.ends[number] - start)

    def read(self, start: int, size: int) -> bytes:
        """Return a range of the bytes of all parts. Raises StoreError."""
        try:
            if self._fault:
                raise OSError(0, self._fault)
            if self._file is None or not size:
                return b""
            self._file.seek(start)
            pieces: list[bytes] = []
            while size and (piece := self._file.read(size)):
                pieces.append(piece)
                size -= len(piece)
            return b"".join(pieces)
        except OSError as error:
            raise StoreError(f"The answer cannot be kept: {error.strerror}.", hint="Free some space.") from error


def _ensure_room(file: IO[bytes], size: int) -> None:
    """Raise OSError when so many bytes would leave other runs too little room on the disk."""
    facts = os.fstatvfs(file.fileno())
    if facts.f_bavail * facts.f_frsize < size + _LEFT:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@dataclass(frozen=True)
class PostedTable:
    """A table that a kernel has sent. Its head is made by `checked`, and nothing of it is trusted before."""

    columns: tuple[Column, ...]
    rows: int
    parts: int
    spool: Spool = field(compare=False)
    head: TableHead | None = None

    def batches(self) -> Iterator[bytes]:
        """Yield the batches as they are to be stored: JSON in UTF-8. Reads a file. Raises StoreError, BadMessage."""
        for number in range(self.parts):
            part = self.spool.part(number)
            yield part if _is_clean(part) else dumps(_rows(part), ensure_ascii=False).encode()

    def checked(self) -> "PostedTable":
        """Return the table with its head, once every row of it is what its columns say. Raises BadMessage."""
        found = size = 0
        digest = sha256()
        for batch in self.batches():
            rows = _rows(batch)
            _check_rows(rows, self.columns)
            found += len(rows)
            size += len(batch)
            digest.update(sha256(batch).digest())
        if found != self.rows:
            raise BadMessage("a table of other rows than said")
        return PostedTable(
            self.columns, self.rows, self.parts, self.spool, TableHead(self.columns, found, size, digest.hexdigest())
        )


@dataclass(frozen=True)
class PostedFile:
    """A file that a kernel has sent, by the path that code gave it: one below a folder, without links or dots in it."""

    name: str
    size: int
    start: int = field(compare=False)
    spool: Spool = field(compare=False)

    def pieces(self) -> Iterator[bytes]:
        """Yield its content. Reads a file. Raises StoreError."""
        for start in range(self.start, self.start + self.size, _PIECE):
            yield self.spool.read(start, min(_PIECE, self.start + self.size - start))


def posted_table(said: Any, spool: Spool) -> PostedTable:
    """Return a table that a final value names. Raises ValueError."""
    head = TableHeadSaid.model_validate(_of_few_keys(said))
    columns = tuple(Column(one.name, one.type) for one in head.columns)
    if len({column.name for column in columns}) != len(columns):
        raise ValueError("columns of the same name")
    first = spool.ends[: head.parts]
    if len(first) != head.parts or (first and first[-1] > MOST_TABLE_BYTES + _MOST_PARTS * 2):
        raise ValueError("a table without its rows")
    return PostedTable(columns, head.rows, head.parts, spool)


def posted_files(said: Sequence[FileSaid], spool: Spool, parts: int) -> tuple[PostedFile, ...]:
    """Return the files that a final value names, which come after so many parts. Raises ValueError."""
    start = spool.ends[parts - 1] if parts else 0
    if start + sum(one.size for one in said) != spool.size:
        raise ValueError("files of other sizes than said")
    names = [one.name for one in said]
    # First: a name of slashes alone would be thousands of folders.
    if len(set(names)) != len(names) or not all(map(_is_path, names)):
        raise ValueError("files of names that none may have")
    folders = {name[:place] for name in names for place, one in enumerate(name) if one == "/"}
    if folders.intersection(names):
        raise ValueError("a file of the name of a folder")
    files: list[PostedFile] = []
    for one in said:
        files.append(PostedFile(one.name, one.size, start, spool))
        start += one.size
    return tuple(files)


async def checked(table: PostedTable) -> PostedTable:
    """Return a table that is what it says, checked in a thread when it is large. Raises BadMessage, StoreError."""
    try:
        return table.checked() if table.spool.size <= _SMALL else await asyncio.to_thread(table.checked)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"a table that is none: {str(error)[:200]}") from error


def _is_path(name: str) -> bool:
    """Return whether a name is a path below a folder that every system can have."""
    parts = name.split("/")
    if len(parts) > FILES_DEEP or not name.isprintable() or "\\" in name:
        return False
    return all(part not in ("", ".", "..") and len(part.encode()) <= _LONGEST_PART for part in parts)


def _is_clean(part: bytes) -> bool:
    """Return whether JSON has no lone surrogates, as bytes or as an escape."""
    if b"\\ud" in part or b"\\uD" in part:
        return False
    try:
        part.decode()
    except UnicodeDecodeError:
        return False
    return True


def _rows(part: bytes) -> list[Any]:
    """Return the rows of a batch. Raises ValueError."""
    rows = read(part)
    if not isinstance(rows, list):
        raise ValueError("rows that are no list")
    return cast(list[Any], rows)


def _check_rows(rows: list[Any], columns: Sequence[Column]) -> None:
    """Raise ValueError for rows that are not what the columns say."""
    if set(map(type, rows)) - {list} or set(map(len, rows)) - {len(columns)}:
        raise ValueError("rows of another length")
    for column, values in zip(columns, zip(*rows, strict=True), strict=bool(rows)):
        _check_column(column, values)


def _check_column(column: Column, values: Sequence[Any]) -> None:
    if column.type == "json":
        if depth(values if isinstance(values, list) else list(values), MAX_DEPTH + 1) > MAX_DEPTH + 1:
            raise ValueError("values that are nested too deep")
        return
    if set(map(type, values)) - {type(None)} - _TYPES.get(column.type, _TEXT):
        raise ValueError("values of another type than their column")
    if form := _FORMS.get(column.type):
        for value in values:
            if value is not None and (len(value) > _LONGEST or not form.fullmatch(value)):
                raise ValueError("values of another form than their column")
