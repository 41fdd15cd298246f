"""Running an earlier cell again in another kernel, with its recorded answers."""

import asyncio
import math

from ...kernel.session import Cell, CellResult
from ...state.blobs.snapshots import UnknownChunk
from ...state.call_keys import START, AnswerSet, advance
from ...state.run_state import RunState, TurnRecord
from ..runtime.active_runs import CellCalls, LiveKernel, LiveRun
from ..runtime.call_decisions import verdicts_of
from ..runtime.dependencies import Hands
from ..runtime.dispatcher import Desk
from ..runtime.parked_calls import Hold
from ..runtime.turns import history_entries, history_texts
from ..sub_calls.handler import CallAnswerer
from .points import Point, edit_code


async def start_cell(
    run: LiveRun, hands: Hands, state: RunState, kernel: LiveKernel, turn: TurnRecord, *, recorded_only: bool = False
) -> None:
    """Begin the cell of `turn` in a kernel that stands at no cell. Its gates know what the state says was decided."""
    number = turn.get("number", 0)
    texts = hands.stores.texts
    entries = history_entries(state.get("question", ""), run.transcript.turns(state), kernel.told, number)
    blocks = tuple([await texts.get(block) for block in turn.get("blocks", [])])
    kernel.answers = AnswerSet()
    kernel.calls = CellCalls(run.journal.of_turn(number))
    verdicts = await verdicts_of(state.get("verdicts", []), texts)
    kernel.hold = Hold(run.gates, verdicts, kernel.calls.recorded)
    answerer = CallAnswerer(run, hands, kernel, number, recorded_only=recorded_only)
    apart = answerer.may_wait if run.holds else answerer.starts_a_run
    kernel.desk = Desk(kernel.session, answerer, apart=apart, hold=kernel.hold)
    kernel.report_calls = answerer.report
    await kernel.session.begin(Cell(number, blocks, await history_texts(texts, entries)))
    kernel.told = number


async def keep_variables(hands: Hands, kernel: LiveKernel, result: CellResult) -> str | None:
    """Save what the cell changed, with the next commit; why that could not be, or None.

    Afterwards `kernel.manifest` names the snapshot; where there is none, it stays at the last one, and what the
    kernel sends next builds on what it has sent before all the same.
    """
    snapshot = result.snapshot
    if snapshot is None:
        return result.unsaved or "the kernel sent none"
    try:
        kernel.manifest, kernel.groups = await hands.stores.snapshots.save(
            kernel.manifest, kernel.groups, snapshot.groups, snapshot.gone, snapshot.chunks
        )
    except UnknownChunk as error:
        return f"the kernel sent a snapshot that is none: {error}"
    return None


async def replay(
    run: LiveRun, hands: Hands, state: RunState, kernel: LiveKernel, point: Point, *, recorded_only: bool
) -> bool:
    """Do again what led to `point`; whether it came to the same end. Raises KernelLost."""
    if "values" in point.done:
        await kernel.session.begin(Cell(point.turn, tuple(await edit_code(point.done, hands.stores.texts))))
        result = await kernel.session.result()
        same = result.status == "ok"
    else:
        turn = point.done
        await start_cell(run, hands, state, kernel, turn, recorded_only=recorded_only)
        desk = kernel.desk
        assert desk is not None
        lanes = run.settings.concurrency
        await asyncio.gather(*(desk.serve(seconds=math.inf, most_lanes=lanes) for _ in range(lanes)))
        result = await kernel.session.result()
        await desk.close()
        kernel.desk = None
        reached = advance(kernel.position, turn.get("digest", ""), kernel.answers.digest)
        same = reached == turn.get("position", START) and result.status == turn.get("status")
    problem = await keep_variables(hands, kernel, result)
    kernel.position = point.position
    return same and problem is None
