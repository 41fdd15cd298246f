"""A document of a run's input: its lines with what models read of them, citations, requests, and a search."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ....graph.cited_passages import AnswerCited
from ....graph.coverage import InputRead, source_of_run
from ....graph.coverage_parts import bins_of, parts_read
from ....nodes.input.stored_documents import DocumentFacts, StoredInput
from ....state.evidence.citations import Citation
from ....state.input.context import ContextRef
from ....state.wording import counted
from ..coverage_bar import WORDS, bar
from ..coverage_cache import coverages_of
from ..document_parts import Window, found_on_page, lines_in, piece_at, window_of
from ..document_view import cited_within, readers_of, shown_lines
from ..errors import NotThere
from ..frame import framed, thread_of
from ..home import PageHome, home_of
from ..open_documents import LineCount, documents_of
from ..rendering import render

LOOK_AGAIN = {"refresh": "1"}
"""A header with which a browser asks again after a second, also without scripts."""
_LONGEST_WORDS = 200
_STREAMED = 256 << 10


@dataclass(frozen=True)
class Given:
    """The input of a run, and what its answer cites of it."""

    home: PageHome
    thread: str
    stored: StoredInput
    answer: AnswerCited
    is_source: bool
    """True when coverage is of this input: a sub-RLM may have a new text, and has read of its caller's input."""


async def document_screen(request: Request) -> Response:
    """Return a document, or the part of it that the query names."""
    home = await home_of(request)
    frame = await framed(home, request, "input")
    given = await _given(request, home, frame["run"]["thread_id"])
    citation = _citation(request, given.answer)
    facts = _named(request, given.stored, citation)
    beside: dict[str, Any] = {"citation": citation, "answer": given.answer, **_around_citation(given.answer, citation)}
    if facts is None:
        return render(request, "document.html", **frame, **beside, facts=None)
    count = await documents_of(request).lines(home, given.stored, facts)
    cover = await coverages_of(request).look(home, given.thread) if given.is_source else None
    read = cover.found if cover else None
    query = request.query_params
    words = " ".join(query.get("q", "")[:_LONGEST_WORDS].split())
    search = await documents_of(request).search(count.lines, words) if words else None
    at = number_in(query.get("at"))
    if at is not None:
        part = await asyncio.to_thread(piece_at, count.lines, at)
    else:
        window = await asyncio.to_thread(window_of, count.lines, query.get("lines"), query.get("page"), citation)
        part = await asyncio.to_thread(_lines, count, window, read, given.answer, words)
    response = render(
        request,
        "document.html",
        **frame,
        **beside,
        **part,
        facts=facts,
        of=len(given.stored.documents),
        names=_neighbours(given.stored, facts),
        count=count,
        damage=await documents_of(request).damage(home, given.stored) if count.lines.whole else "",
        levels=WORDS,
        whole=await asyncio.to_thread(_whole, facts, read),
        adding=cover is not None and not cover.current and read is None,
        words=words,
        search=search,
        hits=found_on_page(search, count.lines, number_in(query.get("hit")) or 0) if search else None,
    )
    busy = not count.lines.whole or (search is not None and not search.task.done()) or (cover and not cover.found)
    response.headers.update(LOOK_AGAIN if busy and not (cover and cover.problem) else {})
    return response


async def whole_text(request: Request) -> Response:
    """Return the whole text of a document as plain text."""
    home = await home_of(request)
    given = await _given(request, home, await home.queries.resolve(thread_of(request)))
    facts = _named(request, given.stored, None)
    if facts is None:
        raise NotThere("The address names no document.", "It ends in ?document= and the document's name.")
    pack, start, end = given.stored.open(facts).stored()

    async def pieces() -> AsyncGenerator[bytes]:
        for at in range(start, end, _STREAMED):
            yield await asyncio.to_thread(pack.read, at, min(end, at + _STREAMED))

    headers = {"content-length": str(end - start), "content-disposition": "inline"}
    return StreamingResponse(pieces(), media_type="text/plain; charset=utf-8", headers=headers)


