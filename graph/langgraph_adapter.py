"""The compiled graph for LangGraph's own callers: each run that they start is an execution.

They use `invoke`, `astream`, `astream_events` and `aupdate_state`, and the Agent Server calls the same on a copy. A
run's settings are frozen, its input is stored and its row is in the index before the first step; the lease of the
thread is held while it runs; each step is on disk before the next begins; and the outcome is recorded. The caller's
durability and recursion limit are ignored, and another checkpointer is refused.
"""

import asyncio
import contextlib
import contextvars
import re
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs, var_child_runnable_config
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, StateSnapshot, StateUpdate

from ..nodes.runtime.active_runs import ExecutionOptions
from ..nodes.runtime.dependencies import Dependencies
from ..state.errors import RlmError, UsageError
from ..state.run_state import RunInput, RunOutput, RunState
from ..state.settings import RunSettings, saved_settings
from .approvals import check_answer, check_asked_here, check_undecided, waiting_one
from .build import Graph
from .create import make_ready
from .executor import RunExecutor, Streaming, config_of, for_caller
from .langgraph_ids import config_called, run_name, snapshot_called
from .langgraph_input import RunRequest, create_from_request
from .langgraph_streams import StreamAdapter, snapshot_with_answer
from .resume_points import ResumePoint, limits_for, resume_point_at, resume_point_of
from .shown_requests import ShownRequests
from .state_edits import allowed_edit
from .sync_calls import SyncCalls
from .tracing import traced

T = TypeVar("T")

_MOST_NOTED = 10_000

_DECIDED_HERE = frozenset({"durability", "checkpoint_during"})


class DurableGraph(CompiledStateGraph[RunState, RunSettings, RunInput, RunOutput]):
    """A LangGraph graph whose runs are executions. Synchronous calls wait for the runner's event loop."""

    def __init__(self, *, adapter: "GraphAdapter", **attributes: Any) -> None:
        """Take over `attributes` from a plain graph; LangGraph copies this one with the same names."""
        super().__init__(**attributes)
        self.adapter = adapter

    async def astream(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        input: RunInput | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        context: RunSettings | Mapping[str, Any] | None = None,
        stream_mode: Any = None,
        subgraphs: bool = False,
        version: Any = "v1",
        **options: Any,
    ) -> AsyncIterator[Any]:
        """Start a run (a dict), resume it (None), or answer what it waits for (`Command(resume=…)`).

        A dict for a thread that has been started resumes it, too, with the limits it names in place of the run's:
        a thread is one question. Raises RunBusy while another process has the thread, ThreadExists for another
        question or input, UsageError, UnknownThread, and the error that ended the run.
        """
        config = self._own(config)
        if config.get("configurable", {}).get("checkpoint_ns"):
            raise UsageError(
                "This graph cannot be a node of another graph.",
                hint="Call it in a function that is the node: await graph.ainvoke(input, "
                '{"configurable": {"thread_id": …}}), with a thread of its own.',
            )
        thread_id, checkpoint_id = _place_in(config)
        modes = stream_mode or self.stream_mode
        stream_adapter = StreamAdapter(self.adapter.texts, self.adapter.requests, thread_id, modes, subgraphs, version)
        chunks: asyncio.Queue[Any] = asyncio.Queue()

        async def on_chunk(chunk: Any) -> None:
            async for adapted in stream_adapter.chunks(*chunk):
                chunks.put_nowait(adapted)
            # The graph runs no faster than the caller takes its chunks.
            await chunks.join()

        options = {name: value for name, value in options.items() if name not in _DECIDED_HERE}
        streaming = Streaming(on_chunk, config, {**options, "stream_mode": stream_adapter.inner_modes})
        task = _apart(self.adapter.execute(input, thread_id, checkpoint_id, context, streaming))
        self.adapter.note_execution(task, thread_id, config)
        task.add_done_callback(lambda _: chunks.put_nowait(_END))
        try:
            while (chunk := await chunks.get()) is not _END:
                yield chunk
                chunks.task_done()
            await task
        finally:
            await _ended(task)

    async def abulk_update_state(self, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]) -> Any:
        """Change the state of a thread that no process runs.

        The thread is then `stopped`, and pending approvals are asked for again.

        Only the question may be changed (`state_edits.py`). Raises UsageError for any other edit, RunBusy while a
        process runs the thread, UnknownThread when the run does not exist.
        """
        return await _apart(self.adapter.change(self._own(config), supersteps))

    async def aget_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """Return the state of a thread, with the answer itself once there is one."""
        del subgraphs
        return await _apart(self.adapter.snapshot(self._own(config)))

    async def aget_state_history(
        self,
        config: RunnableConfig,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[StateSnapshot]:
        """Yield the states of a thread, the one saved last first."""
        config = self._own(config)
        for snapshot in await _apart(self.adapter.history(config, filter=filter, before=before, limit=limit)):
            yield snapshot

    def stream(self, *given: Any, **options: Any) -> Iterator[Any]:
        """Do what `astream` does, outside the event loop of the runner. Raises the same, and UsageError inside it."""
        return self.adapter.sync.iterate(self.astream(*given, **options))

    def bulk_update_state(self, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]) -> Any:
        """Do what `abulk_update_state` does, outside the event loop of the runner."""
        return self.adapter.sync.wait(self.abulk_update_state(config, supersteps))

    def get_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """Do what `aget_state` does, outside the event loop of the runner."""
        return self.adapter.sync.wait(self.aget_state(config, subgraphs=subgraphs))

    def get_state_history(self, config: RunnableConfig, **options: Any) -> Iterator[StateSnapshot]:
        """Do what `aget_state_history` does, outside the event loop of the runner."""
        return self.adapter.sync.iterate(self.aget_state_history(config, **options))

    def _own(self, config: RunnableConfig | None) -> RunnableConfig:
        """Return a caller's config with what is bound to this copy. Raises UsageError for another checkpointer."""
        if self.checkpointer is not None and not self.adapter.owns(self.checkpointer):
            raise UsageError(
                "This graph saves its runs in its own home, and no other checkpointer can be bound to it.",
                hint="Open the Runner with the home that you want, and leave the graph's checkpointer as it is.",
            )
        return merge_configs(self.config, config)


