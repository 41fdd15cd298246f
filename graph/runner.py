"""The runner: starts, resumes and stops runs, over the compiled graph. The command line uses it."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Self

from typing_extensions import Unpack

from ..kernel.session import Kernels
from ..nodes.runtime.active_runs import ActiveRuns
from ..nodes.runtime.dependencies import Dependencies, OpenModels
from ..nodes.runtime.events import Event, OnEvent, ignore_event
from ..state.checkpointer import RunSaver
from ..state.failpoints import Failpoint, no_failpoint
from ..state.folder_settings import FILE, described
from ..state.maintenance.delete import Deleted
from ..state.maintenance.gc import Collected
from ..state.maintenance.report import Report
from ..state.open_home import open_home
from ..state.run_options import ResumeOptions, RunOptions, limits_among
from ..state.settings import resolve
from .batch import OnQuestionEvent, Question, ignore_question_event
from .batch_execution import Batches
from .build import Graph, draw
from .checkpoints import state_at
from .create import check_name, enter_run, raised_limits, under_a_free_name
from .executor import RunExecutor
from .exports import Exports
from .fork import make_fork
from .fork_edits import Changes
from .intake import Given
from .langgraph_adapter import GraphAdapter, graph_for_callers
from .langgraph_ids import run_name
from .maintenance import delete_runs, verify_run
from .model_changes import change_at, check_change, given_models
from .notifying import Notifier
from .queries import RunQueries
from .resuming import Resuming
from .retention import tidy
from .run import EndEvent, Run
from .saved_runs import limits_to_go_on
from .stopping import request_stop
from .sub_rlms import ChildRuns
from .watcher import IndexWatch
from .wiring import open_deps


class Runner:
    """A runner of questions in one home. Open it with `async with Runner.open(home) as runner`.

    `thread` is a run's name, or the beginning of one (4 characters or more) that no other name has. Every method may
    raise StoreError when what is saved cannot be read or written. What goes wrong while a run executes is not raised:
    it is in the returned `Run.status` and `Run.error`.
    """

    def __init__(self, deps: Dependencies, saver: RunSaver) -> None:
        self._deps = deps
        self.stores = deps.stores
        """The stores of the home (`Stores`)."""
        self._active_runs = ActiveRuns(deps)
        self.queries = RunQueries(deps.stores)
        """Reads runs, steps and calls (`RunQueries`)."""
        self.saver = saver
        """The checkpointer of `graph`, a LangGraph checkpointer over the home's database."""
        self._graph = self.compiled(saver)
        self.notifier = Notifier(deps.stores, self._active_runs, self._graph)
        """Sends the notifications of runs (`Notifier`)."""
        self._executor = RunExecutor(deps.stores, self._active_runs, self._graph, self.notifier, tracing=deps.tracing)
        children = ChildRuns(self.stores, self._active_runs, self._executor, self._graph, self.compiled)
        self._active_runs.bind_children(children)
        self._resuming = Resuming(deps, self._executor, self._graph, saver, self.notifier)
        self._batches = Batches(deps, self._active_runs, self._executor, self._resuming)
        self._adapter = GraphAdapter(deps, self._executor, self._graph)
        self.graph = graph_for_callers(self._graph, self._adapter)
        """The compiled graph, an ordinary LangGraph graph: ainvoke, astream, aget_state_history, aupdate_state."""
        self.exports = Exports(deps, self.queries, self.graph)
        """Hands out variables, and the rows and the files of answers (`Exports`)."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        home: str | Path | None = None,
        *,
        kernels: Kernels | None = None,
        open_model: OpenModels | None = None,
        tracing: bool = False,
        trust: bool = False,
        read_only: bool = False,
        clock: Callable[[], float] = time.time,
        failpoint: Failpoint = no_failpoint,
    ) -> AsyncGenerator[Self]:
        """Open a runner over the runs saved under `home` (created when missing), for `async with`. Raises StoreError.

        At the end of the block every kernel is ended; what is saved can be resumed.

        A home that you name is one that you agree to: its runs are resumed with the servers and programs that they
        name. Without `home`, it is `.rlm` in the current folder; raises NotAgreed when somebody else has made it and
        you have not agreed to it (`rlm home trust`); `trust`: use it all the same. `read_only`: change
        nothing under it, for a home that you have not agreed to; what is written is discarded.

        `tracing`: send LangSmith what runs read, ask and answer, in the caller's trace if there is one. Without it
        nothing is traced, regardless of `LANGSMITH_TRACING` and the caller's own traces. The other arguments replace
        live parts: kernels, model clients, the wall clock, and the failpoints.
        """
        async with (
            open_home(home, clock, failpoint, trust=trust, read_only=read_only) as stores,
            open_deps(stores, kernels=kernels, open_model=open_model, tracing=tracing, failpoint=failpoint) as deps,
        ):
            runner = cls(deps, RunSaver(stores.database, stores.leases, clock))
            try:
                yield runner
            finally:
                await runner._adapter.close()
                try:
                    await runner._active_runs.close_all()
                finally:
                    await runner.notifier.close()

    def compiled(self, checkpointer: RunSaver) -> Graph:
        """Compile the graph with another checkpointer. Its caller must hold the thread's lease (`executor.py`)."""
        return draw(self._deps, self._active_runs).compile(checkpointer=checkpointer, name="rlm")

    async def run(
        self,
        question: str,
        context: Given | None = None,
        *,
        thread: str | None = None,
        on_event: OnEvent | None = None,
        **settings: Unpack[RunOptions],
    ) -> Run:
        """Answer `question` over `context`, and return the run when it ends, waits for a reviewer or is stopped.

        `context` is a `Given`: a text, a path, or several paths; None: no input. `settings` are those of `rlm run` by
        their Python names (`RunOptions`); one that is not given comes from `RLM_…`, then `rlm.toml`, then the default.
        `on_event` is called with each `Event`, on the event loop. An existing `thread` with the same question and input
        is resumed; without `thread`, the run is new and named after the question.

        Raises UsageError, InputError, ModelSetupError, NoSandbox, and ThreadExists when `thread` has another question
        or input, and KernelStartFailed, all before the run is saved; later errors are reported by the run's status.
        """
        chosen, on_any = resolve({**settings}), on_event or ignore_event
        if chosen.of_folder:
            on_any({"event": "notice", "text": f"./{FILE} sets {described(chosen.of_folder)}."})
        thread_id = await enter_run(self._deps, thread or None, question, context, chosen.settings, on_any)
        return await self.resume(thread_id, on_event=on_event)

    async def resume(
        self,
        thread: str,
        *,
        strict: bool = False,
        unsandboxed: bool = False,
        on_event: OnEvent | None = None,
        **changes: Unpack[ResumeOptions],
    ) -> Run:
        """Resume a run from its last saved step, and return it as `run` does.

        `changes` are limits (`LimitOptions`, such as `max_cost=2.0`) and models (`ModelOptions`, such as
        `base_url="http://127.0.0.1:8000/v1"`) that replace its own; recorded answers are kept. `strict`: fail instead
        of continuing when a replayed cell diverges from its recorded calls. `unsandboxed`: do not confine kernels in
        this execution, even if the run was started confined. An answered run, one whose spent budget is not raised,
        and one that waits for a reviewer, is returned as it is, without a call; but when it asks about a spent budget,
        raising that limit is the decision.

        Raises UnknownThread; UsageError for invalid changes, for those of a sub-RLM, which spends from the run at the
        top of its tree, and for other models while the run waits for a reviewer; ModelSetupError, NoSandbox,
        KernelStartFailed.
        """
        thread_id = await self.queries.resolve(thread)
        return await self._resuming.resume(
            thread_id, changes, on_event or ignore_event, strict=strict, unsandboxed=unsandboxed
        )

    async def ask_all(
        self,
        questions: Sequence[Question],
        context: Given | None = None,
        *,
        prefix: str = "",
        on_event: OnQuestionEvent | None = None,
        **settings: Unpack[RunOptions],
    ) -> AsyncGenerator[tuple[Question, Run]]:
        """Answer many questions over one `context`, and yield each with its run as it ends.

        Each is a run of its own: a thread named `prefix` and the question's `id`. Those that are answered already are
        yielded first, from what is saved; the others are begun or resumed, and nothing is paid twice. So the same call
        again continues a batch that was interrupted.

        The limits that are set (`max_calls`, `max_tokens`, `max_cost`, and `max_time` of this call) hold for all
        questions together, and for each; `max_turns` is for each. A question that is not begun because they are spent
        has the status `budget`. Other settings apply to new runs only. `concurrency` and `kernels` are for all. As many
        questions are asked at once as they allow. `on_event` is called with a question's id and an event of its run;
        the id is empty for what concerns all, as reading the `context`.

        When the iterator is closed early, all runs are stopped; after `stop_all`, no further question is begun, and
        those that were not have the status `stopped`.

        Raises QuestionsRefused for questions that cannot be asked, all of them listed, RunBusy while another call asks
        them, and what `run` raises, before anything is saved; what goes wrong with one run later is in its
        `Run.status`.
        """
        resolved, on_any = resolve({**settings}), on_event or ignore_question_event
        if resolved.of_folder:
            on_any("", {"event": "notice", "text": f"./{FILE} sets {described(resolved.of_folder)}."})
        async with aclosing(self._batches.ask_all(questions, context, prefix, on_any, resolved)) as asked:
            async for question, run in asked:
                yield question, run

    async def suggested_limits(self, thread: str) -> dict[str, float]:
        """Return limits by name (`max_tokens`) with which a run whose budget is spent can continue.

        Pass them to `resume(thread, **limits)`. They are empty for a sub-RLM, which spends from the budget of the run
        at the top of its tree. Raises UnknownThread.
        """
        row = await self.stores.threads.get(await self.queries.resolve(thread))
        return await limits_to_go_on(self.stores, self._graph, row)

    async def decide(
        self,
        thread: str,
        decisions: Sequence[Mapping[str, Any]],
        *,
        interrupt: str | None = None,
        shown: str | None = None,
        unsandboxed: bool = False,
        on_event: OnEvent | None = None,
    ) -> Run:
        """Decide what a paused run waits for, in LangChain's human-in-the-loop form, and resume it as `resume` does.

        `decisions` has one for each of the request's actions, in their order, such as `{"type": "approve"}`; all forms
        are in `docs/reviewing.md`. `interrupt` is the `id` of the request when several wait (`Run.interrupts`); `shown`
        is the hash of the request that the reviewer has seen.

        Raises UnknownThread, NoSandbox, KernelStartFailed, and UsageError, with nothing done, when nothing waits,
        something else waits by now, or the decisions do not fit (promise P11).
        """
        thread_id = await self.queries.resolve(thread)
        answer = {"decisions": [dict(one) for one in decisions], **({} if shown is None else {"shown": shown})}
        return await self._resuming.decide(
            thread_id, answer, interrupt, on_event or ignore_event, unsandboxed=unsandboxed
        )

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
        on_event: OnEvent | None = None,
        **changes: Unpack[ResumeOptions],
    ) -> Run:
        """Create a thread that is a copy of `thread` up to `step`; `resume` it to continue from there.

        Return the new run. It is named `into`, or after its question. `on_event` is called with each name that is
        tried (a `NamedEvent`), and with nothing else.

        The fork may change the `code` that is about to run, variables (`set`, JSON values by name), the `question`,
        `answers` to calls of the cell under way (by their keys; texts, or the value of a typed call), limits
        (`max_cost=2.0`) and models (`model="openai:gpt-5"`). Recorded answers of `thread` are reused wherever a call is
        unchanged; with `fresh`, none that was recorded after `step`. The parent is only read.

        Raises UnknownThread; UsageError when there is no such step, or a change is invalid at it; ThreadExists when
        `into` is taken.
        """
        row = await self.stores.threads.get(await self.queries.resolve(thread))
        models = given_models(changes)
        limits = raised_limits(row.limits, {**limits_among(changes)})
        step_state = await state_at(self.stores, self._graph, row, step)
        edits = Changes(code, set or {}, question, answers or {}, fresh, models)
        if change := change_at(row.start, step_state.state, models):
            await check_change(change.settings, limits, self._deps)

        async def make(target: str) -> None:
            (on_event or ignore_event)({"event": "named", "thread_id": target})
            await make_fork(self.stores, self.compiled, step_state, target, edits, limits)

        if into:
            await make(check_name(into))
        return await self.read(into or await under_a_free_name(question or row.question, make))

    async def stream(
        self, question: str, context: Given | None = None, **options: Any
    ) -> AsyncIterator[Event | EndEvent]:
        """Run a question as `run` does and yield its events; the last one is `{"event": "end", "run": Run}`.

        `options` are the other arguments of `run`, except `on_event`. When the iterator is closed early, the run is
        stopped and can be resumed. Raises what `run` raises.
        """
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        task = asyncio.create_task(self.run(question, context, on_event=events.put_nowait, **options))
        task.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while event := await events.get():
                yield event
            yield {"event": "end", "run": await task}
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def stop(self, thread: str) -> bool:
        """Stop a run of any process: work in flight is cancelled, saved work stays. The run can be resumed.

        Return whether there was one; its `run` or `resume` then returns with the status `stopped`. Another process is
        asked to stop it, and does so within a second. A sub-RLM is stopped with the run at the top of its tree.
        """
        return self._executor.stop(thread) or await request_stop(self.stores, thread)

    async def stop_all(self) -> bool:
        """Stop every run of this process. Return whether there was any."""
        return self._executor.stop_all()

    async def read(self, thread: str) -> Run:
        """Return a run's current status and result from what is saved. Raises UnknownThread."""
        return await self._resuming.read(await self.queries.resolve(thread))

    async def named_by_server(self, thread_id: str) -> str:
        """Return the name of the run that a thread of LangGraph's server is (`langgraph_ids.py`)."""
        return await run_name(self.stores.threads, thread_id)

    def watch(self) -> IndexWatch:
        """Return a watch that sees changes in the index of runs made by any process."""
        return IndexWatch(self.stores)

    async def verify(self, thread: str) -> Report:
        """Read and check every stored byte that a run needs, and return a report. Raises UnknownThread.

        What is damaged is in the report, and is not raised.
        """
        return await verify_run(self.stores, thread)

    async def delete(self, thread: str) -> Deleted:
        """Delete a run and its child runs, at once or not at all, and return their names.

        Raises UnknownThread, and RunBusy while a process runs one of them.
        Its forks stay as they are. Texts and blobs that only it needed are freed by `gc`.
        """
        return await delete_runs(self.stores, thread)

    async def gc(self, *, older_than: float | None = None, dry_run: bool = False) -> Collected:
        """Free data that no run needs, except data that was needed within the last hour, and return what was freed.

        `older_than`: first delete the runs that were not touched for so many seconds, except those that wait for a
        reviewer, that run, or that are damaged. `dry_run`: free and delete nothing, and return what would be. Raises
        StoreError.
        """
        return await tidy(self.stores, older_than, dry_run=dry_run, failpoint=self._deps.failpoint)
