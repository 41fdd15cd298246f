"""The sub-calls that a run had made up to a step, with what was asked and answered by hash: for comparing two steps."""

from typing import NamedTuple

from .db.connection import Database
from .db.lineage import NO_HORIZON, OF_PAST, PAST_UNTIL


class CallAtStep(NamedTuple):
    """A sub-call. `prompt` and `answer` are hashes of texts; `answer` is None while there is none, and of a failure."""

    key: str
    turn: int
    model: str
    prompt: str
    answer: str | None
    error: str | None

    @property
    def outcome(self) -> tuple[str | None, str | None]:
        """Its answer and its error: equal for calls that were answered alike."""
        return self.answer, self.error


# Rows are not verified here, which takes longer than the rest: those that differ are few, and their texts are verified
# when they are read.
_CALLS = f"""
{PAST_UNTIL} SELECT key, turn, model, prompt, answer, error FROM calls JOIN past USING (thread_id)
WHERE kind != 'root' AND {OF_PAST} ORDER BY generation DESC, seq
"""


async def calls_at_step(database: Database, thread_id: str, settled: int | None) -> dict[str, CallAtStep]:
    """Return the sub-calls of a run by their keys, those of runs that it was forked from included.

    `settled`: the number of calls that were settled when the step was saved (`Step.settled`); None: all calls, also
    those under way. Raises StoreError.
    """
    rows = await database.read(_CALLS, (thread_id, NO_HORIZON if settled is None else settled))
    return {row[0]: CallAtStep(*row) for row in rows}
