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
from .approval.budget import apply_budget_grant
from .approval.requests import asks_of, saved
from .models.schema_validation import mismatch
from .models.work_limit import SchemaInvalid, off_loop
from .prompts.history import short_form
from .prompts.observation import repetition_notes
from .restore.replay import keep_variables, start_cell
from .restore.report import diverged, divergence, no_restore, notes_for_model
from .restore.restore import kernel_at
from .runtime.active_runs import ActiveRun, ActiveRuns, Repl
from .runtime.answers import store_answer
from .runtime.call_decisions import call_decisions_of
from .runtime.dependencies import Dependencies
from .runtime.events import emit
from .runtime.turns import changes_of
from .runtime.untrusted_text import one_line


async def execute_code(state: RunState, active_runs: ActiveRuns, deps: Dependencies, thread_id: str) -> dict[str, Any]:
    """Advance the cell. Raises KernelStartFailed, and ReplayDiverged in a strict sitting.

    What the cell does wrong is a result, for the model.
    """
    cell = state.get("cell")
    assert cell is not None, "execute_code without a cell"
    run = await active_runs.get(thread_id, state)
    if run.gates.code and not state.get("waiting", 0) and state.get("approved") != cell["digest"]:
        return _not_approved(cell)
    await apply_budget_grant(run, state, deps)
    with run.idle.needed():
        return await _advanced(state, cell, run, deps)


def _not_approved(cell: CellRef) -> dict[str, Any]:
    """What was approved is what runs (promise P11): other code goes back to be reviewed."""
    summary = "not run: it is not the code that was reviewed"
    return {"waiting": 0, "step": [{"kind": "execute_code", "turn": cell["turn"], "summary": summary}]}


async def _advanced(state: RunState, cell: CellRef, run: ActiveRun, deps: Dependencies) -> dict[str, Any]:
    try:
        kernel, report = await kernel_at(run, deps, state)
        if report:
            run.restore = kernel.report = report
        if kernel.cell is None:
            kernel.cell = cell["digest"]
            emit("code", turn=cell["turn"], code="\n\n".join([await deps.stores.texts.get(b) for b in cell["blocks"]]))
            await start_cell(run, deps, state, kernel, _turn_record(cell))
        elif kernel.dispatcher:
            kernel.dispatcher.decide(await call_decisions_of(state.get("verdicts", []), deps.stores.texts))
        deps.failpoint("cell-sent")
        match await kernel.dispatcher.wait_until_blocked() if kernel.dispatcher else "ended":
            case "calls":
                return _standing(cell, kernel)
            case "held":
                return await _held(cell, kernel, run, deps)
            case "ended":
                result = await kernel.session.result()
    except KernelLost as lost:
        gone = run.kernel.report if run.kernel else None
        await run.drop_kernel()
        kept: TurnRecord = {"position": state.get("position", START), "snapshot": None}
        return await _ended(state, cell, _died(lost), run, deps, kept, gone)
    position = advance(kernel.position, cell["digest"], kernel.answers.digest)
    if kernel.dispatcher:
        await kernel.dispatcher.close()
    if kernel.report_calls:
        kernel.report_calls()
    report = await _compared(run, deps, kernel, cell["turn"])
    problem = await keep_variables(deps, kernel, result)
    *_, before = [], *run.transcript.variables(state)[-1:]
    kept = {
        **changes_of(before, [cast(VariableRecord, {**vars(variable)}) for variable in result.variables]),
        "position": position,
        "snapshot": None if problem else kernel.manifest,
        "lost": _lost(kernel, problem),
    }
    kernel.position, kernel.cell, kernel.dispatcher, kernel.report = position, None, None, None
    return await _ended(state, cell, result, run, deps, kept, report)


def _cut_answers(kernel: Repl | None) -> list[str]:
    """The note that some answers of the cell's sub-calls are not whole: they look like any other."""
    if kernel is None or not kernel.calls.cut:
        return []
    cut, answers = kernel.calls.cut, kernel.answers.count
    return [
        f"{cut:,} of {answers:,} answers to sub-calls of this cell were cut at the output limit and end in the middle: "
        "ask for shorter answers, or about smaller pieces."
    ]


async def _compared(run: ActiveRun, deps: Dependencies, kernel: Repl, turn: int) -> RestoreRecord | None:
    """The kernel's restore report, with what this cell did not ask for again. Raises ReplayDiverged when strict."""
    found = await divergence(deps, run.thread_id, turn, kernel.calls)
    if found is None:
        return kernel.report
    if run.execution_options.strict:
        raise diverged(found)
    report = kernel.report or no_restore()
    report["diverged"].append(found)
    run.restore = report
    return report


def _lost(kernel: Repl, problem: str | None) -> dict[str, str]:
    """Variables that the snapshot lacks, and why; all of them under `*` when there is none."""
    if problem:
        return {"*": problem}
    return {name: why for group in kernel.groups.values() for name, why in group["lost"].items()}


def _standing(cell: CellRef, kernel: Repl) -> dict[str, Any]:
    waiting = kernel.dispatcher.open_calls if kernel.dispatcher else kernel.session.waiting
    summary = f"stands at {waiting:,} sub-call{'s' if waiting != 1 else ''}"
    return {
        "waiting": max(1, waiting),
        "step": [{"kind": "execute_code", "turn": cell["turn"], "summary": summary}],
    }


async def _held(cell: CellRef, kernel: Repl, run: ActiveRun, deps: Dependencies) -> dict[str, Any]:
    """All that the cell waits for now is a person's."""
    assert kernel.parked_calls is not None, "only a hold holds"
    asks = asks_of(run, kernel.parked_calls, cell["turn"])
    waiting = kernel.parked_calls.count
    wait = "that wait" if waiting != 1 else "that waits"
    summary = f"stands at {waiting:,} sub-call{'s' if waiting != 1 else ''} {wait} for a person"
    return {
        "waiting": max(1, waiting),
        "asks": await saved(asks, deps.stores.texts),
        "usage": run.usage,
        "step": [{"kind": "execute_code", "turn": cell["turn"], "summary": summary}],
    }


async def _ended(
    state: RunState,
    cell: CellRef,
    result: CellResult,
    run: ActiveRun,
    deps: Dependencies,
    kept: TurnRecord,
    report: RestoreRecord | None,
) -> dict[str, Any]:
    """The state after a cell: what it printed, whether it ended the run, where the kernel stands (`kept`)."""
    final = result.final
    notes = [*(notes_for_model(report) if report else []), *_cut_answers(run.kernel)]
    if final is not None and (problem := await _schema_problem(final, run.settings.answer_schema)):
        notes.append(f"FINAL was refused: the answer does not match the schema asked for ({problem}). Finish again.")
        final = None
    output = _observed(result)
    record: TurnRecord = {
        "number": cell["turn"],
        "status": result.status,
        "output": await deps.stores.texts.put(output),
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
    deps.failpoint("cell-ended")
    return {
        "cell": None,
        "waiting": 0,
        "asks": None,
        "verdicts": [],
        "position": kept.get("position", START),
        "turns": [record],
        "usage": run.usage,
        "final": await store_answer(final.value, deps.stores.texts) if final else None,
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
