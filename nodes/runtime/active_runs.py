"""Keep the runs that this process executes: their models, budgets and REPLs. None of it is saved.

After a crash all of it is built again from the state and the journal. A kernel that nothing has needed for a while is
ended, because a model or a reviewer may take long and memory is scarce; the next cell gets a restored one, as after a
crash.
"""

import asyncio
import contextvars
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...kernel.session import ContextFiles, KernelSpec
from ...state.approval_policy import Gates
from ...state.approval_records import BudgetGrant
from ...state.budget import BudgetLedger, Limits
from ...state.call_journal import ThreadJournal
from ...state.evidence.placing import Placing
from ...state.home_size import HomeLimit
from ...state.input.context import ContextRef, context_files
from ...state.run_state import FormerModels, RestoreRecord, RunState, Usage, as_usage
from ...state.settings import RunSettings, saved_settings
from ...state.threads import Thread
from ..models.client import ModelClient
from ..models.sub_model import SubModel
from .accounts import Accounts
from .child_protocol import ChildAnswer, ChildCall
from .concurrency import BatchPart, Room, RunModels, RunTree
from .dependencies import Dependencies
from .events import emit_event
from .idle_timer import IdleTimer
from .output_limits import last_turn
from .repl import Repl
from .sent_messages import SentMessages
from .turns import Transcript


@dataclass(frozen=True)
class ExecutionOptions:
    """Options of one execution, given beside the run's settings."""

    strict: bool = False
    """True when a replay that diverges from the journal ends the execution."""
    unsandboxed: bool = False
    """True when kernels run with the user's own rights, which the user has allowed for this execution."""


DEFAULT_OPTIONS = ExecutionOptions()


class Children(Protocol):
    """The runner of child threads, implemented in `graph`, which has the graph that they run on."""

    async def answer(self, caller: "ActiveRun", call: ChildCall) -> ChildAnswer:
        """Start the child thread of this call, or resume it, until it ends or waits for approval.

        It resumes from its last step, after a crash too; what is recorded of it is never paid for again. Raises what
        stops the caller as well: StoreError, KernelStartFailed, ReplayDiverged, HomeFull; and BudgetSpent when a new
        child could not ask anything.
        """
        ...


