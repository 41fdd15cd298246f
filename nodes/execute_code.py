"""`execute_code`: brings the cell one step on. It ends, or it stands still at sub-calls.

An idempotent advance: whatever happened before, it takes the kernel at the state's position (the live one,
or a restored one), begins the cell unless it stands there already, and returns when the cell waits for
answers or has ended.
"""

import json
from typing import Any

from ..kernel.session import CellError, CellResult, Final
from ..state.errors import KernelLost
from ..state.keys import START, advance
from ..state.schema import AnswerRef, CellRef, RunState, TurnRecord
from .conversation import short_form
from .events import emit
from .hands import Hands
from .live import LiveKernel, LiveRun, LiveRuns
from .models.typed import SchemaInvalid, mismatch
from .restore import kernel_at, start_cell


async def execute_code(state: RunState, live: LiveRuns, hands: Hands, thread_id: str) -> dict[str, Any]:
    """Advance the cell. Raises KernelStartFailed; what the cell does wrong is a result, for the model."""
    cell = state.get("cell")
    assert cell is not None, "execute_code without a cell"
    run = await live.get(thread_id, state)
    notes: list[str] = []
    try:
        kernel, report = await kernel_at(run, hands, state)
        notes = _restored(report.cells, report.lost) if report else []
        if kernel.cell is None:
            kernel.cell = cell["digest"]
            await start_cell(run, hands, state, kernel, _turn_record(cell))
        hands.probe("cell-sent")
        if await kernel.session.peek():
            return _standing(state, cell, kernel)
        result = await kernel.session.result()
    except KernelLost as lost:
        await run.drop_kernel()
        return await _ended(state, cell, _died(lost), run, hands, state.get("position", START), notes)
    position = advance(kernel.position, cell["digest"], kernel.answers.digest)
    if kernel.desk:
        await kernel.desk.close()
    kernel.position, kernel.cell, kernel.desk = position, None, None
    return await _ended(state, cell, result, run, hands, position, notes)


def _standing(state: RunState, cell: CellRef, kernel: LiveKernel) -> dict[str, Any]:
    waiting = kernel.desk.open_calls if kernel.desk else kernel.session.waiting
    del state
    summary = f"stands at {waiting:,} sub-call{'s' if waiting != 1 else ''}"
    return {
        "waiting": max(1, waiting),
        "step": [{"kind": "execute_code", "turn": cell["turn"], "summary": summary}],
    }


async def _ended(
    state: RunState, cell: CellRef, result: CellResult, run: LiveRun, hands: Hands, position: str, notes: list[str]
) -> dict[str, Any]:
    """The state after a cell: what it printed, whether it ended the run, where the kernel stands."""
    final = result.final
    if final is not None and (problem := _schema_problem(final, run.settings.answer_schema)):
        notes.append(f"FINAL was refused: the answer does not match the schema asked for ({problem}). Finish again.")
        final = None
    output = _observed(result)
    record: TurnRecord = {
        "number": cell["turn"],
        "status": result.status,
        "output": await hands.stores.texts.put(output),
        "error": f"{result.error.name}: {result.error.message}" if result.error else None,
        "notes": notes,
        "variables": [
            {"name": v.name, "type": v.type, "size": v.size, "preview": v.preview} for v in result.variables[:60]
        ],
        "seconds": round(result.seconds, 3),
        "position": position,
        "digest": cell["digest"],
        "short": short_form(output),
    }
    emit("output", turn=cell["turn"], status=result.status, preview=output[:2000], elapsed=result.seconds)
    emit("usage", **run.usage, elapsed=run.ledger.seconds)
    hands.probe("cell-ended")
    return {
        "cell": None,
        "waiting": 0,
        "position": position,
        "turns": [record],
        "usage": run.usage,
        "final": await _settled(final, hands) if final else None,
        "step": [{"kind": "execute_code", "turn": cell["turn"], "summary": _summary(result, final)}],
    }


async def _settled(final: Final, hands: Hands) -> AnswerRef:
    typed = not isinstance(final.value, str)
    text = json.dumps(final.value, ensure_ascii=False) if typed else final.value
    return {"text": await hands.stores.texts.put(text), "typed": typed}


def _observed(result: CellResult) -> str:
    """What the cell printed and how it failed, as one text: what the trace keeps whole."""
    if result.error is None:
        return result.output
    return f"{result.output.rstrip()}\n{result.error.traceback}".lstrip()


def _schema_problem(final: Final, schema: dict[str, Any] | None) -> str:
    if schema is None:
        return ""
    try:
        return mismatch(final.value, schema)
    except SchemaInvalid as error:
        return f"the schema itself cannot be used: {error}"


def _summary(result: CellResult, final: Final | None) -> str:
    if final is not None:
        return "ended the run"
    if result.error:
        return f"{result.status}: {result.error.name}"
    return f"{len(result.output):,} characters of output"


def _died(lost: KernelLost) -> CellResult:
    message = f"{lost.message} Variables are as they were before this cell; it will not be run again."
    return CellResult(status="died", error=CellError("KernelDied", message, message))


def _restored(cells: int, lost: list[str]) -> list[str]:
    if not lost:
        return []
    return [f"The REPL was rebuilt by running {cells} earlier cells again. Not as it was: {'; '.join(lost)}."]


def _turn_record(cell: CellRef) -> TurnRecord:
    return {"number": cell["turn"], "blocks": cell["blocks"], "digest": cell["digest"]}
