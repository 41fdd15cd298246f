"""A kernel at the state's position: the live one when it stands there, else a fresh one brought there.

Bringing it there means running the earlier cells again with their recorded answers, which pays for
nothing. What cannot come back that way is said in the report, never replaced by something else.
"""

import asyncio
import math
from dataclasses import dataclass, field

from ..kernel.session import Cell
from ..state.errors import KernelLost
from ..state.keys import START, AnswerSet, advance
from ..state.schema import RunState, TurnRecord
from .answering import CallAnswerer
from .desk import Desk
from .events import emit
from .hands import Hands
from .live import LiveKernel, LiveRun, kernel_spec
from .turns import history_entries, history_texts, turns_of

_RUNNABLE = ("ok", "error")


@dataclass
class RestoreReport:
    """What a restore brought back."""

    cells: int = 0
    lost: list[str] = field(default_factory=list)
    """What could not come back, a sentence each; for the model and for the person."""


async def kernel_at(run: LiveRun, hands: Hands, state: RunState) -> tuple[LiveKernel, RestoreReport | None]:
    """The kernel for the state's next cell, and a report when it had to be restored.

    Raises KernelStartFailed, or KernelLost when a cell that ended well before kills the fresh kernel.
    """
    position = state.get("position", START)
    cell = state.get("cell")
    kernel = run.kernel
    if kernel and kernel.position == position and kernel.cell in (None, cell["digest"] if cell else None):
        return kernel, None
    await run.drop_kernel()
    session = await hands.kernels.start(await kernel_spec(run, state.get("context_ref"), hands))
    kernel = run.kernel = LiveKernel(session)
    turns = [turn for turn in turns_of(state) if "status" in turn]
    if not turns:
        return kernel, None
    report = RestoreReport()
    try:
        for turn in turns:
            emit("restore", cells=report.cells + 1, of=len(turns))
            await _replay(run, hands, state, kernel, turn, report)
    except KernelLost:
        await run.drop_kernel()
        raise
    return kernel, report


async def start_cell(run: LiveRun, hands: Hands, state: RunState, kernel: LiveKernel, turn: TurnRecord) -> None:
    """Begin the cell of `turn` in a kernel that stands at no cell."""
    number = turn.get("number", 0)
    texts = hands.stores.texts
    entries = history_entries(state.get("question", ""), turns_of(state), kernel.told, number)
    blocks = tuple([await texts.get(block) for block in turn.get("blocks", [])])
    kernel.answers = AnswerSet()
    kernel.desk = Desk(kernel.session, CallAnswerer(run, hands, kernel, number))
    await kernel.session.begin(Cell(number, blocks, await history_texts(texts, entries)))
    kernel.told = number


async def _replay(
    run: LiveRun, hands: Hands, state: RunState, kernel: LiveKernel, turn: TurnRecord, report: RestoreReport
) -> None:
    number, status = turn.get("number", 0), turn.get("status")
    recorded = turn.get("position", START)
    if status not in _RUNNABLE:
        if status == "timeout":
            report.lost.append(f"what the interrupted cell of turn {number} had done")
        kernel.position = recorded
        return
    await start_cell(run, hands, state, kernel, turn)
    desk = kernel.desk
    assert desk is not None
    lanes = run.settings.concurrency
    await asyncio.gather(*(desk.serve(seconds=math.inf, most_lanes=lanes) for _ in range(lanes)))
    await kernel.session.result()
    await desk.close()
    report.cells += 1
    reached = advance(kernel.position, turn.get("digest", ""), kernel.answers.digest)
    if reached != recorded:
        report.lost.append(f"turn {number} asked for other sub-calls than it did before, so its variables may differ")
    kernel.position = recorded