class GraphAdapter:
    """The implementation that all copies of a `DurableGraph` share."""

    def __init__(self, deps: Dependencies, executor: RunExecutor, graph: Graph) -> None:
        """Use the plain `graph`, with the home's own checkpointer."""
        self._deps = deps
        self._executor = executor
        self._graph = graph
        self.texts = deps.stores.texts
        self.requests = ShownRequests(deps.stores)
        self.sync = SyncCalls()
        self._under_way: dict[asyncio.Task[None], tuple[str, str]] = {}
        """The executions of callers, each with its thread as the caller named it and the id of its server's run."""
        self.begun_by: dict[str, str] = {}
        """The threads that the latest runs of a server have begun, by the ids of those runs."""

    def owns(self, checkpointer: Any) -> bool:
        """Return whether a checkpointer saves in this home. A server wraps it in another one, which has its parts."""
        return self._deps.stores.database in getattr(checkpointer, "parts", ())

    async def close(self) -> None:
        """Stop all executions under way: a caller may have abandoned a stream."""
        for task in [*self._under_way]:
            await _ended(task)

    def note_execution(self, task: "asyncio.Task[None]", thread_id: str, config: RunnableConfig) -> None:
        """Keep an execution until it has ended."""
        self._under_way[task] = thread_id, _run_id(config)
        task.add_done_callback(lambda ended: self._under_way.pop(ended, None))

    async def end(self, *, thread_id: str | None = None, run_ids: Collection[str] = ()) -> None:
        """Stop the executions of a thread, as its caller named it, or of runs of a server; wait until they ended."""
        for task, (thread, run_id) in [*self._under_way.items()]:
            if thread == thread_id or run_id in run_ids:
                await _ended(task)

    async def execute(
        self,
        given: RunInput | Command[Any] | None,
        thread_id: str,
        checkpoint_id: str | None,
        context: RunSettings | Mapping[str, Any] | None,
        streaming: Streaming,
    ) -> None:
        """Execute a request until the run ends or pauses. Raises the error that ended it, also when it was stopped."""
        threads = self._deps.stores.threads
        thread_id = await run_name(threads, thread_id)
        request = None if given is None or isinstance(given, Command) else RunRequest.of(given)
        if not await threads.exists(thread_id):
            self._note_beginning(streaming.config, thread_id)
        raises = await create_from_request(self._deps, thread_id, request, context)
        nothing_left = False

        async def find() -> ResumePoint | None:
            nonlocal nothing_left
            row = await threads.get(thread_id)
            limits = await limits_for(threads, row, raises)
            snapshot = await self._graph.aget_state(config_of(thread_id, checkpoint_id))
            if isinstance(given, Command):
                await check_asked_here(threads, row)
                answers = await self._answers(thread_id, given, snapshot)
                return ResumePoint(Command(resume=answers), limits, checkpoint_id=checkpoint_id)
            if checkpoint_id is None or snapshot.config == (await self._graph.aget_state(config_of(thread_id))).config:
                found = resume_point_of(row, snapshot, limits)
            else:
                found = resume_point_at(checkpoint_id, snapshot, limits)
            nothing_left = found is None
            return found

        settings = saved_settings((await threads.get(thread_id)).start.get("settings", {}))
        await make_ready(self._deps.kernels, settings)
        execution_options = ExecutionOptions(unsandboxed=settings.unsandboxed)
        outcome = await self._executor.execute(thread_id, find, streaming, execution_options=execution_options)
        if failure := outcome.busy or outcome.error or outcome.unsaved:
            raise failure
        if outcome.stopped:
            raise RlmError(f"{thread_id} was stopped.", hint="Resume it: give it None for an input.")
        if nothing_left:
            # Without a task there is nothing to hold or write: the caller gets the current state.
            config, options = for_caller(config_of(thread_id, checkpoint_id), streaming.config), streaming.options
            with traced(self._deps.tracing):
                async for chunk in self._graph.astream(None, config, durability="sync", **options):
                    await streaming.on_chunk(chunk)

    def _note_beginning(self, config: RunnableConfig, thread_id: str) -> None:
        """Note that a run of a server begins this thread: it may be taken back before it has made a step."""
        if run_id := _run_id(config):
            self.begun_by[run_id] = thread_id
            while len(self.begun_by) > _MOST_NOTED:
                self.begun_by.pop(next(iter(self.begun_by)))

    async def change(self, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]) -> RunnableConfig:
        """Apply `abulk_update_state` to a thread while holding its lease. Return the config of the new step."""
        called, place = await self._place(config)
        thread_id, _ = _place_in(place)
        threads = self._deps.stores.threads
        row = await threads.get(thread_id)

        async def change() -> RunnableConfig:
            edit = await allowed_edit(threads, row, await self._graph.aget_state(place), supersteps)
            return await self._graph.abulk_update_state(place, [[edit]])

        return config_called(await self._executor.change(thread_id, change), called)

    async def snapshot(self, config: RunnableConfig) -> StateSnapshot:
        """Return the state that `config` names."""
        called, place = await self._place(config)
        snapshot = await self._graph.aget_state(place)
        return snapshot_called(await self._shown(snapshot), called)

    async def history(
        self, config: RunnableConfig, *, before: RunnableConfig | None, **options: Any
    ) -> list[StateSnapshot]:
        """Return the states of a thread, the one saved last first."""
        called, place = await self._place(config)
        found = self._graph.aget_state_history(place, before=before, **options)
        return [snapshot_called(await self._shown(one), called) async for one in found]

    async def _shown(self, snapshot: StateSnapshot) -> StateSnapshot:
        return await self.requests.snapshot(await snapshot_with_answer(snapshot, self.texts))

    async def _answers(self, thread_id: str, command: Command[Any], snapshot: StateSnapshot) -> dict[str, Any]:
        """Return the answers of a command by the ids of their interrupts, checked. Raises UsageError."""
        answers = _answers_in(thread_id, command, snapshot)
        saver: Any = self._graph.checkpointer
        latest = await self._graph.aget_state(config_of(thread_id))
        for name, answer in answers.items():
            interrupt = waiting_one(thread_id, snapshot.interrupts, name)
            check_answer(await ShownRequests(self._deps.stores, whole=True).value(interrupt.value), answer)
            await check_undecided(saver, snapshot, interrupt, answer if latest.config == snapshot.config else None)
        return answers

    async def _place(self, config: RunnableConfig) -> tuple[str, RunnableConfig]:
        """Return the caller's name for the thread, and the config of the run that it names."""
        called, checkpoint_id = _place_in(config)
        return called, config_of(await run_name(self._deps.stores.threads, called), checkpoint_id)


