"""Hands out what a run has made: a variable of any step, the rows of an answer that is a table, and its files.

A variable is restored into a kernel, which hands it over as it would a final value. No model is asked, no cell of the
run runs again, and nothing is written to the home, so this works while the run executes.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol

from ..kernel.results import Final
from ..kernel.session import Cell, ContextFiles, KernelSpec
from ..nodes.restore.points import RestorePoint, restore_points
from ..nodes.runtime.answers import Table as StoredTable
from ..nodes.runtime.answers import open_table
from ..nodes.runtime.dependencies import Dependencies
from ..nodes.runtime.repl import Repl
from ..nodes.runtime.untrusted_text import one_line
from ..state.answer_tables import Column
from ..state.blobs.snapshots import Groups
from ..state.errors import UsageError, cli_command
from ..state.input.context import context_files
from ..state.records import AnswerRef
from ..state.settings import RunSettings, saved_settings
from ..state.stores import Stores
from ..state.wording import listed
from .checkpoints import Checkpoints, StateAtStep, state_at, variables_at
from .create import make_ready
from .queries import RunQueries
from .saved_answers import StoredFile

_GRACE = 60.0
"""Seconds that a kernel has beyond the time of a cell, after which it is taken for one that does not answer."""
_NAMED = 10
_SHORT = 300


class Rows(Protocol):
    """A table, whose rows are read from disk."""

    @property
    def columns(self) -> "list[Column] | tuple[Column, ...]":
        """The columns."""
        ...

    @property
    def rows_count(self) -> int:
        """The number of rows."""
        ...

    def rows(self) -> Iterator[list[Any]]:
        """Yield the rows, each with a value for every column. Reads files, so not for the event loop."""
        ...


@dataclass(frozen=True)
class Exported:
    """A variable as it was after a step: a JSON value, or a table."""

    thread_id: str
    step: int | None
    """None: as it is now."""
    name: str
    value: Any = None
    """The JSON value; None for a table."""
    table: Rows | None = None
    text_of: str | None = None
    """The type of a value that has no form in JSON, of which `value` is the text."""
    problem: str | None = None
    """A sentence about the parts of it that have no form in JSON."""


@dataclass(frozen=True)
class _PostedRows:
    """The rows of a table that a kernel has sent. The kernel may have ended since."""

    posted: Any

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.posted.columns

    @property
    def rows_count(self) -> int:
        return self.posted.rows

    def rows(self) -> Iterator[list[Any]]:
        for batch in self.posted.batches():
            yield from json.loads(batch)


class Exports:
    """Variables, tables and files of the runs of one home (`Runner.exports`). Every method may raise StoreError.

    `thread` is a run's name, or the beginning of one.
    """

    def __init__(self, deps: Dependencies, queries: RunQueries, checkpoints: Checkpoints) -> None:
        self._deps = deps
        self._stores = deps.stores
        self._queries = queries
        self._checkpoints = checkpoints

    async def variable(self, thread: str, name: str, step: int | None = None, *, unsandboxed: bool = False) -> Exported:
        """Return the variable `name` as it was after `step`, or as it is now; in mid-cell as before the cell.

        Its value is what `FINAL_VAR(name)` would have ended the run with. `unsandboxed`: do not confine the kernel,
        even if the run was started confined; a run that was not confined is not here either.

        Raises UnknownThread; UsageError when there is no such step or variable, or when it could not be saved or has no
        form in which it can be handed over; NoSandbox, KernelStartFailed, KernelLost.
        """
        at = await self._at(thread, step)
        points = restore_points(at.state)
        cells = [number for number, point in enumerate(points) if "values" not in point.done]
        last = points[cells[-1]] if cells else None
        groups = await self._stores.snapshots.groups(last.snapshot) if last and last.snapshot else {}
        found = Exported(at.thread.thread_id, step, name)
        for point in reversed(points[cells[-1] + 1 if cells else 0 :]):
            if "values" in point.done and name in point.done["values"]:
                value = json.loads(await self._stores.texts.get(point.done["values"][name]))
                return Exported(found.thread_id, step, name, value)
        await self._check_there(at, name, groups)
        final = await self._handed_over(at, name, last, groups, unsandboxed=unsandboxed)
        # What `Final` has of them, once kernels send them.
        posted, problem = getattr(final, "table", None), getattr(final, "problem", None)
        rows = None if posted is None else _PostedRows(posted)
        return Exported(found.thread_id, step, name, final.value, rows, final.text_of, problem)

    async def table(self, thread: str) -> StoredTable | None:
        """Return the answer's table; None when the answer is no table, or there is none. Raises UnknownThread."""
        answer = await self._answer(thread)
        return await open_table(answer, self._stores) if answer else None

    async def files(self, thread: str) -> list[StoredFile]:
        """Return the files that code has left beside the answer, in the order of their names. Raises UnknownThread."""
        answer = await self._answer(thread)
        found = answer.get("files", []) if answer else []
        return [StoredFile(one["name"], one["size"], one["hash"], self._stores) for one in found]

    async def _answer(self, thread: str) -> AnswerRef | None:
        return (await self._at(thread, None)).state.get("answer")

    async def _at(self, thread: str, step: int | None) -> StateAtStep:
        row = await self._stores.threads.get(await self._queries.resolve(thread))
        return await state_at(self._stores, self._checkpoints, row, step)

    async def _check_there(self, at: StateAtStep, name: str, groups: Groups) -> None:
        """Raise UsageError unless the variable is there and was saved whole."""
        known = await variables_at(self._stores, at.state)
        lost = {other: why for group in groups.values() for other, why in group["lost"].items()}
        why = lost.get(name) or (known[name].why_not if name in known else None)
        if why:
            raise UsageError(
                f"{name} could not be saved: {one_line(why, _SHORT)}.",
                hint=f"{cli_command('vars', at.thread.thread_id, '--step', 'N')} shows it at other steps.",
            )
        saved = {*known, *(other for group in groups.values() for other in group["names"])}
        if name == "context" or (name in saved and name.isidentifier()):
            return
        near = get_close_matches(name, sorted(saved), n=3) or sorted(known)
        there = f"There is {listed(near, _NAMED)}." if near else "There is none yet."
        raise UsageError(
            f"There is no variable {name!r} at this step.",
            hint=f"{there} {cli_command('vars', at.thread.thread_id)} lists them.",
        )

    async def _handed_over(
        self, at: StateAtStep, name: str, last: RestorePoint | None, groups: Groups, *, unsandboxed: bool
    ) -> Final:
        """Return the variable as a kernel with the restored variables hands it over."""
        settings = saved_settings(at.state.get("settings") or at.thread.start.get("settings", {}))
        settings = settings.model_copy(update={"unsandboxed": unsandboxed or settings.unsandboxed})
        await make_ready(self._deps.kernels, settings)
        spec = await _kernel_spec(at, settings, self._stores)
        repl = Repl(await self._deps.kernels.start(spec), self._stores.snapshots)
        try:
            if last and last.snapshot and name != "context":
                restored = await repl.restore(groups, last.snapshot, last.position)
                _check_restored(name, restored.lost)
            cell = Cell(last.turn if last else 0, (f"FINAL_VAR({name!r})",))
            async with asyncio.timeout(settings.cell_timeout + _GRACE):
                result = await repl.run_without_calls(cell)
        except TimeoutError:
            raise UsageError(f"{name} was not handed over within {settings.cell_timeout:g} s.") from None
        finally:
            await repl.close()
        if result.final is None:
            why = f"{result.error.name}: {result.error.message}" if result.error else result.output
            raise UsageError(f"{name} cannot be handed over: {one_line(why, _SHORT)}.")
        return result.final


def _check_restored(name: str, lost: Mapping[str, str]) -> None:
    if why := lost.get(name):
        raise UsageError(f"{name} could not be restored: {one_line(why, _SHORT)}.")


async def _kernel_spec(at: StateAtStep, settings: RunSettings, stores: Stores) -> KernelSpec:
    """Return what a kernel for the run's variables is started with. It may ask nothing."""
    # The first step may be from before the state had it.
    context = at.state.get("context_ref") or at.thread.start.get("context_ref")
    files: ContextFiles | None = None
    if context and context["kind"] != "none":
        found = await asyncio.to_thread(context_files, context, stores.blobs)
        files = ContextFiles(*found, handed="digest" in context, text=context["kind"] == "text")
    return KernelSpec(
        thread_id=at.thread.thread_id,
        context=files,
        sub_calls=False,
        memory=settings.memory,
        cell_timeout=settings.cell_timeout,
        sandboxed=not settings.unsandboxed,
        environment=settings.kernel_env,
        provisioner=settings.kernel_provisioner,
    )
