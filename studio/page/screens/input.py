"""The input of a run: its documents, with how much of each models read, and those that none read first."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....graph.coverage import InputRead, coverage_document, source_of_run
from ....graph.coverage_parts import bins_of, parts_read
from ....nodes.input.stored_documents import DocumentFacts, StoredInput
from ..coverage_bar import WORDS, Stretch, bar, level_of
from ..coverage_cache import coverages_of
from ..frame import framed
from ..home import home_of
from ..open_documents import documents_of
from ..rendering import render
from .document import LOOK_AGAIN, document_screen, number_in, whole_text

PAGE = 100
"""Documents on a page."""
_FIRST = 5
"""Documents that none read which are named before all others."""
_ROW_BINS = 80


class DocumentRow(NamedTuple):
    """A document in the list."""

    facts: DocumentFacts
    share: float | None
    """The share that models read; None while that is not known, and of a document without text."""
    words: str
    bar: list[Stretch]


_SORTS: dict[str, tuple[str, Callable[[DocumentFacts, float], Any]]] = {
    "order": ("in their order", lambda facts, share: 0),
    "name": ("by name", lambda facts, share: facts.name),
    "size": ("the longest first", lambda facts, share: -facts.size),
    "read": ("the least read first", lambda facts, share: share),
    "most-read": ("the most read first", lambda facts, share: -share),
}
_SHOWN = {
    "all": "all documents",
    "unseen": "those that no model has read",
    "losses": "those that do not show all of their file",
    "skipped": "files that gave no document",
}


async def input_screen(request: Request) -> Response:
    """Return the list of documents, or the one that the query names."""
    if "document" in request.query_params or "citation" in request.query_params:
        return await document_screen(request)
    home = await home_of(request)
    frame = await framed(home, request, "input")
    thread = frame["run"]["thread_id"]
    row = await home.stores.threads.look(thread)
    source, owner = await source_of_run(home.stores, row)
    if source is None or source["kind"] == "none":
        return render(request, "input.html", **frame, stored=None)
    stored = await documents_of(request).input(home, source)
    cover = await coverages_of(request).look(home, thread)
    read = cover.found
    facts = await coverage_document(home.stores, row, read.coverage, lines=False) if read else None
    listed = await asyncio.to_thread(_listed, request, stored, read)
    values: dict[str, Any] = {
        "stored": stored,
        "owner": owner,
        "own_text": row.start.get("context_ref") if owner != thread else None,
        "cover_now": cover,
        "facts": facts,
        "map": await asyncio.to_thread(_map, stored, read) if read else [],
        "shown": _SHOWN,
        "sorts": {name: words for name, (words, _) in _SORTS.items()},
        "levels": WORDS,
        **listed,
    }
    response = render(request, "input.html", **frame, **values)
    waits = not cover.current and (read is None or frame["run"]["status"] != "busy")
    response.headers.update(LOOK_AGAIN if waits else {})
    return response


def _listed(request: Request, stored: StoredInput, read: InputRead | None) -> dict[str, Any]:
    """Return the documents or the skipped files of one page, as the query chooses and orders them."""
    only, sort = (_chosen(request, name, known) for name, known in (("only", _SHOWN), ("sort", _SORTS)))
    shares = _shares(read)
    unseen = [one for one in stored.documents if one.size and shares and not shares[one.number]]
    listed: Sequence[DocumentFacts] = stored.documents
    if only == "unseen":
        listed = unseen
    elif only == "losses":
        listed = [one for one in stored.documents if one.losses]
    if sort != "order":
        key = _SORTS[sort][1]
        listed = sorted(listed, key=lambda one: key(one, shares[one.number] if shares else 1.0))
    of_files = only == "skipped"
    keys = range(len(stored.skipped)) if of_files else [one.number for one in listed]
    page = _page(keys, number_in(request.query_params.get("after")))
    return {
        "only": only,
        "sort": sort,
        "page": page,
        "rows": [] if of_files else _rows(listed[page.first : page.behind], read, shares),
        "skipped": stored.skipped[page.first : page.behind] if of_files else [],
        "unseen": len(unseen),
        "unseen_first": _rows(unseen[:_FIRST], read, shares) if only == "all" else [],
        "with_losses": sum(1 for one in stored.documents if one.losses),
    }


class Page(NamedTuple):
    """A page of a list."""

    first: int
    behind: int
    total: int
    """The length of the list."""
    before: int | None
    """The key after which the page before begins; -1 for the first one, None when there is none."""
    after: int | None
    """The key after which the next page begins; None when there is none."""


def _page(keys: Sequence[int], after: int | None) -> Page:
    """Return the page behind the entry with the key `after`, the first one where there is no such entry."""
    first = keys.index(after) + 1 if after is not None and after in keys else 0
    behind = min(first + PAGE, len(keys))
    before = None if not first else keys[first - PAGE - 1] if first > PAGE else -1
    return Page(first, behind, len(keys), before, keys[behind - 1] if behind < len(keys) else None)


def _chosen(request: Request, name: str, known: Mapping[str, Any]) -> str:
    said = request.query_params.get(name, "")
    return said if said in known else next(iter(known))


def _shares(read: InputRead | None) -> list[float] | None:
    """Return the share of each document that was read, 1 for one without text; None while nothing is known."""
    if read is None or read.coverage.share is None:
        return None
    return [one.read / one.size if one.size else 1.0 for one in read.coverage.documents]


def _rows(listed: Sequence[DocumentFacts], read: InputRead | None, shares: list[float] | None) -> list[DocumentRow]:
    if read is None or shares is None:
        return [DocumentRow(one, None, "", []) for one in listed]
    cut = [bins_of(one.start, one.end, _ROW_BINS) for one in listed]
    wholes = parts_read(read, [(one.start, one.end) for one in listed])
    parts = iter(parts_read(read, [part for some in cut for part in some]))
    rows: list[DocumentRow] = []
    for one, whole, some in zip(listed, wholes, cut, strict=True):
        own = [next(parts) for _ in some]
        share = shares[one.number] if one.size else None
        rows.append(DocumentRow(one, share, WORDS[level_of(whole)] if one.size else "has no text", bar(own)))
    return rows


def _map(stored: StoredInput, read: InputRead) -> list[Stretch]:
    documents = stored.documents
    return bar(parts_read(read, bins_of(documents[0].start, documents[-1].end))) if documents else []


ROUTES = [
    Route("/runs/{thread}/input", input_screen),
    Route("/runs/{thread}/input/text", whole_text),
]
