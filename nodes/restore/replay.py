"""Running an earlier cell again in another kernel, with its recorded answers."""

import asyncio
import math

from ...kernel.session import Cell, CellResult
from ...state.blobs.snapshots import UnknownChunk
from ...state.call_keys import START, AnswerSet, advance
from ...state.run_state import RunState, TurnRecord
from ..runtime.active_runs import ActiveRun, CellCalls, Repl
from ..runtime.call_decisions import call_decisions_of
from ..runtime.dependencies import Dependencies
from ..runtime.dispatcher import CallDispatcher
from ..runtime.parked_calls import ParkedCalls
from ..runtime.turns import history_entries, history_texts
from ..sub_calls.handler import SubCallHandler
from .points import RestorePoint, edit_code


async def start_cell(
    run: ActiveRun, deps: Dependencies, state: RunState, kernel: Repl, turn: TurnRecord, *, recorded_only: bool = False
) -> None:
    """Begin the cell of `turn` in a kernel that stands at no cell. Its gates know what the state says was decided."""
    number = turn.get("number", 0)
    texts = deps.stores.texts
    entries = history_entries(state.get("question", ""), run.transcript.turns(state), kernel.told, number)
    blocks = tuple([await texts.get(block) for block in turn.get("blocks", [])])
    kernel.answers = AnswerSet()
    kernel.calls = CellCalls(run.journal.of_turn(number))
    call_decisions = await call_decisions_of(state.get("verdicts", []), texts)
    kernel.parked_calls = ParkedCalls(run.gates, call_decisions, kernel.calls.recorded)
    answerer = SubCallHandler(run, deps, kernel, number, recorded_only=recorded_only)
    apart = answerer.may_wait if run.holds else answerer.starts_a_run
    kernel.dispatcher = CallDispatcher(kernel.session, answerer, apart=apart, parked_calls=kernel.parked_calls)
    kernel.report_calls = answerer.report
    await kernel.session.begin(Cell(number, blocks, await history_texts(texts, entries)))
    kernel.told = number


async def keep_variables(deps: Dependencies, kernel: Repl, result: CellResult) -> str | None:
    """Save what the cell changed, with the next commit; why that could not be, or None.

    Afterwards `kernel.manifest` names the snapshot; where there is none, it stays at the last one, and what the
    kernel sends next builds on what it has sent before all the same.
    """
    snapshot = result.snapshot
    if snapshot is None:
        return result.unsaved or "the kernel sent none"
    try:
        kernel.manifest, kernel.groups = await deps.stores.snapshots.save(
            kernel.manifest, kernel.groups, snapshot.groups, snapshot.gone, snapshot.chunks
        )
    except UnknownChunk as error:
        return f"the kernel sent a snapshot that is none: {error}"
    return None


async def replay(
    run: ActiveRun, deps: Dependencies, state: RunState, kernel: Repl, point: RestorePoint, *, recorded_only: bool
) -> bool:
    """Do again what led to `point`; whether it came to the same end. Raises KernelLost."""
    if "values" in point.done:
        await kernel.session.begin(Cell(point.turn, tuple(await edit_code(point.done, deps.stores.texts))))
        result = await kernel.session.result()
        same = result.status == "ok"
    else:
        turn = point.done
        await start_cell(run, deps, state, kernel, turn, recorded_only=recorded_only)
        dispatcher = kernel.dispatcher
        assert dispatcher is not None
        workers = run.settings.concurrency
        await asyncio.gather(*(dispatcher.serve(seconds=math.inf, max_workers=workers) for _ in range(workers)))
        result = await kernel.session.result()
        await dispatcher.close()
        kernel.dispatcher = None
        reached = advance(kernel.position, turn.get("digest", ""), kernel.answers.digest)
        same = reached == turn.get("position", START) and result.status == turn.get("status")
    problem = await keep_variables(deps, kernel, result)
    kernel.position = point.position
    return same and problem is None