def graph_for_callers(graph: Graph, adapter: GraphAdapter) -> DurableGraph:
    """Return the plain graph in the form for LangGraph's callers."""
    attributes = {name: value for name, value in vars(graph).items() if name != "__orig_class__"}
    return DurableGraph(adapter=adapter, **attributes)


def _run_id(config: RunnableConfig) -> str:
    """Return the id of the server's run that an execution is; empty for other callers."""
    return str((config.get("metadata") or {}).get("run_id") or "")


_END: Any = object()
_INTERRUPT_ID = "[0-9a-f]{32}"


def _answers_in(thread_id: str, command: Command[Any], snapshot: StateSnapshot) -> dict[str, Any]:
    """Return the answers of a command by the ids it gives, or by the id of the only interrupt. Raises UsageError.

    LangGraph would keep an answer that nothing waits for and apply it to the next interrupt, which nobody has seen yet.
    """
    if command.resume is None or command.update is not None or command.goto:
        raise UsageError("A run takes answers for commands, and nothing else.", hint="Command(resume=…)")
    answers: dict[str, Any] = command.resume if isinstance(command.resume, dict) else {}
    if answers and all(re.fullmatch(_INTERRUPT_ID, str(name)) for name in answers):
        return answers
    return {waiting_one(thread_id, snapshot.interrupts, None).id: command.resume}


def _place_in(config: RunnableConfig) -> tuple[str, str | None]:
    """Return the thread, and the step if one is named. Raises UsageError without a thread."""
    place = config.get("configurable", {})
    if not (thread_id := place.get("thread_id")):
        raise UsageError("No thread is named.", hint='Name one: config={"configurable": {"thread_id": …}}.')
    if place.get("checkpoint_ns"):
        raise UsageError("A sub-RLM is a thread of its own.", hint="Name its thread, without a checkpoint_ns.")
    return str(thread_id), place.get("checkpoint_id")


def _apart(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Run `work` in a task without the config of another graph: LangGraph would take its checkpointer from there."""
    context = contextvars.copy_context()
    context.run(var_child_runnable_config.set, None)
    return asyncio.create_task(work, context=context)


async def _ended(task: "asyncio.Task[None]") -> None:
    """Cancel the task if it is still running, and wait until it has released what it holds."""
    task.cancel()
    with contextlib.suppress(BaseException):
        await task
