"""Reads the answers of many runs at once, without their checkpoints."""

import contextlib
import json
from collections.abc import Collection
from typing import cast

from .db.checksums import checksum_mismatch_sql
from .db.connection import Database
from .db.tables import WRITES
from .records import AnswerRef
from .saved_values import SavedValues

# A run that was asked on has more than one answer: the last one counts.
_ANSWERS = f"""
SELECT thread_id, type, CAST(value AS BLOB) FROM writes
JOIN (SELECT value AS name FROM json_each(?)) ON thread_id = name
WHERE channel = 'answer' AND type != 'null' AND NOT {checksum_mismatch_sql(WRITES)}
ORDER BY thread_id, checkpoint_id
"""


async def latest_answers(database: Database, thread_ids: Collection[str]) -> dict[str, AnswerRef]:
    """Return the last answer of each of these runs that has one which can be read. Raises StoreError."""
    found: dict[str, AnswerRef] = {}
    for thread_id, kind, value in await database.read(_ANSWERS, (json.dumps([*thread_ids]),)):
        # Of another version, or of another program, where this fails: the row has its checksum.
        with contextlib.suppress(ValueError):
            found[thread_id] = cast(AnswerRef, SavedValues().loads_typed((kind, value)))
    return found
