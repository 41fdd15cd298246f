"""`execute_code`: brings the cell one step on. It ends, or it stands still at sub-calls.

An idempotent advance: whatever happened before, it takes the kernel at the state's position (the live one,
or a restored one), begins the cell unless it stands there already, and returns when the cell waits for
answers or has ended.
"""

from typing import Any, cast

from ..kernel.session import CellError, CellResult, Final
from ..state.call_keys import START, advance
from ..state.errors import KernelLost
from ..state.run_state import CellRef, RestoreRecord, RunState, TurnRecord, VariableRecord
from .approval.budget import heed
from .approval.requests import asks_of, saved
from .models.schema_validation import mismatch
from .models.work_limit import SchemaInvalid, off_loop
from .prompts.history import short_form
from .prompts.observation import repetition_notes
from .restore.replay import keep_variables, start_cell
from .restore.report import diverged, divergence, no_restore, told
from .restore.restore import kernel_at
from .runtime.active_runs import LiveKernel, LiveRun, LiveRuns
from .runtime.answers import settled
from .runtime.call_decisions import verdicts_of
from .runtime.dependencies import Hands
from .runtime.events import emit
from .runtime.turns import changes_of
from .runtime.untrusted_text import one_line


async def execute_code(state: RunState, live: LiveRuns, hands: Hands, thread_id: str) -> dict[str, Any]:
    """Advance the cell. Raises KernelStartFailed, and ReplayDiverged in a strict sitting.

    What the cell does wrong is a result, for the model.
    """
    cell = state.get("cell")
    assert cell is not None, "execute_code without a cell"
    run = await live.get(thread_id, state)
    if run.gates.code and not state.get("waiting", 0) and state.get("approved") != cell["digest"]:
        return _not_approved(cell)
    await heed(run, state, hands)
    with run.idle.needed():
        return await _advanced(state, cell, run, hands)


def _not_approved(cell: CellRef) -> dict[str, Any]:
    """What was approved is what runs (promise P11): other code goes back to be reviewed."""
    summary = "not run: it is not the code that was reviewed"
    return {"waiting": 0, "step": [{"kind": "execute_code", "turn": cell["turn"], "summary": summary}]}


async def _advanced(state: RunState, cell: CellRef, run: LiveRun, hands: Hands) -> dict[str, Any]:
    try:
        kernel, report = await kernel_at(run, hands, state)
        if report:
            run.restore = kernel.report = report
        if kernel.cell is None:
            kernel.cell = cell["digest"]
            emit("code", turn=cell["turn"], code="\n\n".join([await hands.stores.texts.get(b) for b in cell["blocks"]]))
            await start_cell(run, hands, state, kernel, _turn_record(cell))
        elif kernel.desk:
            kernel.desk.heed(await verdicts_of(state.get("verdicts", []), hands.stores.texts))
        hands.probe("cell-sent")
        match await kernel.desk.stands() if kernel.desk else "ended":
            case "calls":
                return _standing(cell, kernel)
            case "held":
                return await _held(cell, kernel, run, hands)
            case "ended":
                result = await kernel.session.result()
    except KernelLost as lost:
        gone = run.kernel.report if run.kernel else None
        await run.drop_kernel()
        kept: TurnRecord = {"position": state.get("position", START), "snapshot": None}
        return await _ended(state, cell, _died(lost), run, hands, kept, gone)
    position = advance(kernel.position, cell["digest"], kernel.answers.digest)
    if kernel.desk:
        await kernel.desk.close()
    if kernel.report_calls:
        kernel.report_calls()
    report = await _compared(run, hands, kernel, cell["turn"])
    problem = await keep_variables(hands, kernel, result)
    *_, before = [], *run.transcript.variables(state)[-1:]
    kept = {
        **changes_of(before, [cast(VariableRecord, {**vars(variable)}) for variable in result.variables]),
        "position": position,
        "snapshot": None if problem else kernel.manifest,
        "lost": _lost(kernel, problem),
    }
    kernel.position, kernel.cell, kernel.desk, kernel.report = position, None, None, None
    return await _ended(state, cell, result, run, hands, kept, report)


def _cut_answers(kernel: LiveKernel | None) -> list[str]:
    """The note that some answers of the cell's sub-calls are not whole: they look like any other."""
    if kernel is None or not kernel.calls.cut:
        return []
    cut, answers = kernel.calls.cut, kernel.answers.count
    return [
        f"{cut:,} of {answers:,} answers to sub-calls of this cell were cut at the output limit and end in the middle: "
        "ask for shorter answers, or about smaller pieces."
    ]


