"""Check what a final value cites when its cell has ended, and decide whether it ends the run."""

import asyncio
from dataclasses import dataclass
from typing import Any

from ...kernel.results import Final
from ...state.records import AnswerRef, TurnRecord
from ...state.run_state import RunState
from ...state.settings import RunSettings
from ...state.stores import Stores
from ...state.wording import counted
from ..runtime.answers import store_final
from ..runtime.events import emit
from ..runtime.turns import turns_of
from .citations import Checked, checked, with_citations
from .required import MOST_SENT_BACK, problems_of, sent_back

_MARKED = "not all that it quotes was found in the input"


@dataclass(frozen=True)
class Evidence:
    """The citations of a final value, and the decision about it."""

    citations: Checked
    note: str | None = None
    """The note to the model when the value is sent back."""
    mark: str | None = None
    """The note of the run when the value counts although it is not proved."""

    @property
    def record(self) -> TurnRecord:
        """The part of it that the turn's record keeps."""
        return {"uncited": True} if self.note else {}

    @property
    def update(self) -> dict[str, Any]:
        """The part of the state that it changes."""
        return {"note": self.mark} if self.mark else {}

    async def stored(self, final: Final | None, stores: Stores) -> AnswerRef | None:
        """Return the stored answer with its citations; None without one."""
        if final is None:
            return None
        return await with_citations(await store_final(final, stores), [one for one, _ in self.citations], stores.texts)


NO_EVIDENCE = Evidence([])


async def evidence_of(final: Final | None, state: RunState, settings: RunSettings, stores: Stores) -> Evidence:
    """Return what a final value cites, checked against the input. Raises StoredDataDamaged.

    With `--require-citations`, a value that is not proved is sent back to the model, twice at most and never in the
    last turn.
    """
    if final is None:
        return NO_EVIDENCE
    reference = state.get("context_ref")
    citations = await checked(final.citations, reference, stores.blobs)
    if settings.require_citations and reference is not None and reference["kind"] != "none":
        rows = final.table.batches if final.table else list[bytes]
        problems = await asyncio.to_thread(problems_of, final.value, citations, state.get("question", ""), rows)
        if problems:
            before = sum(turn.get("uncited", False) for turn in turns_of(state))
            if before < MOST_SENT_BACK and not state.get("last"):
                return Evidence(citations, note=sent_back(problems, next(iter(reference["names"]), "")))
            _say(citations)
            return Evidence(citations, mark=_MARKED)
    elif settings.require_citations:
        emit("notice", text="There is no input, so --require-citations asks for no citation.")
    _say(citations)
    return Evidence(citations)


def _say(citations: Checked) -> None:
    """Show a notice when citations are not verified."""
    false = sum(1 for _, fault in citations if fault)
    if false:
        emit("notice", text=f"{false:,} of {counted(len(citations), 'citation')} NOT FOUND in the input.")
