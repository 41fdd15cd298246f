"""The sub-calls of a run one after the other, as `rlm calls` lists them: read page by page, in bounded memory."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ..nodes.runtime.dependencies import Stores
from ..state.blobs.text_parts import Part, beginnings
from ..state.call_pages import Asking, CallPage, CallPages
from ..state.call_records import CallRow
from ..state.errors import StoredDataDamaged, StoreError
from ..state.threads import Thread
from .calls import Call, schema_of

_PAGE = 100


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
        begun: Mapping[str, Part] = {}
        if self.characters is not None:
            names = [name for row in page.rows for name in (row.prompt, row.answer) if name]
            begun = await beginnings(self.stores.database, self.stores.blobs, names, self.characters)
        for row in page.rows:
            call = await (self._beginning(row, begun) if self.characters is not None else whole_call(self.stores, row))
            took = page.below.get(row.child_thread or "")
            yield replace(call, thread_id=thread_id, tokens_below=took.input_tokens + took.output_tokens if took else 0)

    async def _beginning(self, row: CallRow, begun: Mapping[str, Part]) -> Call:
        if row.damage:
            return Call(row, f"[{row.damage}]", None, row.damage)
        prompt, answer = begun[row.prompt], begun[row.answer] if row.answer else None
        damage = prompt.damage or (answer.damage if answer else None)
        schema = await schema_of(row, self.stores.texts)
        return Call(row, _said(prompt), _said(answer) if answer else None, damage, schema=schema)


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