def number_in(text: str | None) -> int | None:
    """Return the whole number that a part of an address is; None for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 15 else None


async def _given(request: Request, home: PageHome, thread: str) -> Given:
    row = await home.stores.threads.look(thread)
    own: ContextRef | None = row.start.get("context_ref")
    if own is None or own["kind"] == "none":
        raise NotThere("This run has no input, only its question.")
    _, owner = await source_of_run(home.stores, row)
    documents = documents_of(request)
    answer = await documents.answer(home, thread)
    return Given(home, thread, await documents.input(home, own), answer, owner == thread)


def _named(request: Request, stored: StoredInput, citation: Citation | None) -> DocumentFacts | None:
    """Return the document that the query names, or its citation does. Raises NotThere.

    None for a citation of a document that there is not.
    """
    name = request.query_params.get("document")
    if name is None:
        return stored.get(citation["document"]) if citation else None
    # A form sends each line end of a name as two characters.
    found = stored.get(name) or stored.get(name.replace("\r\n", "\n"))
    if found is None:
        close = " or ".join(stored.close_to(name))
        hint = f"Did you mean {close}?" if close else f"The input has {counted(len(stored.documents), 'document')}."
        raise NotThere(f"No document is named {name}.", hint)
    return found


def _citation(request: Request, answer: AnswerCited) -> Citation | None:
    said = request.query_params.get("citation")
    if said is None:
        return None
    found = next((one for one in answer.citations if str(one["id"]) == said), None)
    if found is None:
        numbers = [one["id"] for one in answer.citations]
        there = f"It cites {min(numbers)} to {max(numbers)}." if numbers else "It cites nothing."
        raise NotThere(f"The answer has no citation {said}.", there)
    return found


def _around_citation(answer: AnswerCited, citation: Citation | None) -> dict[str, Any]:
    if citation is None:
        return {"claim": "", "before_citation": None, "after_citation": None}
    numbers = sorted({one["id"] for one in answer.citations})
    at = numbers.index(citation["id"])
    return {
        "claim": answer.claim(citation["id"]),
        "before_citation": numbers[at - 1] if at else None,
        "after_citation": numbers[at + 1] if at + 1 < len(numbers) else None,
    }


def _lines(count: LineCount, window: Window, read: InputRead | None, answer: AnswerCited, words: str) -> dict[str, Any]:
    """Return the lines of a window as they are shown, with what stands beside them."""
    lines = count.lines
    texts = lines_in(lines, window)
    cited = cited_within(answer.citations, lines.document.name, texts)
    shown = shown_lines(texts, lines, read, cited, words, window.chosen)
    texts = texts[: len(shown)]
    readers, more_readers = readers_of(texts, read) if read else ([], 0)
    first, last = (texts[0].number, texts[-1].number) if texts else (0, 0)
    numbers = {one.id for one in cited_within(answer.citations, lines.document.name, texts)}
    return {
        "piece": None,
        "lines": shown,
        "first": first,
        "last": last,
        "before": max(1, first - window.most) if first > 1 else None,
        "after": last + 1 if last and (last < lines.lines or not lines.whole) else None,
        "cited": [one for one in answer.citations if one["id"] in numbers],
        "readers": readers,
        "more_readers": more_readers,
    }


def _whole(facts: DocumentFacts, read: InputRead | None) -> dict[str, Any] | None:
    """Return what was read of all of a document; None when that is not known."""
    if read is None or read.coverage.share is None:
        return None
    one = read.coverage.documents[facts.number]
    share = one.read / one.size if one.size else None
    return {"share": share, "read": one, "bar": bar(parts_read(read, bins_of(one.start, one.start + one.size)))}


def _neighbours(stored: StoredInput, facts: DocumentFacts) -> dict[str, str | None]:
    documents, number = stored.documents, facts.number
    return {
        "before": documents[number - 1].name if number else None,
        "after": documents[number + 1].name if number + 1 < len(documents) else None,
    }
