"""A cell that was run again and asked for something else than is recorded of it."""

from itertools import islice

from ...state.errors import ReplayDiverged
from ...state.run_state import Divergence
from ..runtime.active_runs import CellCalls
from ..runtime.dependencies import Hands

_SHOWN = 20
_CHARACTERS = 200


async def divergence(hands: Hands, thread_id: str, turn: int, calls: CellCalls) -> Divergence | None:
    """What the cell did not ask for again, and what it asked instead; None when it asked for all that is recorded.

    A cell that asks for more than is recorded has not diverged: it went on.
    """
    missing = calls.missing
    if not missing:
        return None
    stores = hands.stores
    prompts = {row.key: row.prompt for row in await stores.journal.rows(thread_id) if row.key in missing}
    return Divergence(
        turn=turn,
        missing=[_short(await stores.texts.get(prompts[key])) for key in missing[:_SHOWN] if key in prompts],
        new=[_short(prompt) for prompt in islice(calls.paid.values(), _SHOWN)],
    )


def diverged(found: Divergence) -> ReplayDiverged:
    """The error that ends a strict sitting."""
    return ReplayDiverged(
        f"The cell of turn {found['turn']} was run again and did not ask for what it had asked for before: "
        f"{len(found['missing'])} recorded calls are missing, {len(found['new'])} are new.",
        hint="Without --strict it goes on all the same; a fork can go on from before that turn.",
    )


def _short(text: str) -> str:
    line = " ".join(text[: 2 * _CHARACTERS].split())
    return line if len(line) <= _CHARACTERS else line[: _CHARACTERS - 1] + "…"
