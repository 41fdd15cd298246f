"""Report a restore: what was loaded, rebuilt or lost, and cells whose replay diverged from the journal."""

from itertools import islice

from ...state.errors import ReplayDiverged
from ...state.run_state import Divergence, RestoreRecord
from ...state.wording import listed
from ..runtime.dependencies import Dependencies
from ..runtime.repl import CellCalls
from ..runtime.untrusted_text import one_line

_SHOWN = 20
_CHARACTERS = 200


async def divergence(deps: Dependencies, thread_id: str, turn: int, calls: CellCalls) -> Divergence | None:
    """Return the recorded calls that the cell did not make again, and its new ones; None when none is missing.

    A cell that also makes calls that are not recorded has not diverged: it continued.
    """
    missing = calls.missing
    if not missing:
        return None
    stores = deps.stores
    prompts = {row.key: row.prompt for row in await stores.journal.rows(thread_id) if row.key in missing}
    return Divergence(
        turn=turn,
        missing=[
            one_line(await stores.texts.get(prompts[key]), _CHARACTERS) for key in missing[:_SHOWN] if key in prompts
        ],
        new=[one_line(prompt, _CHARACTERS) for prompt in islice(calls.unrecorded.values(), _SHOWN)],
    )


def diverged(found: Divergence) -> ReplayDiverged:
    """Return the error that ends a strict execution."""
    return ReplayDiverged(
        f"The cell of turn {found['turn']} was run again and did not ask for what it had asked for before: "
        f"{len(found['missing'])} recorded calls are missing, {len(found['new'])} are new.",
        hint="Without --strict it continues all the same; a fork can start before that turn.",
    )


_NAMED = 10


def no_restore() -> RestoreRecord:
    """Return the report of a kernel that was not restored, or in which nothing was brought back."""
    return RestoreRecord(restored=[], rebuilt=[], lost={}, cells=0, notes=[], diverged=[])


def notes_for_model(report: RestoreRecord) -> list[str]:
    """Return sentences for the model, and for the trace, on what differs from before the restore."""
    lines: list[str] = []
    lost, rebuilt = report["lost"], report["rebuilt"]
    if lost:
        shown = [f"{name} ({why})" for name, why in sorted(lost.items())]
        lines.append(
            f"The REPL was restored. Not as they were: {listed(shown, _NAMED)}. Make them again if you need them."
        )
    if rebuilt:
        lines.append(
            f"The REPL was restored; {listed(rebuilt, _NAMED)} could not be saved and came back by running "
            f"{report['cells']} earlier cells again."
        )
    lines += [f"The REPL was restored: {note}." for note in report["notes"]]
    for found in report["diverged"]:
        lines.append(
            f"The cell of turn {found['turn']} was run again and asked for other sub-calls than before: "
            f"{len(found['missing'])} recorded answers were not asked for, {len(found['new'])} calls were new."
        )
    return lines
