"""Writes a run as one HTML file, section by section, so that no more than one of them is in memory."""

from base64 import b64encode
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from markupsafe import Markup

from ....graph.coverage import InputRead, input_read
from ....graph.one_turn import turn_of_run
from ....graph.queries import RunQueries
from ....graph.run_times import children_page, count_children, forks_of, run_times
from ....graph.saved_states import SavedCheckpoints
from ....state.errors import StoreError
from ....state.stores import Stores
from ....state.threads import Thread
from ..answer_view import Cites, answer_view
from ..believed import believed
from ..coverage_cache import CoverageNow
from ..escaped import plain
from ..pictures.coverage_bar import coverage_bar
from ..rendering import style_sheet, templates
from ..screens.run import ending_of, pictures
from ..screens.turn import times_of
from .calls import calls_of
from .inputs import documents_of
from .links import FileLinks, section_name
from .secrets import scrubber_for, without_secrets

MOST_CALLS = 1_000
_MOST_CHILDREN = 1_000
_LONGEST_ANSWER = 1_000_000


@dataclass
class Exporting:
    """A run that is being exported, and what the file has of it so far."""

    stores: Stores
    thread_id: str
    most_calls: int = MOST_CALLS
    inputs: bool = True
    """False: leave the input out, and what models were sent, which is mostly cut from it."""
    turns: int = 0
    calls: int = 0
    """Calls of the run."""
    shown_calls: int = 0
    documents: int = 0
    left_out: int = 0
    """Bytes of documents that found no room."""
    secrets: int = 0
    """Secrets that were replaced, each where it stood."""
    _names: dict[str, Any] = field(default_factory=dict[str, Any])

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield the file. Raises UnknownThread, StoreError."""
        row = await self.stores.threads.get(self.thread_id)
        scrubber = scrubber_for(row.start)
        self.stores = without_secrets(self.stores, scrubber)
        stream = scrubber.stream("page")
        async for html in self._sections(row):
            for settled in stream.add(html.encode("utf-8", "replace")):
                yield settled
        for settled in stream.end():
            yield settled
        self.secrets = scrubber.places.total()

    async def _sections(self, row: Thread) -> AsyncGenerator[str]:
        about = await RunQueries(self.stores).about(row.thread_id)
        times = await run_times(self.stores, row, alive=False)
        self.turns = max((turn.turn for turn in times.turns), default=0)
        self.calls = sum(turn.calls for turn in times.turns)
        found, problem = await self._input(row)
        shown = self.inputs and found is not None
        href = FileLinks(row.thread_id, self.turns, calls=self.calls > 0, inputs=shown)
        self._names = {"href": href, "exported": True, "read_only": True, "run": about, "section": section_name}
        self._names["inputs"] = self.inputs
        ending = await ending_of(self.stores, row.thread_id)
        citations = ending.answer.citations if ending.answer else []
        cites = Cites(citations, href, row.thread_id)
        coverage = CoverageNow(found, current=True, problem=problem)
        forks = await forks_of(self.stores, row.thread_id)
        facts = await believed(self.stores, row.thread_id, times.turns, citations, forks, coverage)
        yield self._html(
            "head",
            style=Markup(style_sheet()),
            style_hash=b64encode(sha256(style_sheet().encode()).digest()).decode(),
            title=plain(about["question"], 80),
            ending=ending,
            answer=answer_view(ending.answer, cites, _LONGEST_ANSWER) if ending.answer else None,
            cites=cites,
            facts=facts,
            bar=coverage_bar(facts.seen.parts, "Where in the input models looked") if facts.seen else "",
            turns=times.turns,
            children=await children_page(self.stores, row.thread_id, most=_MOST_CHILDREN),
            count_children=await count_children(self.stores, row.thread_id),
            has_calls=self.calls > 0,
            has_input=shown,
            **pictures(times, href, about),
        )
        async for section in self._turns(row):
            yield section
        async for section in self._calls(row):
            yield section
        if shown and found is not None:
            async for section in self._documents(row, found):
                yield section
        yield self._html("end")

    def _html(self, name: str, **values: Any) -> str:
        return templates().get_template(f"export/{name}.html").render(**self._names, **values)

    async def _input(self, row: Thread) -> tuple[InputRead | None, str]:
        try:
            return await input_read(self.stores, row), ""
        except StoreError as error:
            return None, error.message

    async def _turns(self, row: Thread) -> AsyncGenerator[str]:
        for number in range(1, self.turns + 1):
            turn = await turn_of_run(self.stores, SavedCheckpoints(self.stores), row, number)
            if turn is not None:
                changed = [one for one in turn.variables if one.change]
                yield self._html("turn", turn=turn, times=times_of(turn.row, turn), variables=changed)

    async def _calls(self, row: Thread) -> AsyncGenerator[str]:
        if not self.calls:
            return
        yield self._html("calls_head", count=self.calls, most=self.most_calls, prompts=self.inputs)
        async for call in calls_of(self.stores, row.thread_id, self.most_calls, prompts=self.inputs):
            self.shown_calls += 1
            yield self._html("call", call=call)
        yield self._html("calls_end", left_out=max(0, self.calls - self.shown_calls))

    async def _documents(self, row: Thread, found: InputRead) -> AsyncGenerator[str]:
        queries, states = RunQueries(self.stores), SavedCheckpoints(self.stores)
        try:
            cited = await queries.cited(row.thread_id, states)
        except StoreError:
            cited = []
        yield self._html("input_head", cited=cited, documents=found.coverage.documents)
        async for document in documents_of(self.stores, found):
            self.documents += 1
            self.left_out += document.left_out
            yield self._html("document", document=document)
        yield self._html("input_end")
