"""The calls of a run for a file, one after another, with the beginnings of their texts."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from ....state.call_records import CALL_COLUMNS, CallRow, read_row
from ....state.db.checksums import checksum_mismatch_sql
from ....state.db.lineage import OF_PAST, PAST
from ....state.db.tables import CALLS
from ....state.stores import Stores

_PAGE = 100
_PAST = f"{PAST} SELECT thread_id, until FROM past ORDER BY generation DESC"
_ROWS = (
    f"SELECT {CALL_COLUMNS}, {checksum_mismatch_sql(CALLS)} FROM calls WHERE thread_id = ? AND kind != 'root' "
    f"AND seq > ? AND {OF_PAST.replace('until', '?')} ORDER BY seq LIMIT {_PAGE}"
)


@dataclass(frozen=True)
class ShownCall:
    """A call with its texts."""

    row: CallRow
    first_of_turn: bool
    """True for the first call of its turn."""
    prompt: str
    answer: str | None
    thoughts: str | None


async def calls_of(stores: Stores, thread_id: str, most: int, *, prompts: bool) -> AsyncGenerator[ShownCall]:
    """Yield the first `most` sub-calls of a run, those of the run that it was forked from first.

    Without `prompts`, their prompts are empty. Raises StoreError.
    """
    turns: set[int] = set()
    left = most
    for past, until in await stores.database.read(_PAST, (thread_id,)):
        seq = -1
        while left > 0 and (rows := await stores.database.read(_ROWS, (past, seq, until))):
            for row in map(read_row, rows):
                seq = row.seq
                if left > 0:
                    left -= 1
                    yield await _shown(stores, row, first=row.turn not in turns, prompts=prompts)
                    turns.add(row.turn)


async def _shown(stores: Stores, row: CallRow, *, first: bool, prompts: bool) -> ShownCall:
    texts = stores.texts
    prompt = await texts.get_or_damage(row.prompt) if prompts and row.prompt else ""
    answer = await texts.get_or_damage(row.answer) if row.answer else None
    thoughts = await texts.get_or_damage(row.thoughts) if row.thoughts else None
    return ShownCall(row, first, prompt, answer, thoughts)
