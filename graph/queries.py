"""Reads saved runs, their steps and their calls. Nothing here runs, pays for or changes anything."""

import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from typing import Any

from ..nodes.evidence.citations import citations_or_none
from ..nodes.runtime.answers import answer_or_damage
from ..nodes.runtime.turns import turns_of, variables_after
from ..state.call_keys import turn_of_call
from ..state.call_pages import Asking
from ..state.db.storable import encodable
from ..state.errors import StoredDataDamaged, StoreError, UnknownThread
from ..state.records import Usage, as_usage
from ..state.stores import Stores
from ..state.threads import Step, Thread
from ..state.usage import UsageTotals
from .call_listing import CallListing
from .calls import Call, time_text
from .checkpoints import Checkpoints, StateAtStep, state_at, variables_at
from .cited_passages import cited_passages
from .coverage import coverage_document, coverage_of_run, share_or_unknown
from .diff import ComparedPart, comparison
from .following import Following, turn_document
from .langgraph_ids import run_name
from .shown_executions import executions_or_unknown
from .spent import Spent, spent_by
from .stored_input import input_document, input_files


def run_summary(row: Thread, alive: bool, spent: Spent | None) -> dict[str, Any]:
    """Return an entry of `rlm list --json`. `alive`: a process runs it; `spent`: None if its calls are unreadable."""
    status: str = row.status
    if row.damaged or spent is None:
        status = "damaged"
    elif status == "running":
        status = "busy" if alive else "stopped"
    usage = (spent or Spent(UsageTotals(cost=None))).usage()
    return {
        "thread_id": row.thread_id,
        "status": status,
        "question": row.question,
        "parent": row.caller or row.parent,
        "model": row.model,
        "turns": row.turns,
        "model_calls": usage["model_calls"],
        "cost_usd": usage["cost_usd"],
        "held_calls": usage["held_calls"],
        "held_cost_usd": usage["held_cost_usd"],
        "updated": time_text(row.updated),
    }


async def children_of(stores: Stores, thread_id: str) -> list[dict[str, Any]]:
    """Return the tree of child runs below a thread, as `rlm show --json` prints it.

    It takes a few queries, regardless of the number of runs. Raises StoreError.
    """
    # The thread's own row is not one of them, even if a damaged row says so.
    rows = [row for row in await stores.threads.below(thread_id) if row.thread_id != thread_id]
    alive = await stores.leases.holder_alive([row.thread_id for row in rows if row.status == "running"])
    spent = await spent_by(stores, await stores.spending.below(thread_id) if rows else {}, alive)
    children: defaultdict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        entry = run_summary(row, row.thread_id in alive, spent.get(row.thread_id, Spent()))
        facts = {key: entry[key] for key in ("thread_id", "question", "status", "turns", "model_calls", "cost_usd")}
        children[row.caller].append({**facts, "call": row.call, "children": children[row.thread_id]})
    return children[thread_id]


async def children_or_unknown(stores: Stores, thread_id: str) -> list[dict[str, Any]] | None:
    """Return `children_of`, or None when it cannot be read: the rest of the run can still be shown."""
    try:
        return await children_of(stores, thread_id)
    except StoreError:
        return None


Place = tuple[str, int | None]
"""A run, by its name or a prefix of it, and the number of one of its steps; None: as it is now."""


