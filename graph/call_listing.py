"""The sub-calls of a run one after the other, as `rlm calls` lists them: read page by page, in bounded memory."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ..state.blobs.text_parts import Part, TextReader, beginnings
from ..state.call_pages import Asking, CallPage, CallPages
from ..state.call_records import CallRow
from ..state.errors import StoredDataDamaged, StoreError
from ..state.stores import Stores
from ..state.threads import Thread
from .calls import Call, schema_of

_PAGE = 100
_SHORT = 16_000
"""Characters of texts that are read together."""


@dataclass(frozen=True)
class CallListing:
    """Lists the sub-calls of a run."""

    stores: Stores
    asking: Asking = field(default_factory=Asking)
    """The calls that are meant, and their order. Its `most` is not used: pages are as large as is good for memory."""
    characters: int | None = None
    """The characters of each prompt and answer that are read; None: all."""
    below: bool = False
    """True when each call that a child run answers is followed by the calls of that run."""

    async def of(self, thread_id: str) -> AsyncGenerator[Call]:
        """Yield the calls of a run. Raises StoreError."""
        runs: dict[str, list[Thread]] = {}
        if self.below:
            with suppress(StoreError):
                for run in await self.stores.threads.below(thread_id):
                    if run.caller and run.thread_id != thread_id:
                        runs.setdefault(run.caller, []).append(run)
        async for call in self._of(thread_id, runs):
            yield call

    async def _of(self, thread_id: str, runs: Mapping[str, Sequence[Thread]]) -> AsyncGenerator[Call]:
        answering = {run.call: run.thread_id for run in runs.get(thread_id, ())}
        async for page in self._pages(thread_id):
            async for call in self._with_texts(page, thread_id):
                yield call
                if run := answering.pop(call.row.key, None):
                    async for other in self._of(run, runs):
                        yield other
        # Child runs whose call is not among the rows that can be read, or that are meant.
        for run in answering.values():
            async for other in self._of(run, runs):
                yield other

    async def _pages(self, thread_id: str) -> AsyncGenerator[CallPage]:
        pages, asking = CallPages(self.stores.database), replace(self.asking, most=_PAGE)
        while True:
            page = await pages.page(thread_id, asking)
            yield page
            if page.after is None:
                return
            asking = replace(asking, after=page.after)

    async def _with_texts(self, page: CallPage, thread_id: str) -> AsyncGenerator[Call]:
        rows = [row for row in page.rows if not row.damage]
        names = [name for row in rows for name in (row.prompt, row.answer, row.thoughts) if name]
        # All at once, which is much faster than each alone; the few long ones are read when their turn comes.
        most = _SHORT if self.characters is None else self.characters
        begun = await beginnings(self.stores.database, self.stores.blobs, names, most)
        for row in page.rows:
            took = page.below.get(row.child_thread or "")
            tokens = took.input_tokens + took.output_tokens if took else 0
            yield replace(await self._call(row, begun), thread_id=thread_id, tokens_below=tokens)

    async def _call(self, row: CallRow, begun: Mapping[str, Part]) -> Call:
        if row.damage:
            return Call(row, f"[{row.damage}]", None, row.damage)
        prompt, answer, thoughts = [
            await self._whole(name, begun[name]) if name else None for name in (row.prompt, row.answer, row.thoughts)
        ]
        assert prompt is not None
        schema = await schema_of(row, self.stores.texts)
        said = [_said(part) if part else None for part in (answer, thoughts)]
        damage = prompt.damage or (answer.damage if answer else None)
        return Call(row, _said(prompt), said[0], damage, thoughts=said[1], schema=schema)

    async def _whole(self, name: str, begun: Part) -> Part:
        """Return the whole text, or as much of it as is wanted."""
        if not begun.more or self.characters is not None:
            return begun
        try:
            reader = await TextReader.of(self.stores.database, self.stores.blobs, name)
            return Part(await asyncio.to_thread(lambda: b"".join(reader.chunks()).decode()))
        except StoredDataDamaged as damaged:
            return Part("", damage=damaged.message)


def _said(part: Part) -> str:
    return f"[{part.damage}]" if part.damage else part.text


async def whole_call(stores: Stores, row: CallRow) -> Call:
    """Return a call with its texts. Damaged ones are sentences in brackets that say so. Raises StoreError."""
    texts = stores.texts
    if row.damage:
        return Call(row, f"[{row.damage}]", None, row.damage)
    thoughts = await texts.get_or_damage(row.thoughts) if row.thoughts else None
    schema = await schema_of(row, texts)
    try:
        answer = await texts.get(row.answer) if row.answer else None
        return Call(row, await texts.get(row.prompt), answer, thoughts=thoughts, schema=schema)
    except StoredDataDamaged as damaged:
        answer = await texts.get_or_damage(row.answer) if row.answer else None
        prompt = await texts.get_or_damage(row.prompt)
        return Call(row, prompt, answer, damaged.message, thoughts=thoughts, schema=schema)
