"""A run while it is alive in this process: its models, its account, its kernel.

None of it is saved: after a crash it is built again from the state and the journal.

A kernel that nobody needs for a while is let go: a model or a person may take long, and memory is dear.

The next cell gets a restored one, as after a crash.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ...kernel.session import ContextFiles, KernelSession, KernelSpec
from ...state.approval_policy import Gates
from ...state.approval_records import BudgetGrant
from ...state.blobs.snapshots import Group, Groups
from ...state.budget import BudgetLedger, Limits
from ...state.call_journal import ThreadJournal
from ...state.call_keys import START, AnswerSet
from ...state.input.context import ContextRef, context_files
from ...state.run_state import RestoreRecord, RunState, Usage, as_usage
from ...state.settings import RunSettings, saved_settings
from ...state.threads import Thread
from ..models.client import ModelClient
from .child_protocol import Children
from .dependencies import Dependencies
from .dispatcher import CallDispatcher
from .events import emit_event
from .last_turn import last_turn
from .parked_calls import ParkedCalls
from .run_tree import Tree
from .turns import Transcript


class IdleTimer:
    """Watches one run's kernel. Bound to one event loop."""

    def __init__(self, seconds: float, busy: Callable[[], bool], let_go: Callable[[], Awaitable[None]]) -> None:
        """After `seconds` in which nobody needed the kernel and it was not `busy` by itself, it is `let_go`."""
        self._seconds = seconds
        self._busy = busy
        self._let_go = let_go
        self._users = 0
        self._timer: asyncio.TimerHandle | None = None
        self._letting_go: asyncio.Task[None] | None = None

    @contextmanager
    def needed(self) -> Generator[None]:
        """While this lasts, the kernel stays."""
        self._users += 1
        self._cancel()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._wait()

    def stop(self) -> None:
        """Watch no longer."""
        self._cancel()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._over)

    def _over(self) -> None:
        self._letting_go = asyncio.ensure_future(self._unless_needed())

    async def _unless_needed(self) -> None:
        if self._users:
            return
        if self._busy():
            self._wait()
        else:
            await self._let_go()

    def _cancel(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


KEPT_OF_PROMPTS = 400
"""Characters of a prompt that are kept for saying what a cell has asked for."""


@dataclass
class CellCalls:
    """What the standing cell has asked for, beside what is recorded of an earlier run of it."""

    recorded: frozenset[str] = frozenset()
    """Keys that the journal has of this cell."""
    asked: set[str] = field(default_factory=set[str])
    """Keys of what it has asked for."""
    paid: dict[str, str] = field(default_factory=dict[str, str])
    """The beginnings of the prompts that no recorded answer was found for, by key, in the order of asking."""

    cut: int = 0
    """Answers that ended at their output limit, and not of themselves."""

    @property
    def missing(self) -> list[str]:
        """Recorded keys that the cell did not ask for."""
        return sorted(self.recorded - self.asked)


@dataclass
class Repl:
    """A kernel and where it stands: after which cells, and in which one."""

    session: KernelSession
    position: str = START
    """The chain of the cells that have ended in it."""
    cell: str | None = None
    """The digest of the cell that stands in it."""
    answers: AnswerSet = field(default_factory=AnswerSet)
    dispatcher: CallDispatcher | None = None
    parked_calls: ParkedCalls | None = None
    """What of the standing cell waits for a person; None where no gate could stop a call."""
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
        if self.dispatcher:
            await self.dispatcher.close()
        await self.session.close()


@dataclass(frozen=True)
class ExecutionOptions:
    """How one sitting goes on with a run, whatever its settings say."""

    strict: bool = False
    """Whether a replay that asks for something else than was recorded ends the sitting."""
    unsandboxed: bool = False
    """Whether kernels run as the user, who has said so now."""


DEFAULT_OPTIONS = ExecutionOptions()


@dataclass
class ActiveRun:
    """One thread that is being run here."""

    thread_id: str
    settings: RunSettings
    ledger: BudgetLedger
    journal: ThreadJournal
    tree: Tree
    models: Mapping[str, ModelClient]
    """Those that its code may name."""
    context: ContextRef | None
    depth: int = 0
    """How many runs are above it."""
    children: Children | None = None
    inner: bool = False
    """Whether the run that called it runs here, too, and will close what they share."""
    kernel: Repl | None = None
    execution_options: ExecutionOptions = DEFAULT_OPTIONS
    restore: RestoreRecord | None = None
    """How the REPL was brought back last in this sitting."""
    grant: BudgetGrant | None = None
    """What a person has allowed of the budget."""
    stream: contextvars.Context = field(default_factory=contextvars.copy_context)
    """Where events go that are told by what outlives the node that began it: the node that runs now."""
    transcript: Transcript = field(default_factory=Transcript)
    """Its turns so far."""
    gates: Gates = field(init=False)
    idle: IdleTimer = field(init=False)

    def __post_init__(self) -> None:
        self.gates = Gates.of(self.settings.approve)
        self.ledger.allow(self.gates.cost)
        self.idle = IdleTimer(self.settings.kernel_idle, self._answering, self.drop_kernel)

    def _answering(self) -> bool:
        """Whether calls of the kernel's cell are being answered: what was paid must reach it."""
        return bool(self.kernel and self.kernel.dispatcher and self.kernel.dispatcher.active)

    @property
    def holds(self) -> bool:
        """Whether any sub-call of its code may have to wait for a person, itself or in a run of its own."""
        return self.gates.hold_calls or (bool(self.gates.code) and self.settings.max_depth > 1)

    @property
    def pack(self) -> str | None:
        """The blob that its input is in, which prompts are mostly cut from."""
        return (self.context and self.context["pack"]) or None

    def tell(self, event: dict[str, Any]) -> None:
        """Put an event on the stream of the node that runs now, whichever was the one that began what tells it."""
        self.stream.copy().run(emit_event, event)

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
        if not self.inner:
            await self.tree.aclose()


@dataclass(frozen=True)
class _Rest:
    """A wait for a person: what was saved when it began, and when it is given up."""

    saved: Any
    timer: asyncio.TimerHandle


class ActiveRuns:
    """The runs alive in this process, by thread."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._runs: dict[str, ActiveRun] = {}
        self._callers: dict[str, ActiveRun] = {}
        self.options_by_thread: dict[str, ExecutionOptions] = {}
        """How threads are gone on with, where that was asked for."""
        self._resting: dict[str, _Rest] = {}
        """Of the runs that wait for a person with their kernels."""
        self._endings: set[asyncio.Future[None]] = set()
        self.children: Children | None = None
        """Runs child threads; put in by whoever has the graph that they run on."""

    async def get(self, thread_id: str, state: RunState) -> ActiveRun:
        """The live run of the thread, built from its state and journal when this process has none."""
        run = self._runs.get(thread_id)
        if run is None:
            run = self._runs[thread_id] = await self._open(thread_id, state)
        run.stream = contextvars.copy_context()
        return run

    def rest(self, thread_id: str, saved: Any) -> None:
        """Keep the run as it is while it waits for a person, for as long as an idle kernel is kept.

        `saved` tells what is saved of it from what others make of that.
        """
        run = self._runs[thread_id]
        loop = asyncio.get_running_loop()
        timer = loop.call_later(run.settings.kernel_idle, self._end_rest, thread_id)
        self._resting[thread_id] = _Rest(saved, timer)

    def _end_rest(self, thread_id: str) -> None:
        # Taken away at once: whoever goes on with it now builds it anew.
        del self._resting[thread_id]
        ending = asyncio.ensure_future(self._runs.pop(thread_id).close())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def wake(
        self, thread_id: str, saved: Any, execution_options: ExecutionOptions, limits: Limits, seconds: float
    ) -> None:
        """Go on with a run that rests, if nothing has been done with it since; else it is built anew when needed.

        `seconds` of wall time count so far: those of the wait do not.
        """
        run, rest = self._runs.get(thread_id), self._resting.pop(thread_id, None)
        if rest:
            rest.timer.cancel()
        if run is None:
            return
        if rest and rest.saved == saved and run.execution_options == execution_options and run.ledger.limits == limits:
            run.ledger.go_on(seconds)
        else:
            await self.close(thread_id)

    async def close(self, thread_id: str) -> None:
        """End the thread's live part."""
        if rest := self._resting.pop(thread_id, None):
            rest.timer.cancel()
        run = self._runs.pop(thread_id, None)
        if run:
            await run.close()

    async def close_all(self) -> None:
        """End all of them."""
        for thread_id in list(self._runs):
            await self.close(thread_id)
        await asyncio.gather(*self._endings)

    @contextmanager
    def called_by(self, caller: ActiveRun, thread_id: str) -> Generator[None]:
        """While this lasts, the thread is a child of `caller`, on its account and with its models."""
        self._callers[thread_id] = caller
        try:
            yield
        finally:
            del self._callers[thread_id]

    def find(self, thread_id: str) -> ActiveRun | None:
        """The run if it is alive here."""
        return self._runs.get(thread_id)

    async def _open(self, thread_id: str, state: RunState) -> ActiveRun:
        execution_options = self.options_by_thread.get(thread_id, DEFAULT_OPTIONS)
        settings = saved_settings(state.get("settings", {}))
        if execution_options.unsandboxed:
            settings = settings.model_copy(update={"unsandboxed": True})
        caller = self._callers.get(thread_id)
        row = await self._deps.stores.threads.find(thread_id)
        tree = caller.tree if caller else Tree(settings, self._deps.open_model)
        return ActiveRun(
            thread_id=thread_id,
            settings=settings,
            ledger=await self._ledger(thread_id, row, settings, caller),
            journal=await self._deps.stores.journal.of(thread_id),
            tree=tree,
            models=tree.models({settings.model, settings.calls_model}),
            context=state.get("context_ref"),
            depth=row.depth if row else 0,
            inner=caller is not None,
            children=self.children,
            execution_options=execution_options,
        )

    async def _ledger(
        self, thread_id: str, row: Thread | None, settings: RunSettings, caller: ActiveRun | None
    ) -> BudgetLedger:
        """The account of the run, which is part of that of the tree it is in."""
        spending = self._deps.stores.spending
        seconds = row.seconds if row else 0.0
        above = caller.ledger if caller else None
        if row and row.caller and above is None:
            # It goes on by itself, but its requests are paid out of the whole tree's budget all the same.
            top = await self._deps.stores.threads.get(await self._deps.stores.threads.top_of(thread_id))
            of_top = saved_settings(top.start.get("settings", {}))
            above = await self._top_ledger(top.thread_id, top.limits, top.seconds, of_top)
        if above:
            return above.below(await spending.by(thread_id), seconds=seconds)
        return await self._top_ledger(thread_id, row.limits if row else Limits.of(settings), seconds, settings)

    async def _top_ledger(self, thread_id: str, limits: Limits, seconds: float, settings: RunSettings) -> BudgetLedger:
        spending = self._deps.stores.spending
        spent, before = await spending.by(thread_id), await spending.before(thread_id)
        outputs = await spending.outputs(thread_id)
        ledger = BudgetLedger(limits, spent, before=before, outputs=outputs, seconds=seconds, clock=self._deps.clock)
        # `plan` keeps back what a last turn may take; but it may be a while until then, with a cell that stands.
        if tokens := await spending.largest_turn(thread_id):
            ledger.keep(last_turn(settings.model, settings.price, tokens))
        return ledger


async def kernel_spec(run: ActiveRun, context: ContextRef | None, deps: Dependencies) -> KernelSpec:
    """What the run's kernels are started with."""
    settings = run.settings
    files: ContextFiles | None = None
    if context and context["kind"] != "none":
        found = await asyncio.to_thread(context_files, context, deps.stores.blobs)
        files = ContextFiles(*found, handed="digest" in context)
    return KernelSpec(
        thread_id=run.thread_id,
        context=files,
        sub_calls=settings.max_depth > 0,
        sub_rlms=settings.max_depth > 1,
        models=tuple(run.models),
        memory=settings.memory,
        cell_timeout=settings.cell_timeout,
        sandboxed=not settings.unsandboxed,
        environment=settings.kernel_env,
        provisioner=settings.kernel_provisioner,
    )


def thread_of(config: Mapping[str, Any]) -> str:
    """The thread that a node runs for."""
    return str(config.get("configurable", {})["thread_id"])
