"""Decide whether the final value of a cell ends the run, and say to the model why not."""

from dataclasses import dataclass, field
from typing import Any

from ...kernel.results import CellResult, Final
from ...state.records import AnswerRef
from ...state.run_state import CellRef, RunState, TurnRecord
from ...state.stores import Stores
from ..models.schema_validation import mismatch
from ..models.work_limit import SchemaInvalid, off_loop
from ..runtime.active_runs import ActiveRun
from ..runtime.answers import value_to_check
from ..runtime.dependencies import Dependencies
from ..runtime.finish_checks import reason_to_hold, refusal
from ..runtime.unread import Unread, note_on, reason_to_ask_on
from ..runtime.untrusted_text import one_line
from .finishing import NO_EVIDENCE, Evidence, evidence_of


@dataclass(frozen=True)
class Judgement:
    """The final value that ends the run, if there is one, and what comes of it."""

    final: Final | None = None
    notes: list[str] = field(default_factory=list[str])
    """Notes to the model: why a value does not count."""
    record: TurnRecord = field(default_factory=TurnRecord)
    """The part of it that the turn's record keeps."""
    evidence: Evidence = NO_EVIDENCE

    @property
    def update(self) -> dict[str, Any]:
        """The part of the state that it changes."""
        return self.evidence.update

    async def stored(self, stores: Stores) -> AnswerRef | None:
        """Return the stored answer with its citations; None when the run goes on."""
        return await self.evidence.stored(self.final, stores)


async def judge_final(
    state: RunState, cell: CellRef, result: CellResult, run: ActiveRun, deps: Dependencies, unread: Unread | None
) -> Judgement:
    """Return the decision about a cell's final value, and a note on documents that no model was shown.

    The checks come in the order of what the model can mend: the form, whether it is an answer at all, whether anything
    was left out, and what it quotes. Raises StoredDataDamaged.
    """
    final = result.final
    if final is None:
        about = note_on(unread, run.transcript.turns(state), cell["turn"]) if unread else None
        return Judgement(notes=[about], record={"unread": len(unread.names)}) if unread and about else Judgement()
    if problem := await _schema_problem(final, run.settings.answer_schema):
        return _sent_back(
            f"FINAL was refused: the answer does not match the schema asked for ({problem}). Finish again."
        )
    if refused := refusal(final):
        return _sent_back(refused)
    if held := await reason_to_hold(state, cell, result, final, deps.stores.texts):
        record: TurnRecord = {"held": held.digest}
        return _sent_back(held.note, {**record, "marks": ["invented"]} if held.invented else record)
    if unread and (about := await reason_to_ask_on(state, unread, deps.stores.texts)):
        return _sent_back(about, {"unread": len(unread.names)})
    evidence = await evidence_of(final, state, run.settings, deps.stores)
    if evidence.note is not None:
        return _sent_back(evidence.note, evidence.record)
    return Judgement(final, evidence=evidence)


def _sent_back(note: str, record: TurnRecord | None = None) -> Judgement:
    return Judgement(notes=[note], record=record or {})


async def _schema_problem(final: Final, schema: dict[str, Any] | None) -> str:
    if schema is None:
        return ""
    if final.text_of is not None:
        return f"a {one_line(final.text_of, 60)} is no JSON value"
    try:
        value = await value_to_check(final)
    except SchemaInvalid as error:
        return str(error)
    try:
        return await off_loop(mismatch, value, schema)
    except SchemaInvalid as error:
        return f"the schema itself cannot be used: {error}"
