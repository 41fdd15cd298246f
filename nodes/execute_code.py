"""`execute_code`: advance the cell by one step, until it waits for sub-calls or for approval, or has ended.

Idempotent: whatever happened before, it takes the REPL at the state's position (the active one, or a restored one),
begins the cell unless it runs there already, and returns when the cell is blocked or has ended.
"""

import contextlib
import json
import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, cast

from ..kernel.posted_displays import displays_text
from ..kernel.results import CellError, CellResult, Final
from ..kernel.session import REFUSED_ON
from ..state.call_keys import START
from ..state.errors import KernelLost, cli_command
from ..state.run_state import CellRef, RestoreRecord, RunState, TurnRecord, VariableRecord
from ..state.wording import counted, megabytes
from .approval.budget_gate import apply_budget_grant
from .approval.requests import call_items, stored_items
from .evidence.judgement import judge_final
from .prompts.observation import repeats_error, repetition_notes
from .restore.report import diverged, divergence, no_restore, notes_for_model
from .restore.restore import repl_at_state
from .runtime.active_runs import ActiveRun, ActiveRuns
from .runtime.call_decisions import call_decisions_of
from .runtime.dependencies import Dependencies
from .runtime.events import emit
from .runtime.measured import measured
from .runtime.repl import Repl
from .runtime.turns import changes_of, short_form, turns_of
from .runtime.unread import Unread, unread_after
from .sub_calls.begin_cell import begin_cell

_LOOP_RUNS = re.compile(
    r"cannot be called from a running event loop|event loop is already running|while another loop is running"
)
"""asyncio's messages for `asyncio.run`, `run_until_complete` of the cell's loop, and of a new one."""
_SEARCHED = 1_000
MOST_DEATHS = 3
"""Cells in a row that may take their kernels with them."""
_REPLACEMENTS = 2
"""Kernels that are replaced when they die before the cell has begun."""


async def execute_code(state: RunState, active_runs: ActiveRuns, deps: Dependencies, thread_id: str) -> dict[str, Any]:
    """Advance the cell. Raises KernelStartFailed, KernelLost after several in a row, and ReplayDiverged if strict.

    Raises HomeFull when the home has no room for it, or for what it leaves; the cell then runs again. An error of the
    cell itself is a result, which is shown to the model.
    """
    cell = state.get("cell")
    assert cell is not None, "execute_code without a cell"
    run = await active_runs.get(thread_id, state)
    if run.gates.code and not state.get("waiting", 0) and state.get("approved") != cell["digest"]:
        return _not_approved(cell)
    await apply_budget_grant(run, state, deps)
    if run.repl is None or not run.repl.in_cell:
        await run.tree.room.need()
    with run.idle.needed():
        try:
            repl = await _repl_for_cell(state, run, deps)
            await (_continue if repl.in_cell else _begin)(state, cell, run, deps, repl)
            deps.failpoint("cell-sent")
            outcome = await repl.wait()
        except KernelLost as lost:
            return await _died(state, cell, lost, run, deps)
        match outcome:
            case "calls":
                return _waits_for_calls(cell, repl)
            case "approval":
                return await _waits_for_approval(cell, repl, run, deps)
            case CellResult():
                return await _ended(state, cell, outcome, run, deps, repl)


async def _repl_for_cell(state: RunState, run: ActiveRun, deps: Dependencies) -> Repl:
    """Return the REPL in which the cell is begun or continued. Raises KernelLost, and what `repl_at_state` does.

    A kernel that dies before the cell has begun (killed with the one that it replaces, perhaps) was not taken by the
    cell: it is replaced, up to twice. Cells that ended well may run again meanwhile, and kill each of them.
    """
    for _ in range(_REPLACEMENTS):
        with contextlib.suppress(KernelLost):
            return await repl_at_state(run, deps, state)
    return await repl_at_state(run, deps, state)


async def _begin(state: RunState, cell: CellRef, run: ActiveRun, deps: Dependencies, repl: Repl) -> None:
    emit("code", turn=cell["turn"], code="\n\n".join([await deps.stores.texts.get(block) for block in cell["blocks"]]))
    turn: TurnRecord = {"number": cell["turn"], "blocks": cell["blocks"], "digest": cell["digest"]}
    await begin_cell(run, deps, state, repl, turn)


