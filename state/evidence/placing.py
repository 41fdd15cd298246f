"""Places the texts of a run's requests in the input that they were made from, beside the requests.

That is the input of the run at the top of its tree: what a sub-RLM is asked and asks itself counts for its callers,
also where it was given a new text, whose words come from the input all the same.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from ..blobs.range_index import LEAST_RANGE
from ..blobs.store import Blobs
from ..blobs.texts import Texts, well_formed
from ..errors import StoredDataDamaged
from ..input.context import ContextRef, context_range
from ..input.index import document_lines, entry_of
from .places import Cut, Document, Placed, placed
from .recorded import encoded

_SOON = 0.05
"""Seconds that a recorded answer waits for its places. The first text of a large input takes longer."""


def source_of(own: ContextRef | None, above: ContextRef | None) -> ContextRef | None:
    """Return the input in which a run's texts are placed. `above`: the one in which its caller's are, if it has one.

    A part of the caller's input is itself such an input; a new text is not.
    """
    if above is None or above["kind"] == "none" or (own is not None and own["pack"] == above["pack"]):
        return own if own is not None and own["kind"] != "none" else above
    return above


def documents_of(reference: ContextRef, blobs: Blobs) -> tuple[Document, ...]:
    """Return the documents of an input, sorted by their first bytes. Reads the index; raises StoredDataDamaged.

    A text without a name is one document with an empty name.
    """
    if reference["kind"] == "none":
        return ()
    if not reference["index"]:
        return (("", *context_range(reference)),)
    entries = map(entry_of, document_lines(blobs.read(reference["index"])))
    return tuple(sorted(((one["name"], one["start"], one["end"]) for one in entries), key=lambda one: one[1:]))


class Placing:
    """Places the texts of one run's requests."""

    def __init__(self, own: ContextRef | None, above: ContextRef | None, texts: Texts, blobs: Blobs) -> None:
        self.source = source_of(own, above)
        """The input in which texts are placed."""
        self._is_own = self.source is own
        self._texts = texts
        self._blobs = blobs
        self._documents: tuple[Document, ...] | None = None
        self._late: set[asyncio.Task[None]] = set()

    def begin(self, text: str, cuts: Sequence[Cut] = ()) -> "asyncio.Future[str | None]":
        """Begin to place a text. The result is what its row records, None when that cannot be known.

        `cuts`: what the kernel says that the text was cut from, in the documents of its own input. A text that is too
        short to be found is done at once: a loop of short calls would take a third longer.
        """
        source = self.source
        known = source is not None and source["kind"] != "none"
        size = len(well_formed(text).encode()) if known and not cuts and len(text) < LEAST_RANGE else LEAST_RANGE
        if known and size >= LEAST_RANGE:
            return asyncio.create_task(self._recorded(text, cuts))
        found: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        found.set_result(encoded(source["pack"], Placed([], 0, size)) if source and known else None)
        return found

    async def soon(self, task: "asyncio.Future[str | None]") -> str | None:
        """Return what was found, None when that takes longer than an answer should wait for it."""
        if not task.done():
            await asyncio.wait({task}, timeout=_SOON)
        return task.result() if task.done() else None

    def later(self, task: "asyncio.Future[str | None]", write: Callable[[str], None]) -> None:
        """Write what is found once it is."""
        if task.done() and task.result() is None:
            return

        async def written() -> None:
            if found := await task:
                write(found)

        late = asyncio.create_task(written())
        self._late.add(late)
        late.add_done_callback(self._late.discard)

    async def finish(self) -> bool:
        """Wait until everything that was to be written later is written. Return whether there was any."""
        late = list(self._late)
        await asyncio.gather(*late, return_exceptions=True)
        return bool(late)

    async def documents(self) -> tuple[Document, ...]:
        """Return the documents in which texts are placed. Raises StoredDataDamaged."""
        if self._documents is None:
            source = self.source
            self._documents = await asyncio.to_thread(documents_of, source, self._blobs) if source else ()
        return self._documents

    async def _recorded(self, text: str, cuts: Sequence[Cut]) -> str | None:
        source = self.source
        if source is None or source["kind"] == "none":
            return None
        index = await self._texts.range_index(source["pack"])
        if index is None:
            return None
        given = cuts if self._is_own else ()
        try:
            work = partial(placed, documents=await self.documents(), hints=given)
            return await asyncio.to_thread(lambda: encoded(source["pack"], work(well_formed(text).encode(), index)))
        except (OSError, StoredDataDamaged):
            # Reported where the input itself is read.
            return None
