"""Begin a cell with its code, its recorded answers, and a reviewer's decisions about its sub-calls."""

from ...kernel.session import Cell, PostedCall
from ...state.call_keys import cell_digest
from ...state.run_state import RunState, TurnRecord
from ..runtime.active_runs import ActiveRun
from ..runtime.call_decisions import call_decisions_of
from ..runtime.dependencies import Dependencies
from ..runtime.dispatcher import CallDispatcher
from ..runtime.parked_calls import ParkedCalls
from ..runtime.repl import CellCalls, Repl
from ..runtime.turns import history_entries, history_texts
from .handler import SubCallHandler


async def begin_cell(
    run: ActiveRun, deps: Dependencies, state: RunState, repl: Repl, turn: TurnRecord, *, recorded_only: bool = False
) -> None:
    """Begin the cell of `turn` in a REPL that runs no cell.

    `recorded_only`: calls without a recorded answer fail, and nothing is paid. Raises KernelLost, StoredDataDamaged.
    """
    number, blocks, texts = turn.get("number", 0), turn.get("blocks", []), deps.stores.texts
    recorded = run.journal.of_turn(number)
    parked = ParkedCalls(run.gates, await call_decisions_of(state.get("verdicts", []), texts), recorded)
    calls = CellCalls(parked, recorded)
    handler = SubCallHandler(run, deps, repl.session, calls, number, recorded_only=recorded_only)
    # Where gates are set, any call may have to wait for a reviewer, and must not keep a worker from the others.
    without_worker = _any_call if run.may_park_calls else handler.starts_a_run
    dispatcher = CallDispatcher(repl.session, handler, without_worker=without_worker, parked_calls=parked)
    entries = history_entries(state.get("question", ""), run.transcript.turns(state), repl.history_sent_upto, number)
    code = tuple([await texts.get(block) for block in blocks])
    cell = Cell(number, code, await history_texts(texts, entries))
    await repl.begin_cell(cell, turn.get("digest") or cell_digest(number, blocks), calls, dispatcher, handler.report)


def _any_call(call: PostedCall) -> bool:
    del call
    return True