async def _continue(state: RunState, cell: CellRef, run: ActiveRun, deps: Dependencies, repl: Repl) -> None:
    repl.decide(await call_decisions_of(state.get("verdicts", []), deps.stores.texts))


def _not_approved(cell: CellRef) -> dict[str, Any]:
    """Return the update that sends a cell back to review: only the code that was approved runs (promise P11)."""
    summary = "not run: it is not the code that was reviewed"
    return {"waiting": 0, "step": [{"kind": "execute_code", "turn": cell["turn"], "summary": summary}]}


def _waits_for_calls(cell: CellRef, repl: Repl) -> dict[str, Any]:
    waiting = repl.open_calls
    summary = f"waits for {counted(waiting, 'sub-call')}"
    return {
        "waiting": max(1, waiting),
        "step": [{"kind": "execute_code", "turn": cell["turn"], "summary": summary}],
    }


async def _waits_for_approval(cell: CellRef, repl: Repl, run: ActiveRun, deps: Dependencies) -> dict[str, Any]:
    """Return the state of a cell that only a reviewer's decisions can continue."""
    items = await call_items(run, repl.calls.parked, cell["turn"], deps.stores.texts)
    waiting = repl.calls.parked.count
    summary = f"waits for approval of {counted(waiting, 'sub-call')}"
    return {
        "waiting": max(1, waiting),
        "asks": await stored_items(items, deps.stores.texts),
        "usage": run.usage,
        "step": [{"kind": "execute_code", "turn": cell["turn"], "summary": summary}],
    }


async def _died(state: RunState, cell: CellRef, lost: KernelLost, run: ActiveRun, deps: Dependencies) -> dict[str, Any]:
    """Return the state after a cell that took its kernel with it: the REPL is as it was before the cell.

    Raises KernelLost when kernels have died in as many cells in a row as a run goes on after: another turn would be
    paid for nothing. A resume runs this cell again first.
    """
    report = run.repl.restore_report if run.repl else None
    await run.drop_repl()
    if _died_before(state) + 1 >= MOST_DEATHS:
        raise KernelLost(
            f"The kernel died in {MOST_DEATHS} cells in a row, so no more turns are paid for. {lost.message}",
            hint=f"{cli_command('resume', run.thread_id)} runs the last of them again before anything is paid. If it "
            f"dies again: more `--memory`, or a fork from an earlier step; {cli_command('doctor')} tests the sandbox.",
        )
    message = f"{lost.message} Variables are as they were before this cell; it will not be run again."
    result = CellResult(status="died", error=CellError("KernelDied", message, message))
    kept: TurnRecord = {"position": state.get("position", START), "snapshot": None}
    return await _recorded(state, cell, result, run, deps, kept, report, [])


async def _ended(
    state: RunState, cell: CellRef, result: CellResult, run: ActiveRun, deps: Dependencies, repl: Repl
) -> dict[str, Any]:
    """Return the state after a cell, once its variables are saved."""
    position = repl.position_after(cell["digest"])
    await repl.stop_calls()
    _need_room(run, cell, result)
    report = await _restore_report(run, deps, repl, cell["turn"])
    problem = await repl.save_variables(result)
    *_, before = [], *run.transcript.variables(state)[-1:]
    kept: TurnRecord = {
        **changes_of(before, [cast(VariableRecord, {**vars(variable)}) for variable in result.variables]),
        "position": position,
        "snapshot": None if problem else repl.snapshot,
        "lost": {"*": problem} if problem else repl.unsaved_variables,
    }
    notes = _truncation_notes(repl)
    unread = await unread_after(run, deps, cell["turn"], result, repl.calls.requested)
    repl.end_cell(position)
    return await _recorded(state, cell, result, run, deps, kept, report, notes, unread)


def _died_before(state: RunState) -> int:
    """Return the number of cells in a row, up to the last one, that took their kernels with them."""
    statuses = [status for turn in turns_of(state) if (status := turn.get("status")) is not None]
    return len(list(takewhile("died".__eq__, reversed(statuses))))


def _error_notes(result: CellResult) -> list[str]:
    """Return what the model cannot know from the error itself."""
    notes: list[str] = []
    if result.voided:
        notes.append("FINAL did not count, because the cell ended in an error. Correct that, and finish again.")
    if result.error and _LOOP_RUNS.search(result.error.message[:_SEARCHED]):
        notes.append(
            "An event loop runs already, so `await` works at the top level of a cell: write `await main()` in place of "
            "`asyncio.run(main())` or `loop.run_until_complete(main())`."
        )
    if result.status == "timeout" and result.error and result.error.name == REFUSED_ON:
        notes.append(
            "A call that is refused for the budget or its arguments is refused again: do not swallow the error and ask "
            "on. Keep what you have, and finish with it."
        )
    return notes