class RunQueries:
    """The runs of one home (`Runner.queries`).

    `thread` is a run's name, or the beginning of one (4 characters or more) that no other name has; `thread_id` is the
    whole name; `checkpoints` is `Runner.graph`. The dicts are those that `--json` prints (`docs/command-line.md`).
    Every method may raise StoreError.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def resolve(self, name: str) -> str:
        """Return the thread called `name`, also by LangGraph's server, or the only one whose name begins with it.

        Raises UnknownThread.
        """
        if not encodable(name):
            raise UnknownThread("There is no run of that name here.", hint="`rlm list` shows those there are.")
        called = await run_name(self._stores.threads, name)
        if called != name or await self._stores.threads.exists(name):
            return called
        found = await self._stores.threads.named_like(name) if len(name) >= 4 else []
        if len(found) == 1:
            return found[0]
        if found:
            raise UnknownThread(f"{len(found)} runs begin with {name}.", hint="Give more of the name.")
        raise UnknownThread(f"There is no run named {name} here.", hint="`rlm list` shows those there are.")

    async def last_touched(self) -> Thread | None:
        """Return the run that was touched last, sub-RLMs excluded; None when there is none."""
        return await self._stores.threads.last_touched()

    async def runs(self) -> list[dict[str, Any]]:
        """Return every run as `rlm list --json` prints it, the one touched last first.

        Each has `thread_id`, `status` (a `RunStatus`, or `damaged`), `question`, `parent`, `model`, `turns`,
        `model_calls`, `cost_usd` (US dollars, None when unknown), `held_calls` and `held_cost_usd` (requests in flight,
        which are not in the cost) and `updated` (ISO 8601, in UTC).
        """
        return [run for run, _ in await self.runs_with_callers()]

    async def runs_with_callers(self) -> list[tuple[dict[str, Any], str | None]]:
        """Return what `runs` does, each with the name of the run whose call has started it, if any."""
        rows = await self._stores.threads.all()
        alive = await self._stores.leases.holder_alive([row.thread_id for row in rows if row.status == "running"])
        spent = await spent_by(self._stores, await self._spent_of_all(rows), alive)
        return [
            (run_summary(row, row.thread_id in alive, spent.get(row.thread_id, Spent())), row.caller) for row in rows
        ]

    async def _spent_of_all(self, rows: list[Thread]) -> Mapping[str, UsageTotals | None]:
        """Return what every run has spent, with None for a run whose calls cannot be read."""
        try:
            return await self._stores.spending.by_all()
        except StoreError:
            return {row.thread_id: await self._spent(row.thread_id) for row in rows}

    async def _spent(self, thread_id: str) -> UsageTotals | None:
        try:
            return await self._stores.spending.by(thread_id)
        except StoreError:
            return None

    async def steps(self, thread: str) -> list[dict[str, Any]]:
        """Return the steps of a run in saved order, as `rlm steps --json` prints them. Raises UnknownThread.

        Each has `step` (its number), `kind` (the node), `turn`, `created` (ISO 8601, in UTC), `checkpoint_id` and
        `summary`.
        """
        return [_step(step) for step in await self._stores.threads.steps(await self.resolve(thread))]

    async def count_steps(self, thread_id: str) -> int:
        """Return the number of steps of the run."""
        return await self._stores.threads.count_steps(thread_id)

    async def calls(self, thread: str, *, below: bool = False) -> list[Call]:
        """Return the sub-calls of a run, oldest first, with their texts.

        With `below`, each call that a child run answers is followed by the calls of that run. Raises UnknownThread.
        """
        return [call async for call in self.each_call(thread, below=below)]

    async def each_call(
        self, thread: str, asking: Asking | None = None, *, below: bool = False, characters: int | None = None
    ) -> AsyncIterator[Call]:
        """Yield what `calls` returns, read page by page: for runs whose calls do not fit into memory.

        `asking` chooses the calls and their order (`state/call_pages.py`), by default all as they were made.
        `characters`: only so many of each prompt and answer. Raises UnknownThread.
        """
        listing = CallListing(self._stores, asking or Asking(), characters, below)
        async for call in listing.of(await self.resolve(thread)):
            yield call

    async def count_below(self, thread: str) -> int:
        """Return the number of child runs of the run, their child runs included. Raises UnknownThread."""
        return len(await self._stores.threads.below(await self.resolve(thread)))

    async def usage(self, thread_id: str) -> Usage:
        """Return what the run has spent, and how much of its input models were shown."""
        spent = as_usage(await self._stores.spending.by(thread_id))
        return {**spent, "coverage": await share_or_unknown(self._stores, thread_id)}

    async def coverage(self, thread: str, *, lines: bool = True) -> dict[str, Any] | None:
        """Return which parts of a run's input models were shown, as `rlm show --coverage --json` prints it.

        None when the run has no input. Without `lines`, documents have none, which is faster. Raises UnknownThread,
        StoredDataDamaged.
        """
        row = await self._stores.threads.look(await self.resolve(thread))
        found = await coverage_of_run(self._stores, row)
        return None if found is None else await coverage_document(self._stores, row, found, lines=lines)

    async def about(self, thread: str) -> dict[str, Any]:
        """Return a run's data in the index: question, status, settings, limits in force. Raises UnknownThread.

        These are the keys that `runs` has, with `called_by`, `fork_of`, `created`, `seconds` (all executions together),
        `settings`, `limits`, `input`, `usage`, `executions` (when and why each began and ended; None when that cannot
        be read) and `error`. No checkpoint is read.
        """
        row = await self._stores.threads.look(await self.resolve(thread))
        running = row.status == "running"
        alive = bool(await self._stores.leases.holder_alive([row.thread_id])) if running else False
        name = row.thread_id
        spent = (await spent_by(self._stores, {name: await self._spent(name)}, [name] if alive else []))[name]
        damage = _damage(f"{row.thread_id}'s entry in the index of runs has changed on disk.") if row.damaged else None
        return {
            **run_summary(row, alive, spent),
            "called_by": _caller(row),
            "fork_of": row.parent,
            "created": time_text(row.created),
            "seconds": round(row.seconds, 3),
            "settings": row.start.get("settings", {}),
            "limits": row.limits.model_dump(),
            "input": row.start.get("context_ref"),
            "usage": (spent or Spent()).usage(),
            "executions": await executions_or_unknown(self._stores, name),
            "error": damage or row.error,
        }

    async def show(self, thread: str, checkpoints: Checkpoints, step: int | None = None) -> dict[str, Any]:
        """Return a run as `rlm show --json` prints it, as it is now or as it was after `step`, with its texts.

        A damaged text is replaced by a sentence in brackets that says so, and a damaged last step by the one before it.
        `children` are the current ones: null with `step`, and when they cannot be read. Raises UnknownThread,
        StoredDataDamaged for `step`, and UsageError when there is no such step.
        """
        row = await self._stores.threads.look(await self.resolve(thread))
        about = await self.about(row.thread_id)
        try:
            step_state = await state_at(self._stores, checkpoints, row, step)
            then = {"status": step_state.state.get("status", "running"), "error": None} if step_state.step else {}
        except StoredDataDamaged as damaged:
            if step is not None:
                raise
            step_state = await self._last_readable(checkpoints, row, damaged)
            number = step_state.step.step if step_state.step else 0
            then = {"error": _damage(f"{damaged.message} This is the run as it was after step {number}.")}
        at, state = step_state.step, step_state.state
        cell, answer = state.get("cell"), state.get("answer")
        turns = turns_of(state)
        return {
            **about,
            "question": state.get("question") or about["question"],
            "input": state.get("context_ref") or about["input"],
            "step": _step(at) if at else None,
            "turns": [
                {**await turn_document(self._stores.texts, turn), "variables": variables}
                for turn, variables in zip(turns, variables_after(turns), strict=True)
            ],
            "cell": [await self._stores.texts.get_or_damage(block) for block in cell["blocks"]] if cell else None,
            "waiting": state.get("waiting", 0),
            "answer": await answer_or_damage(answer, self._stores.texts) if answer else None,
            "citations": await citations_or_none(answer, self._stores.texts),
            "files": [{**file} for file in answer.get("files", [])] if answer else [],
            "note": state.get("note"),
            "children": None if step is not None else await children_or_unknown(self._stores, row.thread_id),
            # How much was read is known as of now only.
            "usage": {**(state.get("usage") or {}), "coverage": None}
            if at
            else {**about["usage"], "coverage": await share_or_unknown(self._stores, row.thread_id)},
            **then,
        }

    async def following(self, thread: str, checkpoints: Checkpoints, *, most: int | None = None) -> Following:
        """Return repeated looks at a run that any process executes, as `rlm show --follow` has them.

        `async for look in following.follow()` ends when the run does, or when it waits. `most`: the first look has no
        more turns than that, the latest ones. Raises UnknownThread.
        """
        return Following(self._stores, checkpoints, await self.resolve(thread), most=most)

    async def input_files(self, thread: str) -> list[dict[str, Any]]:
        """Return what was read of a run's input, a file each, as `rlm input --json` prints it.

        Raises UnknownThread, StoredDataDamaged.
        """
        return await input_files(self._stores, await self._stores.threads.look(await self.resolve(thread)))

    async def input_document(
        self, thread: str, name: str, lines: tuple[int, int] | None = None, page: int | None = None
    ) -> dict[str, Any]:
        """Return a document of a run's input, or some of its lines, or a page; both count from 1.

        The keys are `name`, `meta`, `lines`, `page` and `text`. Raises UnknownThread, UsageError when there is no such
        document, line or page, StoredDataDamaged.
        """
        row = await self._stores.threads.look(await self.resolve(thread))
        return await input_document(self._stores, row, name, lines, page)

    async def cited(self, thread: str, checkpoints: Checkpoints, number: int | None = None) -> list[dict[str, Any]]:
        """Return the citations of a run's answer, or the one of this number, as `rlm show --citations --json` does.

        Each has the keys of `Run.citations`, and `before` and `after`: the text around a passage that is verified, null
        for any other. Raises UnknownThread, UsageError when nothing is cited by that number, StoredDataDamaged.
        """
        row = await self._stores.threads.look(await self.resolve(thread))
        step_state = await state_at(self._stores, checkpoints, row, None)
        return await cited_passages(self._stores, step_state.state, number)

    async def _last_readable(self, checkpoints: Checkpoints, row: Thread, why: StoredDataDamaged) -> StateAtStep:
        for step in reversed(await self._stores.threads.steps(row.thread_id)):
            with contextlib.suppress(StoredDataDamaged):
                return await state_at(self._stores, checkpoints, row, step.step)
        raise why

    async def variables(self, thread: str, checkpoints: Checkpoints, step: int | None = None) -> dict[str, Any]:
        """Return the REPL's variables after `step`, or as they are now, as `rlm vars --json` prints them.

        Raises UnknownThread, and UsageError when there is no such step.
        """
        step_state = await self._moment(checkpoints, thread, step)
        return {name: known.to_json() for name, known in (await variables_at(self._stores, step_state.state)).items()}

    async def compare(
        self, before: Place, after: Place, checkpoints: Checkpoints, *, part: ComparedPart | None = None
    ) -> dict[str, Any]:
        """Return what differs between two steps, of one run or of two, as `rlm diff --json` prints it.

        With `part`, what a page shows of it (`diff.comparison`). Raises UnknownThread, and UsageError when there is no
        such step.
        """
        was, now = [await self._moment(checkpoints, *place) for place in (before, after)]
        return await comparison(self._stores, was, now, part)

    async def _moment(self, checkpoints: Checkpoints, thread: str, step: int | None) -> StateAtStep:
        row = await self._stores.threads.get(await self.resolve(thread))
        return await state_at(self._stores, checkpoints, row, step)


def _caller(row: Thread) -> dict[str, Any] | None:
    if row.caller is None or row.call is None:
        return None
    return {"thread_id": row.caller, "call": row.call, "turn": turn_of_call(row.call)}


def _damage(message: str) -> dict[str, str]:
    return {"type": StoredDataDamaged.__name__, "message": message, "hint": "`rlm verify` says what is lost."}


def _step(step: Step) -> dict[str, Any]:
    return {
        "step": step.step,
        "kind": step.kind,
        "turn": step.turn,
        "created": time_text(step.created),
        "checkpoint_id": step.checkpoint_id,
        "summary": step.summary,
    }
