"""A run while it is alive in this process: its models, its account, its kernel.

None of it is saved: after a crash it is built again from the state and the journal.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..kernel.session import ContextFiles, KernelSession, KernelSpec
from ..state.contexts import ContextRef, context_files
from ..state.journal import ThreadJournal
from ..state.keys import START, AnswerSet
from ..state.ledger import Ledger, Limits
from ..state.schema import RestoreRecord, RunState, Usage, as_usage
from ..state.settings import RunSettings, saved_settings
from ..state.snapshots import Group, Groups
from .desk import Desk
from .hands import Hands
from .idle import Idleness
from .models.client import ModelClient


@dataclass
class CellCalls:
    """What the standing cell has asked for, beside what is recorded of an earlier run of it."""

    recorded: frozenset[str] = frozenset()
    """Keys that the journal has of this cell."""
    asked: dict[str, str] = field(default_factory=dict[str, str])
    """Prompts by key, in the order of asking."""
    paid: list[str] = field(default_factory=list[str])
    """Keys that no recorded answer was found for."""

    @property
    def missing(self) -> list[str]:
        """Recorded keys that the cell did not ask for."""
        return sorted(self.recorded - self.asked.keys())


@dataclass
class LiveKernel:
    """A kernel and where it stands: after which cells, and in which one."""

    session: KernelSession
    position: str = START
    """The chain of the cells that have ended in it."""
    cell: str | None = None
    """The digest of the cell that stands in it."""
    answers: AnswerSet = field(default_factory=AnswerSet)
    desk: Desk | None = None
    report_calls: Callable[[], None] | None = None
    """Tells how far the calls of the standing cell are."""
    calls: CellCalls = field(default_factory=CellCalls)
    manifest: str | None = None
    groups: Groups = field(default_factory=dict[str, Group])
    """The variables as they were saved last."""
    report: RestoreRecord | None = None
    """How it was brought back, until the next cell's end says so."""
    told: int = 0
    """The turn up to which the REPL's `history` has been told."""

    async def close(self) -> None:
        """End the kernel and whatever was under way for it."""
        if self.desk:
            await self.desk.close()
        await self.session.close()


@dataclass
class LiveRun:
    """One thread that is being run here."""

    thread_id: str
    settings: RunSettings
    ledger: Ledger
    journal: ThreadJournal
    models: Mapping[str, ModelClient]
    slots: asyncio.Semaphore
    """One for each model call that may be in flight."""
    kernel: LiveKernel | None = None
    strict: bool = False
    """Whether a replay that asks for something else than was recorded ends the sitting."""
    restore: RestoreRecord | None = None
    """How the REPL was brought back last in this sitting."""
    idle: Idleness = field(init=False)

    def __post_init__(self) -> None:
        self.idle = Idleness(self.settings.kernel_idle, self._answering, self.drop_kernel)

    def _answering(self) -> bool:
        """Whether calls of the kernel's cell are being answered: what was paid must reach it."""
        return bool(self.kernel and self.kernel.desk and self.kernel.desk.in_flight)

    @property
    def root_model(self) -> ModelClient:
        return self.models[self.settings.model]

    @property
    def usage(self) -> Usage:
        """What is spent so far, as the state shows it."""
        return as_usage(self.ledger.spent)

    async def drop_kernel(self) -> None:
        """End the kernel, if there is one; the next cell gets a restored one."""
        kernel, self.kernel = self.kernel, None
        if kernel:
            await kernel.close()

    async def close(self) -> None:
        """End everything that is alive of this run."""
        self.idle.stop()
        await self.drop_kernel()
        for model in self.models.values():
            await model.aclose()


class LiveRuns:
    """The runs alive in this process, by thread."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._runs: dict[str, LiveRun] = {}
        self.strict: set[str] = set()
        """Threads whose replays must ask for what they asked for before."""

    async def get(self, thread_id: str, state: RunState) -> LiveRun:
        """The live run of the thread, built from its state and journal when this process has none."""
        run = self._runs.get(thread_id)
        if run is None:
            run = self._runs[thread_id] = await self._open(thread_id, state)
        return run

    async def close(self, thread_id: str) -> None:
        """End the thread's live part."""
        run = self._runs.pop(thread_id, None)
        if run:
            await run.close()

    async def close_all(self) -> None:
        """End all of them."""
        for thread_id in list(self._runs):
            await self.close(thread_id)

    def find(self, thread_id: str) -> LiveRun | None:
        """The run if it is alive here."""
        return self._runs.get(thread_id)

    async def _open(self, thread_id: str, state: RunState) -> LiveRun:
        stores = self._hands.stores
        settings = saved_settings(state.get("settings", {}))
        row = await stores.threads.find(thread_id)
        ledger = Ledger(
            row.limits if row else Limits.of(settings),
            await stores.journal.spent(thread_id),
            seconds=row.seconds if row else 0.0,
            clock=self._hands.clock,
        )
        names = {settings.model, settings.calls_model}
        return LiveRun(
            thread_id=thread_id,
            settings=settings,
            ledger=ledger,
            journal=await stores.journal.of(thread_id),
            models={name: self._hands.open_model(name, settings) for name in names},
            slots=asyncio.Semaphore(settings.concurrency),
            strict=thread_id in self.strict,
        )


async def kernel_spec(run: LiveRun, context: ContextRef | None, hands: Hands) -> KernelSpec:
    """What the run's kernels are started with."""
    settings = run.settings
    files: ContextFiles | None = None
    if context and context["kind"] != "none":
        files = ContextFiles(*await asyncio.to_thread(context_files, context, hands.stores.blobs))
    return KernelSpec(
        thread_id=run.thread_id,
        context=files,
        sub_calls=settings.max_depth > 0,
        models=tuple(run.models),
        memory=settings.memory,
        cell_timeout=settings.cell_timeout,
    )


def thread_of(config: Mapping[str, Any]) -> str:
    """The thread that a node runs for."""
    return str(config.get("configurable", {})["thread_id"])
