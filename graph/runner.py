"""The runner: starts, continues and stops runs, over the compiled graph. The command line is written on it."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self, cast

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

from ..kernel.session import Kernels
from ..nodes.hands import Hands, OpenModels, ignore_probe
from ..nodes.intake import Given, input_digest, store_input
from ..nodes.live import LiveRuns
from ..state.collecting import Collected
from ..state.deleting import Deleted
from ..state.errors import LeaseLost, RlmError, RunBusy, ThreadExists, UsageError
from ..state.leases import RENEW_AFTER
from ..state.ledger import Limits
from ..state.report import Report
from ..state.saver import RunSaver
from ..state.schema import RestoreRecord, RunInput, RunState, Status
from ..state.settings import resolve_settings
from ..state.threads import Thread
from .build import Graph, draw
from .changes import Changes
from .checks import check_start, raised_limits
from .forking import make_fork
from .housekeeping import collect_garbage, delete_runs, verify_run
from .library import Library
from .moments import moment_of
from .opening import open_hands, open_stores
from .results import Run, answer_of, error_facts

OnEvent = Callable[[dict[str, Any]], None]
Start = RunInput | Command[Any] | None
# LangGraph counts supersteps and stops at 25 by default; the run's own limits are what rules here.
_NO_RECURSION_LIMIT = 10_000_000


class Runner:
    """Runs questions in one home. Open it with `async with Runner.open(home) as runner`."""

    def __init__(self, hands: Hands, saver: RunSaver) -> None:
        self._hands = hands
        self._stores = hands.stores
        self._live = LiveRuns(hands)
        self._running: dict[str, asyncio.Task[None]] = {}
        self.library = Library(hands.stores)
        """Reading: runs, steps, calls."""
        self.saver = saver
        self.graph = self.compiled(saver)
        """The compiled graph, an ordinary LangGraph graph: invoke, stream, get_state_history, update_state."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        home: str | Path = ".rlm",
        *,
        kernels: Kernels | None = None,
        open_model: OpenModels | None = None,
        probe: Callable[[str], None] = ignore_probe,
    ) -> AsyncGenerator[Self]:
        """A runner over the runs saved under `home` (made when missing). Raises StoreError.

        The other arguments replace live parts: kernels, model clients, and the probe of crash points.
        """
        async with (
            open_stores(_absolute(home)) as stores,
            open_hands(stores, kernels=kernels, open_model=open_model, probe=probe) as hands,
        ):
            runner = cls(hands, RunSaver(stores.database, stores.leases))
            try:
                yield runner
            finally:
                await runner._live.close_all()

    def compiled(self, checkpointer: RunSaver | None) -> Graph:
        """The graph with these hands and another checkpointer; None leaves the place to a server."""
        return draw(self._hands, self._live).compile(checkpointer=checkpointer, name="rlm")

    async def run(
        self,
        question: str,
        context: Given | None = None,
        *,
        thread: str | None = None,
        on_event: OnEvent | None = None,
        **settings: Any,
    ) -> Run:
        """Answer `question` over `context`; `settings` are those of `rlm run`, by their Python names.

        An existing `thread` with the same question and input is resumed. Raises UsageError, InputError or
        ModelSetupError before anything is saved; whatever goes wrong later is told by the run's status.
        """
        chosen = resolve_settings(settings)
        await check_start(question, chosen, self._hands)
        thread_id = thread or str(uuid.uuid4())
        given = input_digest(context)
        existing = await self._stores.threads.find(thread_id)
        if existing:
            if (existing.question, existing.input) != (question, given):
                raise ThreadExists(
                    f"The thread {thread_id} exists and asks something else: {_shortened(existing.question)}",
                    hint=f"Choose another --thread, or go on with it: rlm resume {thread_id}",
                )
            return await self.resume(thread_id, on_event=on_event)
        warming = asyncio.create_task(self._hands.kernels.warm_up())
        try:
            reference = None if context is None else await store_input(context, self._stores, on_event or _unheard)
        finally:
            await warming
        # Until this row is there, the input's blobs are kept by their times alone (`blobs.py`).
        start: RunInput = {"question": question, "context_ref": reference, "settings": chosen.frozen()}
        await self._stores.threads.add(
            thread_id,
            question=question,
            input_digest=given,
            start=cast(dict[str, Any], start),
            model=chosen.model,
            limits=Limits.of(chosen),
        )
        return await self._drive(thread_id, start, on_event)

    async def resume(self, thread: str, *, strict: bool = False, on_event: OnEvent | None = None, **raises: Any) -> Run:
        """Go on with a run from its last saved step. `raises` are limits (`max_cost=2.0`) that replace its own.

        `strict`: fail, rather than go on, when a cell that is run again asks for something else than it had. An
        answered run is returned as it is, without a call. Raises UnknownThread, UsageError.
        """
        row = await self._stores.threads.get(await self.library.resolve(thread))
        limits = raised_limits(row.limits, raises)
        state = await self._state(row.thread_id)
        if state.get("status") == "answered":
            return await self.read(row.thread_id)
        if limits == row.limits and row.status == "budget":
            return await self.read(row.thread_id)
        if limits != row.limits:
            await self._stores.threads.set_limits(row.thread_id, limits)
        start: RunInput | None = None
        if not state:
            start = cast(RunInput, row.start)
        reopen = state.get("status") == "budget"
        return await self._drive(row.thread_id, start, on_event, reopen=reopen, strict=strict)

    async def decide(
        self,
        thread: str,
        decisions: list[dict[str, Any]],
        *,
        interrupt: str | None = None,
        on_event: OnEvent | None = None,
    ) -> Run:
        """Answer what a paused run waits for, in LangChain's human-in-the-loop form, and go on.

        `interrupt` names which, where several wait. Raises UnknownThread, and UsageError when nothing waits or
        the name is not one of those that do.
        """
        row = await self._stores.threads.get(await self.library.resolve(thread))
        snapshot = await self.graph.aget_state(self._config(row.thread_id))
        waiting = [found.id for found in snapshot.interrupts]
        if not waiting:
            raise UsageError(f"{row.thread_id} waits for nobody.", hint=f"Go on with it: rlm resume {row.thread_id}")
        chosen = waiting[0] if interrupt is None and len(waiting) == 1 else interrupt
        if chosen not in waiting:
            raise UsageError(f"Name one of those that wait: {', '.join(waiting)}.")
        return await self._drive(row.thread_id, Command(resume={chosen: {"decisions": decisions}}), on_event)

    async def fork(
        self,
        thread: str,
        step: int,
        *,
        into: str | None = None,
        code: str | None = None,
        set: Mapping[str, Any] | None = None,
        question: str | None = None,
        answers: Mapping[str, Any] | None = None,
        fresh: bool = False,
        **raises: Any,
    ) -> Run:
        """A new thread that has everything of `thread` up to `step`; `resume` it to go on from there.

        What may be different in it: the `code` that is about to run, variables (`set`, JSON values by name), the
        `question`, `answers` to calls of the cell that stands (by their keys; texts, or the value of a typed call),
        and limits (`max_cost=2.0`). Recorded answers of the thread it comes from are served wherever a call is
        unchanged; `fresh`: none that was recorded after `step`. The parent is only read. Raises UnknownThread,
        UsageError, ThreadExists.
        """
        row = await self._stores.threads.get(await self.library.resolve(thread))
        limits = raised_limits(row.limits, raises)
        moment = await moment_of(self._stores, self.graph, row, step)
        target = into or str(uuid.uuid4())
        changes = Changes(code, set or {}, question, answers or {}, fresh)
        await make_fork(self._stores, self.compiled, moment, target, changes, limits)
        return await self.read(target)

    async def stream(
        self, question: str, context: Given | None = None, **options: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """`run`, as its events while it goes; the last one is `{"event": "end", "run": Run}`."""
        events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        task = asyncio.create_task(self.run(question, context, on_event=events.put_nowait, **options))
        task.add_done_callback(lambda _: events.put_nowait({"event": "end"}))
        try:
            while (event := await events.get())["event"] != "end":
                yield event
            yield {"event": "end", "run": await task}
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def stop(self, thread: str) -> bool:
        """Stop a run of this process: what is in flight is cancelled, what was saved stays. It can be resumed.

        Returns whether there was one; its `run` or `resume` then returns with the status `stopped`.
        """
        task = self._running.get(thread)
        return task is not None and task.cancel()

    async def stop_all(self) -> bool:
        """Stop every run of this process; whether there was any."""
        stopped = [await self.stop(thread) for thread in list(self._running)]
        return any(stopped)

    async def read(self, thread: str) -> Run:
        """How a run stands now, from what is saved. Raises UnknownThread."""
        row = await self._stores.threads.get(await self.library.resolve(thread))
        return await self._outcome(row)

    async def verify(self, thread: str) -> Report:
        """Read and check every stored byte that a run needs. Raises UnknownThread."""
        return await verify_run(self._stores, thread)

    async def delete(self, thread: str) -> Deleted:
        """Delete a run and its child runs, at once or not at all. Raises UnknownThread, RunBusy.

        Its forks stay as they are. What only it needed of texts and blobs is freed by `gc`.
        """
        return await delete_runs(self._stores, thread)

    async def gc(self, *, dry_run: bool = False) -> Collected:
        """Free what no run needs, but for what was needed within the last hour. Raises StoreError."""
        return await collect_garbage(self._stores.home, dry_run=dry_run, probe=self._hands.probe)

    async def _drive(
        self, thread_id: str, start: Start, on_event: OnEvent | None, *, reopen: bool = False, strict: bool = False
    ) -> Run:
        """Run the graph until it ends, pauses, fails or is stopped, and say how the thread stands then."""
        threads = self._stores.threads
        try:
            await self._stores.leases.acquire(thread_id)
        except RunBusy as busy:
            return Run(thread_id, "busy", error=error_facts(busy))
        error: RlmError | None = None
        stopped = False
        (self._live.strict.add if strict else self._live.strict.discard)(thread_id)
        task = asyncio.create_task(self._go(thread_id, start, on_event or _unheard, reopen))
        self._running[thread_id] = task
        beating = asyncio.create_task(self._keep_lease(thread_id, task))
        try:
            await task
        except asyncio.CancelledError:
            stopped = True
            current = asyncio.current_task()
            if current and current.cancelling():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                raise
        except LeaseLost as lost:
            return Run(thread_id, "busy", error=error_facts(lost))
        except RlmError as failure:
            error = failure
        except Exception as failure:
            error = RlmError(f"Something unexpected went wrong: {type(failure).__name__}: {failure}")
            raise
        finally:
            beating.cancel()
            del self._running[thread_id]
            live = self._live.find(thread_id)
            seconds, restore = (live.ledger.seconds, live.restore) if live else (None, None)
            await self._live.close(thread_id)
            await self._settle(thread_id, stopped=stopped, error=error, seconds=seconds)
        return await self._outcome(await threads.get(thread_id), restore)

    async def _keep_lease(self, thread_id: str, task: asyncio.Task[None]) -> None:
        """Say now and then that the holder is alive; stop the run when another process has taken it over."""
        while True:
            await asyncio.sleep(RENEW_AFTER)
            try:
                await self._stores.leases.renew(thread_id)
            except LeaseLost:
                task.cancel()
                return

    async def _go(self, thread_id: str, start: Start, on_event: OnEvent, reopen: bool) -> None:
        config = self._config(thread_id)
        if reopen:
            # The budget was raised after the run had ended for want of it: go on with another turn.
            changes = {"status": "running", "last": False, "note": None}
            await self.graph.aupdate_state(config, changes, as_node="prepare")
        async for event in self.graph.astream(start, config, stream_mode="custom", durability="sync"):
            on_event(cast(dict[str, Any], event))

    async def _settle(self, thread_id: str, *, stopped: bool, error: RlmError | None, seconds: float | None) -> None:
        """Write how the sitting ended into the index, and give the thread back."""
        threads = self._stores.threads
        row = await threads.get(thread_id)
        snapshot = await self.graph.aget_state(self._config(thread_id))
        status: Status = snapshot.values.get("status", "running")
        if status == "running" and snapshot.interrupts and not stopped:
            status = "paused"
        elif status == "running":
            status = "stopped" if stopped or error is None else "failed"
        facts = error_facts(error) if error else None
        await threads.set_status(thread_id, status, seconds=row.seconds if seconds is None else seconds, error=facts)
        await self._stores.leases.release(thread_id)

    async def _outcome(self, row: Thread, restore: RestoreRecord | None = None) -> Run:
        snapshot = await self.graph.aget_state(self._config(row.thread_id))
        state = cast(RunState, snapshot.values)
        status = row.status
        if state.get("status") == "answered":
            status = "answered"
        elif status == "running":
            busy = await self._stores.leases.holder_alive([row.thread_id])
            status = "busy" if busy else "stopped"
        note = state.get("note")
        error = row.error
        if error is None and status == "budget":
            error = {"type": "BudgetSpent", "message": note or "The budget is spent.", "hint": "Raise it and resume."}
        return Run(
            thread_id=row.thread_id,
            status=status,
            answer=await answer_of(state, self._stores.texts),
            interrupts=[{"id": found.id, "value": found.value} for found in snapshot.interrupts],
            usage=await self.library.usage(row.thread_id),
            turns=row.turns,
            steps=await self.library.count_steps(row.thread_id),
            error=error,
            restore=restore,
        )

    async def _state(self, thread_id: str) -> RunState:
        snapshot = await self.graph.aget_state(self._config(thread_id))
        return cast(RunState, snapshot.values)

    def _config(self, thread_id: str) -> RunnableConfig:
        return {"configurable": {"thread_id": thread_id}, "recursion_limit": _NO_RECURSION_LIMIT}


def _unheard(event: dict[str, Any]) -> None:
    del event


def _absolute(home: str | Path) -> Path:
    # Kernels run in a folder of their own, where a relative path would lead elsewhere.
    return Path(home).expanduser().absolute()


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"