@dataclass
class ActiveRun:
    """A thread that this process executes: its models, its budget, its REPL.

    Opened by `ActiveRuns.get` from the saved state and the journal → its nodes run, each after `enter_node` → closed
    when the execution ends; or suspended while it waits for approval, and resumed if nothing has changed by then. Its
    REPL starts when a cell needs one, and is dropped when the kernel is lost or has been idle for long; the next cell
    gets a restored one. One that `shares` models with its caller, or with the runs of its batch, does not close them.
    """

    thread_id: str
    settings: RunSettings
    ledger: BudgetLedger
    journal: ThreadJournal
    tree: RunTree
    models: RunModels
    context: ContextRef | None
    placing: Placing
    """Finds the parts of the input that its requests hold."""
    former_models: Sequence[FormerModels] = ()
    depth: int = 0
    """The number of runs above it."""
    children: Children | None = None
    shares: bool = False
    """True when the run that called it is active here too, or a batch is, and will close what they share."""
    execution_options: ExecutionOptions = DEFAULT_OPTIONS
    unsaved_models: dict[str, Any] = field(init=False, default_factory=dict[str, Any])
    """A change of its models in the state, which the node that runs now saves."""
    window: int | None = field(init=False, default=None)
    """Tokens that root requests and their answers may have together, once the server has refused one as too long."""
    sent_messages: SentMessages = field(init=False, default_factory=SentMessages)
    transcript: Transcript = field(init=False, default_factory=Transcript)
    """Its turns so far."""
    gates: Gates = field(init=False)
    idle: IdleTimer = field(init=False)
    _repl: Repl | None = field(init=False, default=None)
    _restore_report: RestoreRecord | None = field(init=False, default=None)
    _grant: BudgetGrant | None = field(init=False, default=None)
    _node_context: contextvars.Context = field(init=False, default_factory=contextvars.copy_context)
    """The context of the node that runs now; events of a sender that outlives the node it began in go there."""

    def __post_init__(self) -> None:
        self.gates = Gates.of(self.settings.approve)
        self.ledger.allow(self.gates.cost)
        self.idle = IdleTimer(self.settings.kernel_idle, self._answering, self.drop_repl)

    def _answering(self) -> bool:
        return self._repl is not None and self._repl.answering

    @property
    def repl(self) -> Repl | None:
        """Its REPL, if one was started."""
        return self._repl

    @property
    def restore_report(self) -> RestoreRecord | None:
        """The report of its REPL's last restore in this execution."""
        return self._restore_report

    @property
    def grant(self) -> BudgetGrant | None:
        """The budget that a reviewer has granted."""
        return self._grant

    @property
    def may_park_calls(self) -> bool:
        """True when a sub-call of its code may have to wait for approval, itself or in a run of its own."""
        return self.gates.hold_calls or (bool(self.gates.code) and self.settings.max_depth > 1)

    @property
    def pack(self) -> str | None:
        """The blob that holds its input, which most prompts are cut from."""
        return (self.context and self.context["pack"]) or None

    @property
    def root_model(self) -> ModelClient:
        """The client of its root model."""
        return self.models.root

    @property
    def usage(self) -> Usage:
        """The usage so far, as the state shows it."""
        return as_usage(self.ledger.spent)

    def change_models(self, settings: RunSettings) -> None:
        """Ask other models from now on. Raises ModelSetupError."""
        self.models = self.tree.models_of(settings)
        self.settings = settings
        self.window = None

    def enter_node(self) -> None:
        """Note that one of its nodes begins: from now on events go to that node's stream."""
        self._node_context = contextvars.copy_context()

    def emit(self, event: Mapping[str, Any]) -> None:
        """Put an event on the stream of the node that runs now, whichever node its sender began in."""
        self._node_context.copy().run(emit_event, event)

    def apply_grant(self, grant: BudgetGrant) -> None:
        """Add a reviewer's grant: what may be spent before the reviewer is asked again."""
        self._grant = grant
        self.ledger.allow(grant["dollars"])

    def keep_last_turn(self, input_tokens: int) -> None:
        """Reserve what a last turn may take after a request of `input_tokens`."""
        self.ledger.keep(last_turn(self.settings.root_spec, input_tokens))

    def note_restore(self, report: RestoreRecord) -> None:
        """Record the report of its REPL's restore."""
        self._restore_report = report
        if self._repl:
            self._repl.restore_report = report

    async def start_repl(self, deps: Dependencies, context: ContextRef | None) -> Repl:
        """Start a fresh REPL over `context` in place of the one it has. Raises KernelStartFailed."""
        await self.drop_repl()
        session = await deps.kernels.start(await kernel_spec(self, context, deps))
        self._repl = Repl(session, deps.stores.snapshots)
        return self._repl

    async def drop_repl(self) -> None:
        """End its REPL, if there is one; the next cell gets a restored one."""
        repl, self._repl = self._repl, None
        if repl:
            await repl.close()

    async def close(self) -> None:
        """Stop its idle timer and end its REPL; close the models unless others share them."""
        self.idle.stop()
        self.ledger.close()
        await self.drop_repl()
        if not self.shares:
            await self.tree.aclose()


@dataclass(frozen=True)
class _Suspension:
    """A wait for approval: what was saved when it began, and the timer that ends it."""

    saved: Any
    timer: asyncio.TimerHandle


