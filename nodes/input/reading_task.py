"""Reads one file by its reader, inside a reader process: its documents' text in one stream, facts in another.

The facts are JSON Lines: `{"name", "start", "end", "chars", "meta", "places", "losses"}` for a document, `start` and
`end` in bytes of the text, or `{"name", "skipped", "hint", "bytes"}` for a file inside that gives none. The host
believes neither (`extraction.py`).
"""

import io
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .delimiter import delimiter
from .draft import Draft, GivenFile, Read, ReadOptions, Skipped, Unusable
from .formats import CSV, Format, format_of
from .text import Decoding, utf8_chunks

LARGEST_TEXT = 1 << 30
"""Bytes of text from one file, all its documents together."""
_DEEPEST = 10
"""Files in files in files: levels that are read."""
_MOST_DOCUMENTS = 200_000
_LARGEST_NESTED = 4 << 30
"""Bytes of all files inside of files together, at every depth."""
_MOST_NESTED = 400_000


@dataclass
class Task:
    """The reading of one file with everything inside it."""

    options: ReadOptions
    soffice: str = ""
    documents: int = 0
    size: int = 0
    """Bytes of text so far."""
    nested_files: int = 0
    nested_size: int = 0

    def read(self, file: BinaryIO, size: int, name: str, form: Format, depth: int = 0) -> Read:
        """Yield what the file's reader makes of it. Raises Unusable for one that gives nothing."""

        def nested(inner: str, data: bytes, content_type: str = "") -> Read:
            return self.nested(inner, data, content_type, depth + 1)

        given = GivenFile(file, name, size, self.options, nested, self.soffice)
        gave = False
        try:
            for one in form.load()(given):
                gave = True
                yield one
        except (Unusable, MemoryError, GeneratorExit, KeyboardInterrupt):
            raise
        except ImportError as error:
            raise Unusable(f"of a kind ({form.kind}) that needs: pip install 'durable-rlm[documents]'") from error
        except BaseException as error:  # a reader of hostile files may raise anything, such as Rust's PanicException
            reason = f"({type(error).__name__}: {str(error)[:200]})"
            if not gave:
                raise Unusable(f"a damaged {form.kind}", reason) from error
            yield Skipped("", f"damaged after what was read {reason}", 0)

    def nested(self, name: str, data: bytes, content_type: str, depth: int) -> Read:
        """Yield what is in a file that lies inside another one."""
        form = format_of(name, data[: 64 << 10], content_type)
        self.nested_files += 1
        self.nested_size += len(data)
        try:
            if self.nested_files > _MOST_NESTED or self.nested_size > _LARGEST_NESTED:
                raise Unusable("beyond the size to which files inside of files are unpacked")
            if depth > _DEEPEST:
                raise Unusable(f"more than {_DEEPEST} files deep")
            if form.unread:
                raise Unusable(form.unread)
            found = (
                self.read(io.BytesIO(data), len(data), name.rsplit("/", 1)[-1], form, depth)
                if form.reader
                else _text(data, form, self.options)
            )
            for one in found:
                inside = f"{name}/{one.name}" if one.name else name
                if isinstance(one, Draft):
                    one.name = inside
                    yield one
                else:
                    yield Skipped(inside, one.reason, one.size, one.hint)
        except Unusable as error:
            yield Skipped(name, error.reason, len(data), error.hint)


def _text(data: bytes, form: Format, options: ReadOptions) -> Read:
    draft = Draft(form.kind)
    decoding = Decoding(wanted=options.encoding)
    for chunk, _ in utf8_chunks(iter([data]), draft.lose, decoding):
        if form is CSV and not draft.chars:
            draft.meta["delimiter"] = delimiter(chunk)
        draft.write(chunk.decode())
    draft.meta["encoding"] = decoding.encoding
    if not draft.chars:
        raise Unusable("empty")
    yield draft


def extract(task: Task, file: BinaryIO, size: int, name: str, form: Format, text: BinaryIO, facts: BinaryIO) -> None:
    """Read a file, write its documents' text and facts. Raises Unusable for one that gives nothing."""
    # The libraries warn about oddities on stderr.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for line in _lines(task, task.read(file, size, name, form), text):
            facts.write(json.dumps(line).encode() + b"\n")
    if not task.documents:
        raise Unusable("without any text in it")


def _lines(task: Task, found: Read, text: BinaryIO) -> Iterator[dict[str, object]]:
    for one in found:
        if isinstance(one, Skipped):
            yield {"name": one.name, "skipped": one.reason, "hint": one.hint, "bytes": one.size}
            continue
        start = task.size
        task.documents += 1
        if task.documents > _MOST_DOCUMENTS:
            raise Unusable(f"too large (more than {_MOST_DOCUMENTS:,} documents)")
        # Piece by piece: the text of a large file is not to be in memory three times.
        for piece in one.pieces:
            data = piece.encode()
            task.size += len(data)
            if task.size > LARGEST_TEXT:
                raise Unusable(f"too large ({LARGEST_TEXT >> 30} GiB of text)", "Save it as plain text or CSV first.")
            text.write(data)
        yield {
            "name": one.name,
            "start": start,
            "end": task.size,
            "chars": one.chars,
            "meta": one.meta,
            "places": one.places,
            "losses": one.all_losses(),
        }
