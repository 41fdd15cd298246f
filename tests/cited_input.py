"""A stored input and citations of it, for tests of what an answer cites."""

import json
from collections.abc import Mapping
from pathlib import Path

from durable_rlm.kernel.results import PostedCitation
from durable_rlm.nodes.input.draft import Draft
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.evidence.citations import Citation
from durable_rlm.state.input.context import ContextRef
from durable_rlm.state.input.index import DocumentEntry, document_line
from tests.kernel.documents import draft_of


def stored(folder: Path, texts: Mapping[str, str | Draft]) -> tuple[ContextRef, Blobs]:
    """Store texts by their names; one with the name `` alone is stored without an index."""
    blobs, data, lines, chars = Blobs(folder / "blobs"), bytearray(), bytearray(), 0
    for name, text in texts.items():
        draft = draft_of(text, name=name) if isinstance(text, str) else text
        start, chars = len(data), chars + draft.chars
        data += draft.text.encode()
        entry = DocumentEntry(name=name, start=start, end=len(data), chars=draft.chars, meta=draft.meta)
        lines += document_line(entry, json.dumps(draft.places))
    plain = list(texts) == [""]
    reference = ContextRef(
        kind="text" if len(texts) == 1 else "documents",
        pack=blobs.put(bytes(data)),
        index="" if plain else blobs.put(bytes(lines)),
        documents=len(texts),
        chars=chars,
        bytes=len(data),
        names=[],
        preview="",
        notes=[],
    )
    return reference, blobs


def cited(document: str, text: str, quote: str, number: int = 1, how: str = "exact") -> PostedCitation:
    """Return a true citation of words in a text."""
    start = text.index(quote)
    return PostedCitation(number, document, start, start + len(quote), quote, how)


def a_citation(number: int, quote: str = "the  words\n of it", *, verified: bool = True) -> Citation:
    """Return a citation as it is stored."""
    return {
        "id": number,
        "document": "lease.docx",
        "start": 0,
        "end": len(quote),
        "line": 1 if verified else None,
        "column": 1 if verified else None,
        "page": None,
        "place": "lease.docx § 4.2 Term" if verified else "",
        "quote": quote,
        "how": "exact",
        "verified": verified,
    }
