"""Get a REPL at the state's position: the active one when it is there, else a fresh one, restored.

Restoring loads the last snapshot. Where that lacks a variable (a generator cannot be saved), or there is none, earlier
cells are replayed with their recorded answers, which pays for nothing. What cannot come back that way either is named
in the report, never replaced by something else (promise P5).
"""

import asyncio
import math
from collections.abc import Sequence

from ...kernel.results import CellResult
from ...kernel.session import Cell
from ...state.call_keys import START
from ...state.errors import KernelLost, ReplayDiverged, StoredDataDamaged
from ...state.run_state import RestoreRecord, RunState
from ..runtime.active_runs import ActiveRun
from ..runtime.dependencies import Dependencies
from ..runtime.events import emit
from ..runtime.repl import Repl
from ..runtime.untrusted_text import one_line
from ..sub_calls.begin_cell import begin_cell
from .points import RestorePoint, edit_code, restore_points
from .report import diverged, divergence, no_restore

REBUILD_SECONDS = 300.0
"""Seconds of computing that may be repeated for variables that could not be saved."""
_NAMED = 5
_NOTE = 300
_REBUILDS = 3
"""Number of snapshots from which a rebuild is tried."""


async def repl_at_state(run: ActiveRun, deps: Dependencies, state: RunState) -> Repl:
    """Return the REPL for the state's next cell. If it had to be restored, `run.restore_report` has the report.

    Raises KernelStartFailed, KernelLost when a cell that ended well before kills the fresh kernel, and ReplayDiverged
    in a strict execution.
    """
    cell, repl = state.get("cell"), run.repl
    # A kernel that died between cells is replaced without a note, because no cell caused it.
    usable = repl is not None and not repl.lost_between_cells
    if repl and usable and repl.stands_at(state.get("position", START), cell["digest"] if cell else None):
        return repl
    await run.drop_repl()
    points = restore_points(state)
    if not points:
        return await run.start_repl(deps, state.get("context_ref"))
    try:
        repl, report = await _Restore(run, deps, state, points).bring_back()
    except (KernelLost, ReplayDiverged):
        await run.drop_repl()
        raise
    run.note_restore(report)
    return repl


