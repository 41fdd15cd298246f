"""A run's stored input, opened in this process as code in a kernel sees it: documents with their places."""

from difflib import get_close_matches
from pathlib import Path

from ...kernel.inside.context import Document, Documents
from ...state.blobs.store import Blobs
from ...state.errors import UsageError
from ...state.input.context import ContextRef, context_files
from ...state.input.index import FileReport, document_lines, entry_of, reports


def files_of(reference: ContextRef | None, blobs: Blobs) -> list[FileReport]:
    """Return what became of each file that was given. Reads the index; raises StoredDataDamaged.

    An input that an older version stored, or that was given as text or handed to a sub-RLM, has its documents instead.
    """
    index = _index(reference, blobs)
    if index is None:
        return []
    found = list(reports(index))
    return found or [_of_document(line) for line in document_lines(index)]


def document_of(reference: ContextRef | None, blobs: Blobs, name: str) -> Document:
    """Return the document called `name`, or the only one whose name ends with `/name`.

    Raises UsageError when there is none, with close names; StoredDataDamaged.
    """
    if reference is None or reference["kind"] == "none":
        raise UsageError("The run has no input, only its question.")
    pack, index, _, _ = context_files(reference, blobs)
    if index is None:
        raise UsageError("The run's input is one text without a name.", hint="Show it with `rlm show --input`.")
    documents = Documents(str(pack), str(index))
    names = documents.names
    found = [one for one in names if one == name] or [one for one in names if one.endswith(f"/{name}")]
    if len(found) == 1:
        return documents[found[0]]
    close = found or get_close_matches(name, names, n=3)
    hint = f"Did you mean {' or '.join(close[:3])}?" if close else "`rlm show --input` lists what there is."
    few = f"{len(found)} documents are" if found else "No document is"
    raise UsageError(f"{few} named {name}.", hint=hint)


def _index(reference: ContextRef | None, blobs: Blobs) -> bytes | None:
    if reference is None or reference["kind"] == "none":
        return None
    index: Path | None = context_files(reference, blobs)[1]
    return None if index is None else index.read_bytes()


def _of_document(line: bytes) -> FileReport:
    entry = entry_of(line)
    meta = entry["meta"]
    return FileReport(
        path=entry["name"],
        kind=str(meta.get("kind", "text")),
        bytes=entry["end"] - entry["start"],
        encoding=str(meta.get("encoding", "")),
        documents=1,
        pages=meta["pages"] if isinstance(meta.get("pages"), int) else 0,
        chars=entry["chars"],
        tokens=0,
        losses=[str(loss) for loss in meta.get("losses", [])],
        skipped=None,
    )
