"""Reads a stored input back as text: all of it for one model call, or its beginning for a person.

Kernels map the stored files themselves; nothing else in the host needs more of an input than this.
"""

from pathlib import Path
from typing import TypeAlias

from ..blobs.store import Blobs
from .context import ContextRef, context_files
from .index import document_lines, entry_of

Documents: TypeAlias = list[tuple[str, str]]
"""Names and texts of documents, in order."""
_BYTES_OF_A_CHARACTER = 4


def whole_input(reference: ContextRef, blobs: Blobs) -> Documents:
    """Return the documents of an input: one without a name for a text, none when there is no input.

    Reads all of it, so call it in a thread. Raises StoredDataDamaged.
    """
    if reference["kind"] == "none":
        return []
    pack, index, start, end = context_files(reference, blobs)
    if index is None or reference["kind"] == "text":
        return [("", _text(pack, start, end))]
    entries = map(entry_of, document_lines(index.read_bytes()))
    return [(entry["name"], _text(pack, entry["start"], entry["end"])) for entry in entries]


def beginning_of(reference: ContextRef, blobs: Blobs, most: int) -> str:
    """Return the first `most` characters of an input, documents under their names; all of it if it has no more.

    Reads no more than that needs, but checks the stored files the first time, so call it in a thread. Raises
    StoredDataDamaged.
    """
    if reference["kind"] == "none":
        return ""
    pack, index, start, end = context_files(reference, blobs)
    if index is None or reference["kind"] == "text":
        return _text(pack, start, min(end, start + most * _BYTES_OF_A_CHARACTER), "ignore")[:most]
    parts: list[str] = []
    left = most
    with index.open("rb") as lines:
        for raw in lines:
            if left <= 0 or raw == b"\n":
                break
            line = entry_of(raw)
            until = min(line["end"], line["start"] + left * _BYTES_OF_A_CHARACTER)
            parts.append(f"[{line['name']}]\n{_text(pack, line['start'], until, 'ignore')[:left]}")
            left -= len(parts[-1])
    return "\n\n".join(parts)


def _text(pack: Path, start: int, end: int, errors: str = "strict") -> str:
    """Return a range of the pack. `errors`: `ignore` for one that may end in the middle of a character."""
    with pack.open("rb") as file:
        file.seek(start)
        return file.read(end - start).decode(errors=errors)