class _Restore:
    """One restore: the snapshot to begin from, and the cells to run again."""

    def __init__(self, run: ActiveRun, deps: Dependencies, state: RunState, points: Sequence[RestorePoint]) -> None:
        self._run = run
        self._deps = deps
        self._state = state
        self._points = points
        self.report = no_restore()

    async def bring_back(self) -> tuple[Repl, RestoreRecord]:
        """Return the restored REPL and the report."""
        # Variables that were set after the last cell have no snapshot: they are set again on what was there before,
        # lost variables included.
        edits: list[RestorePoint] = []
        while self._points and "values" in self._points[-1].done:
            *self._points, edit = self._points
            edits.insert(0, edit)
        repl = await self._before_edits() if self._points else await self._fresh()
        for edit in edits:
            await self._set_again(repl, edit)
        return repl, self.report

    async def _fresh(self) -> Repl:
        return await self._run.start_repl(self._deps, self._state.get("context_ref"))

    async def _before_edits(self) -> Repl:
        last = self._points[-1]
        if last.snapshot and last.lost and (repl := await self._rebuilt(set(last.lost))):
            return repl
        repl, at = await self._latest_saved()
        if last.snapshot and (damaged := self.report["lost"].keys() - last.lost.keys()):
            if rebuilt := await self._rebuilt(damaged | last.lost.keys()):
                return rebuilt
            repl, at = await self._latest_saved()
        for point in self._points[at + 1 :]:
            await (self._set_again if "values" in point.done else self._again)(repl, point)
        return repl

    async def _latest_saved(self) -> tuple[Repl, int]:
        """Return a REPL at the latest point whose snapshot can be read, and the point's index.

        The index is -1 for a fresh REPL, before all points.
        """
        for at in reversed(range(len(self._points))):
            if self._points[at].snapshot is None:
                continue
            try:
                repl, lost = await self._restored(self._points[at])
            except StoredDataDamaged as damaged:
                self.report["notes"].append(damaged.message)
                continue
            self.report["lost"] = lost
            self.report["restored"] = [name for name in repl.saved_variables if name not in lost]
            return repl, at
        return await self._fresh(), -1

    async def _restored(self, point: RestorePoint) -> tuple[Repl, dict[str, str]]:
        """Return a fresh REPL with the snapshot of `point`, and by name why variables could not be restored."""
        assert point.snapshot is not None
        groups = await self._deps.stores.snapshots.groups(point.snapshot)
        repl = await self._fresh()
        emit("restore", cells=0, of=0, turn=point.turn)
        restored = await repl.restore(groups, point.snapshot, point.position)
        self.report["notes"] += [one_line(n, _NOTE) for n in restored.notes if n not in self.report["notes"]]
        return repl, dict(restored.lost)

    async def _rebuilt(self, missing: set[str]) -> Repl | None:
        """Return a REPL at the last point, rebuilt by running cells again from a point before `missing` were lost.

        Return None when no such point is within reach, or when the variables came out different.
        """
        last = self._points[-1]
        tried = 0
        for at in reversed(range(-1, len(self._points) - 1)):
            again = self._points[at + 1 :]
            if not again[0].replayable or sum(point.seconds for point in again) > REBUILD_SECONDS:
                return None
            if at >= 0 and (self._points[at].snapshot is None or self._points[at].lost):
                continue
            tried += 1
            try:
                repl = await self._run_from(at, again)
                if repl and await self._came_to(last, repl, missing):
                    self.report["restored"] = [name for name in repl.saved_variables if name not in missing]
                    self.report["rebuilt"] = sorted(missing)
                    self.report["cells"] = len(again)
                    self.report["lost"] = {}
                    return repl
            except (KernelLost, StoredDataDamaged):
                pass
            if tried == _REBUILDS:
                return None
        return None

    async def _run_from(self, at: int, again: Sequence[RestorePoint]) -> Repl | None:
        """Return a REPL that ran `again` on top of the point `at`, or None when it came to another end."""
        if at < 0:
            repl = await self._fresh()
        else:
            repl, lost = await self._restored(self._points[at])
            if lost:
                return None
        for number, point in enumerate(again, 1):
            emit("restore", cells=number, of=len(again), turn=point.turn)
            if not await self._replay(repl, point, recorded_only=True):
                return None
        return repl

    async def _came_to(self, last: RestorePoint, repl: Repl, missing: set[str]) -> bool:
        """Return whether the saved variables have the same values in this kernel as in the last snapshot."""
        assert last.snapshot is not None
        snapshots = self._deps.stores.snapshots
        groups = [
            group for group in (await snapshots.groups(last.snapshot)).values() if missing.isdisjoint(group["names"])
        ]
        other = await repl.differing(groups)
        if other:
            names = ", ".join(sorted(other)[:_NAMED])
            self.report["notes"].append(f"running earlier cells again gave other values ({names}), so it was not used")
        return not other

    async def _set_again(self, repl: Repl, point: RestorePoint) -> None:
        """Set again the variables that a user set."""
        assert "values" in point.done, "an edit, not a cell"
        if await self._replay(repl, point, recorded_only=True):
            for name in point.done["values"]:
                self.report["lost"].pop(name, None)
        else:
            self.report["notes"].append(f"what a person set after turn {point.turn} could not be set again")

    async def _again(self, repl: Repl, point: RestorePoint) -> None:
        """Run a cell that has no snapshot again."""
        if not point.replayable:
            self.report["notes"].append(f"what the interrupted cell of turn {point.turn} had done is missing")
            repl.end_cell(point.position)
            return
        emit("restore", cells=self.report["cells"] + 1, of=len(self._points), turn=point.turn)
        strict = self._run.execution_options.strict
        # No reviewer is asked about the calls of a cell that has ended, so only recorded ones are answered.
        recorded_only = strict or self._run.may_park_calls
        same = await self._replay(repl, point, recorded_only=recorded_only)
        self.report["cells"] += 1
        if found := await divergence(self._deps, self._run.thread_id, point.turn, repl.calls):
            self.report["diverged"].append(found)
            if strict:
                raise diverged(found)
        if not same:
            self.report["notes"].append(f"turn {point.turn} did not come to the same end, so its variables may differ")

    async def _replay(self, repl: Repl, point: RestorePoint, *, recorded_only: bool) -> bool:
        """Do again what led to `point`, with recorded answers. Return whether it came to the same end.

        `recorded_only`: calls without a recorded answer fail; else they are paid for. Raises KernelLost.
        """
        if "values" in point.done:
            code = await edit_code(point.done, self._deps.stores.texts)
            result = await repl.run_without_calls(Cell(point.turn, tuple(code)))
            same = result.status == "ok"
        else:
            turn = point.done
            await begin_cell(self._run, self._deps, self._state, repl, turn, recorded_only=recorded_only)
            result = await _answered(repl, self._run.settings.concurrency)
            await repl.stop_calls()
            reached = repl.position_after(turn.get("digest", ""))
            same = reached == turn.get("position", START) and result.status == turn.get("status")
        problem = await repl.save_variables(result)
        repl.end_cell(point.position)
        return same and problem is None


async def _answered(repl: Repl, workers: int) -> CellResult:
    """Answer the calls of a cell that no gate stops, until it has ended."""
    while not isinstance(result := await repl.wait(), CellResult):
        await asyncio.gather(*(repl.serve(seconds=math.inf, max_workers=workers) for _ in range(workers)))
    return result