async def _compared(run: LiveRun, hands: Hands, kernel: LiveKernel, turn: int) -> RestoreRecord | None:
    """The kernel's restore report, with what this cell did not ask for again. Raises ReplayDiverged when strict."""
    found = await divergence(hands, run.thread_id, turn, kernel.calls)
    if found is None:
        return kernel.report
    if run.manner.strict:
        raise diverged(found)
    report = kernel.report or no_restore()
    report["diverged"].append(found)
    run.restore = report
    return report


def _lost(kernel: LiveKernel, problem: str | None) -> dict[str, str]:
    """Variables that the snapshot lacks, and why; all of them under `*` when there is none."""
    if problem:
        return {"*": problem}
    return {name: why for group in kernel.groups.values() for name, why in group["lost"].items()}


def _standing(cell: CellRef, kernel: LiveKernel) -> dict[str, Any]:
    waiting = kernel.desk.open_calls if kernel.desk else kernel.session.waiting
    summary = f"stands at {waiting:,} sub-call{'s' if waiting != 1 else ''}"
    return {
        "waiting": max(1, waiting),
        "step": [{"kind": "execute_code", "turn": cell["turn"], "summary": summary}],
    }


async def _held(cell: CellRef, kernel: LiveKernel, run: LiveRun, hands: Hands) -> dict[str, Any]:
    """All that the cell waits for now is a person's."""
    assert kernel.hold is not None, "only a hold holds"
    asks = asks_of(run, kernel.hold, cell["turn"])
    waiting = kernel.hold.count
    wait = "that wait" if waiting != 1 else "that waits"
    summary = f"stands at {waiting:,} sub-call{'s' if waiting != 1 else ''} {wait} for a person"
    return {
        "waiting": max(1, waiting),
        "asks": await saved(asks, hands.stores.texts),
        "usage": run.usage,
        "step": [{"kind": "execute_code", "turn": cell["turn"], "summary": summary}],
    }


async def _ended(
    state: RunState,
    cell: CellRef,
    result: CellResult,
    run: LiveRun,
    hands: Hands,
    kept: TurnRecord,
    report: RestoreRecord | None,
) -> dict[str, Any]:
    """The state after a cell: what it printed, whether it ended the run, where the kernel stands (`kept`)."""
    final = result.final
    notes = [*(told(report) if report else []), *_cut_answers(run.kernel)]
    if final is not None and (problem := await _schema_problem(final, run.settings.answer_schema)):
        notes.append(f"FINAL was refused: the answer does not match the schema asked for ({problem}). Finish again.")
        final = None
    output = _observed(result)
    record: TurnRecord = {
        "number": cell["turn"],
        "status": result.status,
        "output": await hands.stores.texts.put(output),
        "error": f"{result.error.name}: {result.error.message}" if result.error else None,
        "notes": notes,
        "seconds": round(result.seconds, 3),
        **kept,
        "digest": cell["digest"],
        "short": short_form(output),
    }
    if report:
        record["restore"] = report
    notes += repetition_notes(run.transcript.turns(state), {**record, "blocks": cell["blocks"]})
    emit("output", turn=cell["turn"], status=result.status, preview=output[:2000], elapsed=result.seconds)
    emit("usage", **run.usage, elapsed=run.ledger.seconds)
    hands.probe("cell-ended")
    return {
        "cell": None,
        "waiting": 0,
        "asks": None,
        "verdicts": [],
        "position": kept.get("position", START),
        "turns": [record],
        "usage": run.usage,
        "final": await settled(final.value, hands.stores.texts) if final else None,
        "step": [{"kind": "execute_code", "turn": cell["turn"], "summary": _summary(result, final)}],
    }


def _observed(result: CellResult) -> str:
    """What the cell printed and how it failed, as one text: what the trace keeps whole."""
    if result.error is None:
        return result.output
    return f"{result.output.rstrip()}\n{result.error.traceback}".lstrip()


async def _schema_problem(final: Final, schema: dict[str, Any] | None) -> str:
    if schema is None:
        return ""
    if final.text_of is not None:
        return f"a {one_line(final.text_of, 60)} is no JSON value"
    try:
        return await off_loop(mismatch, final.value, schema)
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


def _turn_record(cell: CellRef) -> TurnRecord:
    return {"number": cell["turn"], "blocks": cell["blocks"], "digest": cell["digest"]}
