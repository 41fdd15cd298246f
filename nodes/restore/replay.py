"""Replay an earlier cell, or an edit of variables, in another kernel."""

import asyncio
import math

from ...kernel.session import Cell, CellResult
from ...state.call_keys import START
from ...state.run_state import RunState
from ..runtime.active_runs import ActiveRun
from ..runtime.dependencies import Dependencies
from ..runtime.repl import Repl
from ..sub_calls.begin_cell import begin_cell
from .points import RestorePoint, edit_code


async def replay(
    run: ActiveRun, deps: Dependencies, state: RunState, repl: Repl, point: RestorePoint, *, recorded_only: bool
) -> bool:
    """Do again what led to `point`, with recorded answers. Return whether it came to the same end. Raises KernelLost.

    `recorded_only`: calls without a recorded answer fail; else they are paid for.
    """
    if "values" in point.done:
        result = await repl.run_without_calls(Cell(point.turn, tuple(await edit_code(point.done, deps.stores.texts))))
        same = result.status == "ok"
    else:
        turn = point.done
        await begin_cell(run, deps, state, repl, turn, recorded_only=recorded_only)
        result = await _answered(repl, run.settings.concurrency)
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