def _truncation_notes(repl: Repl) -> list[str]:
    """Return a note when answers to the cell's sub-calls were cut, because a cut answer looks like any other."""
    if not repl.calls.truncated:
        return []
    cut, answers = repl.calls.truncated, repl.calls.answers.count
    return [
        f"{cut:,} of {answers:,} answers to sub-calls of this cell were cut at the output limit and end in the middle: "
        "ask for shorter answers, or about smaller pieces."
    ]


async def _restore_report(run: ActiveRun, deps: Dependencies, repl: Repl, turn: int) -> RestoreRecord | None:
    """Return the REPL's restore report, with the recorded calls that this cell did not make again.

    Raises ReplayDiverged in a strict execution.
    """
    found = await divergence(deps, run.thread_id, turn, repl.calls)
    if found is None:
        return repl.restore_report
    if run.execution_options.strict:
        raise diverged(found)
    report = repl.restore_report or no_restore()
    report["diverged"].append(found)
    run.note_restore(report)
    return report


async def _recorded(
    state: RunState,
    cell: CellRef,
    result: CellResult,
    run: ActiveRun,
    deps: Dependencies,
    kept: TurnRecord,
    report: RestoreRecord | None,
    notes: Sequence[str],
    unread: Unread | None = None,
) -> dict[str, Any]:
    """Return the state after a cell: its output, its final value, and the REPL's position and snapshot (`kept`)."""
    judgement = await judge_final(state, cell, result, run, deps, unread)
    final = judgement.final
    notes = [*(notes_for_model(report) if report else []), *notes, *_error_notes(result), *judgement.notes]
    output = _observed(result)
    record: TurnRecord = {
        "number": cell["turn"],
        "status": result.status,
        "output": await deps.stores.texts.put(output),
        "error": f"{result.error.name}: {result.error.message}" if result.error else None,
        "notes": notes,
        "seconds": round(result.seconds, 3),
        **measured(result, output, run.journal.now()),
        **kept,
        **judgement.record,
        "digest": cell["digest"],
        "short": short_form(output),
    }
    if result.seen:
        record["seen"] = list(result.seen)
    if result.displays:
        record["displays"] = await deps.stores.texts.put(displays_text(result.displays))
    if report:
        record["restore"] = report
    if final is not None and final.variable:
        note = f"FINAL({final.variable!r}) was taken as the variable of that name."
        notes.append(note)
        emit("notice", text=note)
    notes += repetition_notes(run.transcript.turns(state), {**record, "blocks": cell["blocks"]})
    if repeats_error(run.transcript.turns(state), record):
        record["marks"] = [*record.get("marks", []), "same-error"]
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
        "final": await judgement.stored(deps.stores),
        **judgement.update,
        "step": [{"kind": "execute_code", "turn": cell["turn"], "summary": _summary(result, final)}],
    }


def _need_room(run: ActiveRun, cell: CellRef, result: CellResult) -> None:
    """Raise HomeFull unless the home has room for all that a cell leaves: its variables, its answer and its files.

    Nothing of it is saved then: the cell runs again, with its recorded answers, once there is room.
    """
    limit = run.tree.room.limit
    if limit.limit is None:
        return
    snapshot, final = result.snapshot, result.final
    size = sum(map(len, snapshot.chunks)) if snapshot else 0
    if final:
        spools = {id(part.spool): part.spool.size for part in (final.table, *final.files) if part}
        size += sum(spools.values()) + (len(json.dumps(final.value)) if final.table is None else 0)
    limit.need(size, f"What turn {cell['turn']} leaves to be saved ({megabytes(size)})")


def _observed(result: CellResult) -> str:
    """Return what the cell printed and how it failed as one text, which the trace keeps whole."""
    if result.error is None:
        return result.output
    return f"{result.output.rstrip()}\n{result.error.traceback}".lstrip()


def _summary(result: CellResult, final: Final | None) -> str:
    if final is not None:
        return "ended the run"
    if result.error:
        return f"{result.status}: {result.error.name}"
    return f"{len(result.output):,} characters of output"
