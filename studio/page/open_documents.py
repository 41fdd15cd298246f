"""Inputs, lines and searches that the page has open: read beside the requests, and kept for the next ones."""

import asyncio

from starlette.requests import Request

from ...graph.cited_passages import NO_ANSWER, AnswerCited, answer_cited
from ...graph.coverage import coverage_mark
from ...graph.saved_states import SavedCheckpoints
from ...nodes.input.document_lines import CountedLines, Found, find_words
from ...nodes.input.stored_documents import DocumentFacts, StoredInput
from ...state.blobs.store import Blobs
from ...state.errors import StoredDataDamaged, StoreError
from ...state.input.context import ContextRef
from .background import Kept, Work
from .home import PageHome

MOST_FOUND = 1_000
"""Places that one search names."""
_MOST_INPUTS, _MOST_DOCUMENTS = 6, 200_000
_MOST_COUNTED = 16
_MOST_SEARCHES = 8
_MOST_ANSWERS = 8


class OpenedInput(Work[StoredInput]):
    """The documents of an input."""

    def __init__(self, reference: ContextRef, blobs: Blobs) -> None:
        super().__init__(asyncio.to_thread(StoredInput, reference, blobs))

    @property
    def documents(self) -> int:
        """The number of documents; 0 while they are read."""
        return len(self.task.result().documents) if self.task.done() and not self.failed else 0


class LineCount(Work[None]):
    """The lines of a document."""

    def __init__(self, lines: CountedLines) -> None:
        self.lines = lines
        super().__init__(asyncio.to_thread(lines.count, self.go_on))


class PackCheck(Work[str]):
    """The comparison of a stored input with what was stored; the result is a sentence where it has changed."""

    def __init__(self, blobs: Blobs, pack: str) -> None:
        self._blobs, self._pack = blobs, pack
        super().__init__(asyncio.to_thread(self._check))

    def _check(self) -> str:
        try:
            self._blobs.check_once(self._pack)
        except StoredDataDamaged as damaged:
            return damaged.message
        return ""


class WordSearch(Work[None]):
    """A search for words in a document."""

    def __init__(self, lines: CountedLines, words: str) -> None:
        self.found: list[Found] = []
        """The places that are found so far, `MOST_FOUND` at most."""
        self.more = False
        """True when there are more than these."""
        self._lines, self._words = lines, words
        self._reached = lines.start
        super().__init__(asyncio.to_thread(self._search))

    def _search(self) -> None:
        lines = self._lines
        for one in find_words(lines.pack, lines.start, lines.end, self._words, self._goes_on):
            if len(self.found) == MOST_FOUND:
                self.more = True
                return
            self.found.append(one)

    def _goes_on(self, at: int) -> None:
        self._reached = at
        self.go_on()

    @property
    def share(self) -> float:
        """The share of the document that is searched."""
        return (self._reached - self._lines.start) / max(1, self._lines.end - self._lines.start)


class OpenDocuments:
    """The inputs, documents, searches and answers that were looked at last, bounded in number and in memory."""

    def __init__(self) -> None:
        self._inputs: Kept[OpenedInput] = Kept(_MOST_INPUTS, heaviest=_MOST_DOCUMENTS, weight=lambda one: one.documents)
        self._counts: Kept[LineCount] = Kept(_MOST_COUNTED)
        self._checks: Kept[PackCheck] = Kept(_MOST_INPUTS)
        self._searches: Kept[WordSearch] = Kept(_MOST_SEARCHES)
        self._answers: Kept[Work[AnswerCited]] = Kept(_MOST_ANSWERS)

    async def input(self, home: PageHome, reference: ContextRef) -> StoredInput:
        """Return the documents of an input. Raises StoredDataDamaged."""
        blobs = home.stores.blobs
        key = blobs.folder, reference["pack"], reference["index"], reference.get("start"), reference.get("end")
        found = await self._inputs.get(key, lambda: OpenedInput(reference, blobs)).at_last()
        return found or await asyncio.to_thread(StoredInput, reference, blobs)

    async def lines(self, home: PageHome, stored: StoredInput, facts: DocumentFacts) -> LineCount:
        """Return the lines of a document, as far as they are counted after a short wait. Raises StoreError."""
        key = home.stores.blobs.folder, stored.reference["pack"], facts.start, facts.end, facts.name
        count = self._counts.get(key, lambda: LineCount(CountedLines(stored.open(facts))))
        try:
            await count.soon()
        except OSError as error:
            raise StoredDataDamaged(f"The run's stored input cannot be read: {error}.") from error
        return count

    async def damage(self, home: PageHome, stored: StoredInput) -> str:
        """Return a sentence where the stored text has changed on disk; empty otherwise, and while that is not known."""
        blobs, pack = home.stores.blobs, stored.reference["pack"]
        return await self._checks.get((blobs.folder, pack), lambda: PackCheck(blobs, pack)).now() or ""

    async def search(self, lines: CountedLines, words: str) -> WordSearch:
        """Return a search, as far as it is after a short wait. Raises StoreError."""
        search = self._searches.get((lines.pack.path, lines.start, lines.end, words), lambda: WordSearch(lines, words))
        try:
            await search.soon()
        except OSError as error:
            raise StoredDataDamaged(f"The run's stored input cannot be read: {error}.") from error
        return search

    async def answer(self, home: PageHome, thread: str) -> AnswerCited:
        """Return the answer of a run with its citations; nothing of it where that cannot be read."""
        stores = home.stores
        key = stores.database, thread, await coverage_mark(stores, thread)
        try:
            work = self._answers.get(key, lambda: Work(answer_cited(stores, SavedCheckpoints(stores), thread)))
            return await work.at_last() or NO_ANSWER
        except StoreError:
            return NO_ANSWER


def documents_of(request: Request) -> OpenDocuments:
    """Return the documents of the home that a request is about."""
    found: OpenDocuments = request.app.state.documents
    return found
