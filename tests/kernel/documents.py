"""Documents with places as the REPL has them, for tests: a pack and an index in a folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from durable_rlm.kernel.inside.context import Document, Documents
from durable_rlm.kernel.inside.context_text import TextDocument, open_text
from durable_rlm.nodes.input.draft import Draft
from durable_rlm.state.input.index import DocumentEntry, FileReport, document_line, report_line


def packed(folder: Path, drafts: Sequence[Draft], reports: Sequence[FileReport] = ()) -> tuple[str, str]:
    """Write the drafts as `nodes/input/ingest.py` does. Return the paths of the pack and of the index."""
    folder.mkdir(parents=True, exist_ok=True)
    data = lines = b""
    for draft in drafts:
        start = len(data)
        data += draft.text.encode()
        entry = DocumentEntry(name=draft.name, start=start, end=len(data), chars=draft.chars, meta=draft.meta)
        lines += document_line(entry, json.dumps(draft.places))
    lines += b"\n" + b"".join(map(report_line, reports))
    (folder / "pack").write_bytes(data)
    (folder / "index").write_bytes(lines)
    return str(folder / "pack"), str(folder / "index")


def draft_of(text: str, kind: str = "text", name: str = "doc.txt", **meta: Any) -> Draft:
    """Return a draft with a text."""
    draft = Draft(kind, name)
    draft.meta.update(meta)
    draft.write(text)
    return draft


def document(folder: Path, draft: Draft) -> Document:
    """Return the draft as one of several documents; what stands before it is not ASCII."""
    return Documents(*packed(folder, [draft_of("vörher 日本\n", name="before"), draft, draft_of("after")]))[1]


def text_document(folder: Path, draft: Draft, reports: Sequence[FileReport] = ()) -> TextDocument:
    """Return the draft as a single text."""
    pack, index = packed(folder, [draft], reports)
    made = open_text(pack, index, 0, Path(pack).stat().st_size)
    assert isinstance(made, TextDocument)
    return made