class ActiveRuns:
    """The active runs of this process, by thread."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._accounts = Accounts(deps.stores, deps.clock)
        self._runs: dict[str, ActiveRun] = {}
        self._callers: dict[str, ActiveRun] = {}
        self.batches: dict[str, BatchPart] = {}
        """The shared parts of the batches under way, by the threads of their runs."""
        self.options_by_thread: dict[str, ExecutionOptions] = {}
        """Execution options of threads that were given some."""
        self._suspended: dict[str, _Suspension] = {}
        """Suspensions of the runs that wait for approval and keep their kernels."""
        self._endings: set[asyncio.Future[None]] = set()
        self._children: Children | None = None

    def bind_children(self, children: Children) -> None:
        """Set what runs child threads, once the graph that they run on is built."""
        self._children = children

    async def get(self, thread_id: str, state: RunState) -> ActiveRun:
        """Return the thread's active run for the node that begins, opened when this process has none."""
        run = self._runs.get(thread_id)
        if run is None:
            run = self._runs[thread_id] = await self._open(thread_id, state)
        run.enter_node()
        return run

    def suspend(self, thread_id: str, saved: Any) -> None:
        """Keep the run as it is while it waits for approval, for as long as an idle kernel is kept.

        `saved` identifies its saved state, so that `resume` can detect a change.
        """
        run = self._runs[thread_id]
        loop = asyncio.get_running_loop()
        timer = loop.call_later(run.settings.kernel_idle, self._on_idle, thread_id)
        self._suspended[thread_id] = _Suspension(saved, timer)

    def _on_idle(self, thread_id: str) -> None:
        # Removed at once: from here on a resume opens the run again.
        del self._suspended[thread_id]
        ending = asyncio.ensure_future(self._runs.pop(thread_id).close())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def resume(
        self, thread_id: str, saved: Any, execution_options: ExecutionOptions, limits: Limits, seconds: float
    ) -> None:
        """Resume a suspended run if it has not changed since; else close it, and it is opened again when needed.

        `seconds`: the wall time counted so far, without that of the wait.
        """
        run, suspension = self._runs.get(thread_id), self._suspended.pop(thread_id, None)
        if suspension:
            suspension.timer.cancel()
        if run is None:
            return
        if (
            suspension
            and suspension.saved == saved
            and (run.execution_options, run.shares) == (execution_options, thread_id in self.batches)
            and run.ledger.limits == limits
        ):
            run.ledger.go_on(seconds)
        else:
            await self.close(thread_id)

    async def close(self, thread_id: str) -> None:
        """Close the thread's active run, if there is one."""
        if suspension := self._suspended.pop(thread_id, None):
            suspension.timer.cancel()
        run = self._runs.pop(thread_id, None)
        if run:
            await run.close()

    async def close_all(self) -> None:
        """Close all active runs, each whatever closing another one raises; then raise the first of these errors."""
        closing = [self.close(thread_id) for thread_id in list(self._runs)]
        for outcome in await asyncio.gather(*closing, *self._endings, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    @contextmanager
    def called_by(self, caller: ActiveRun, thread_id: str) -> Generator[None]:
        """Make the thread a child of `caller` while this lasts: it uses the caller's budget and models."""
        self._callers[thread_id] = caller
        try:
            yield
        finally:
            del self._callers[thread_id]

    def find(self, thread_id: str) -> ActiveRun | None:
        """Return the thread's active run, or None when this process has none."""
        return self._runs.get(thread_id)

    async def _open(self, thread_id: str, state: RunState) -> ActiveRun:
        execution_options = self.options_by_thread.get(thread_id, DEFAULT_OPTIONS)
        settings = saved_settings(state.get("settings", {}))
        if execution_options.unsandboxed:
            settings = settings.model_copy(update={"unsandboxed": True})
        caller = self._callers.get(thread_id)
        row = await self._deps.stores.threads.find(thread_id)
        batch = self.batches.get(thread_id)
        shared = caller or batch
        ledger = await self._accounts.of(
            thread_id, row, settings, above=caller and caller.ledger, shared=batch and batch.ledger
        )
        tree = shared.tree if shared else await self._tree(settings, ledger.limits)
        return ActiveRun(
            thread_id=thread_id,
            settings=settings,
            ledger=ledger,
            journal=await self._deps.stores.journal.of(thread_id),
            tree=tree,
            models=tree.models_of(settings),
            context=state.get("context_ref"),
            placing=await self._placing(row, state.get("context_ref"), caller),
            former_models=state.get("former_models", ()),
            depth=row.depth if row else 0,
            shares=shared is not None,
            children=self._children,
            execution_options=execution_options,
        )

    async def _tree(self, settings: RunSettings, limits: Limits) -> RunTree:
        limit = HomeLimit(self._deps.stores.size, limits.max_home_size)
        await limit.known()
        return RunTree(settings, self._deps.open_model, Room(limit))

    async def _placing(self, row: Thread | None, own: ContextRef | None, caller: ActiveRun | None) -> Placing:
        """Return what places the run's texts: in the input of the run at the top of its tree."""
        stores = self._deps.stores
        above = caller.placing.source if caller else None
        if row and row.caller and caller is None:
            # The child is resumed without its caller.
            top = await stores.threads.get(await stores.threads.top_of(row.thread_id))
            above = top.start.get("context_ref")
        return Placing(own, above, stores.texts, stores.blobs)


async def kernel_spec(run: ActiveRun, context: ContextRef | None, deps: Dependencies) -> KernelSpec:
    """Return what the run's kernels are started with."""
    settings = run.settings
    files: ContextFiles | None = None
    if context and context["kind"] != "none":
        found = await asyncio.to_thread(context_files, context, deps.stores.blobs)
        files = ContextFiles(*found, handed="digest" in context, text=context["kind"] == "text")
    return KernelSpec(
        thread_id=run.thread_id,
        context=files,
        sub_calls=settings.max_depth > 0,
        sub_rlms=settings.max_depth > 1,
        models=run.models.names,
        prompt_tokens=SubModel(run.models.sub.name, run.models.sub.window).pack_tokens,
        memory=settings.memory,
        cell_timeout=settings.cell_timeout,
        search=deps.searches.of(context, files, run.emit, run.tree.room.limit) if context and files else None,
        sandboxed=not settings.unsandboxed,
        environment=settings.kernel_env,
        provisioner=settings.kernel_provisioner,
        spool=str(deps.stores.home),
    )


def thread_of(config: Mapping[str, Any]) -> str:
    """Return the thread that a node runs for."""
    return str(config.get("configurable", {})["thread_id"])
