"""Check the citations of a final value against the stored input, and find their places."""

import asyncio
from collections.abc import Sequence
from itertools import islice

from ...kernel.results import PostedCitation
from ...state.blobs.store import Blobs
from ...state.blobs.texts import Texts
from ...state.errors import StoredDataDamaged
from ...state.evidence.citations import (
    MOST,
    MOST_CHARS,
    Citation,
    Fault,
    citations_in,
    citations_text,
    faults_of,
)
from ...state.evidence.stored_texts import StoredTexts
from ...state.input.context import ContextRef
from ...state.records import AnswerRef
from .places import NOWHERE, InputPlaces

_LONGEST_HOW = 40

Checked = list[tuple[Citation, Fault]]
"""Citations, each with its fault, in the order of their numbers."""


async def checked(posted: Sequence[PostedCitation], reference: ContextRef | None, blobs: Blobs) -> Checked:
    """Return the citations that a kernel has posted, checked against the input. Raises StoredDataDamaged."""
    return await asyncio.to_thread(_checked, posted, reference, blobs) if posted else []


def _checked(posted: Sequence[PostedCitation], reference: ContextRef | None, blobs: Blobs) -> Checked:
    cited = sorted(_bounded(posted), key=lambda one: one.id)
    try:
        texts = StoredTexts.of(reference, blobs, {one.document for one in cited})
        faults = faults_of(cited, texts)
        found = InputPlaces(reference, blobs) if reference and not all(faults) else None
        return [
            (_citation(one, fault, None if fault else found), fault) for one, fault in zip(cited, faults, strict=True)
        ]
    except OSError as error:
        raise StoredDataDamaged(f"The run's stored input cannot be read: {error}.", hint="Run `rlm verify`.") from error


def _bounded(posted: Sequence[PostedCitation]) -> list[PostedCitation]:
    """Return as many of the citations as an answer may have, each once."""
    kept: list[PostedCitation] = []
    chars = 0
    for one in islice(dict.fromkeys(posted), MOST):
        chars += len(one.quote) + len(one.document)
        if chars > MOST_CHARS:
            break
        kept.append(one)
    return kept


def _citation(posted: PostedCitation, fault: Fault, places: InputPlaces | None) -> Citation:
    place = places.at(posted.document, posted.start) if places else NOWHERE
    return {
        "id": posted.id,
        "document": posted.document,
        "start": posted.start,
        "end": posted.end,
        "line": place.line,
        "column": place.column,
        "page": place.page,
        "place": place.words,
        "quote": posted.quote,
        "how": posted.how[:_LONGEST_HOW],
        "verified": not fault,
    }


async def with_citations(answer: AnswerRef, citations: Sequence[Citation], texts: Texts) -> AnswerRef:
    """Return a stored answer that refers to its citations, which are stored; one that cites nothing stays as it is."""
    if not citations:
        return answer
    return {**answer, "citations": await texts.put(citations_text(citations))}


async def citations_of(answer: AnswerRef | None, texts: Texts) -> list[Citation]:
    """Return the citations of a stored answer. Raises StoredDataDamaged."""
    name = answer.get("citations") if answer else None
    if not name:
        return []
    try:
        return citations_in(await texts.get(name))
    except ValueError as error:
        raise StoredDataDamaged("The stored citations of the answer are damaged.", hint="Run `rlm verify`.") from error


async def citations_or_none(answer: AnswerRef | None, texts: Texts) -> list[Citation]:
    """Return the citations of a stored answer; none when they are damaged, for displays that show the rest."""
    try:
        return await citations_of(answer, texts)
    except StoredDataDamaged:
        return []
