"""The calls of a run in which words were found, with their texts, as `rlm calls --search` shows them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..state.call_records import CALL_COLUMNS, read_row
from ..state.call_search.finding import Hit
from ..state.db.checksums import checksum_mismatch_sql
from ..state.db.tables import CALLS
from ..state.stores import Stores
from .call_listing import whole_call
from .call_searching import CallSearch
from .calls import Call
from .queries import RunQueries

_AT_ONCE = 500
_ROW = f"SELECT {CALL_COLUMNS}, {checksum_mismatch_sql(CALLS)} FROM calls WHERE seq = ?"


@dataclass(frozen=True)
class FoundCall:
    """A call that has the words."""

    call: Call
    hits: Sequence[Hit]
    """The texts of it that have them."""

    def to_json(self) -> dict[str, Any]:
        """Return the object that `rlm calls --search --json` prints."""
        found = [
            {"where": hit.where, "text": hit.snippet.text, "matches": [list(match) for match in hit.snippet.matches]}
            for hit in self.hits
        ]
        return {**self.call.to_json(), "found": found}


async def found_calls(stores: Stores, thread: str, words: str, *, below: bool = False) -> list[FoundCall]:
    """Return the calls of a run that have all the words, oldest first; with `below`, those of its sub-RLMs, too.

    All calls of the home are read first, as far as no search has read them yet. Raises UnknownThread, UsageError.
    """
    thread_id = await RunQueries(stores).resolve(thread)
    rows = await stores.threads.below(thread_id) if below else []
    hits: dict[int, list[Hit]] = {}
    async with CallSearch(stores) as search:
        after: str | None = None
        first = True
        while first or after is not None:
            page = await search.search(
                words,
                thread={thread_id, *(row.thread_id for row in rows)},
                after=after,
                limit=_AT_ONCE,
                fill_for=None if first else 0.0,
            )
            first, after = False, page.next
            for hit in page.hits:
                hits.setdefault(hit.seq, []).append(hit)
    spent = await stores.spending.below(thread_id)
    found: list[FoundCall] = []
    for seq, some in sorted(hits.items()):
        for row in await stores.database.read(_ROW, (seq,)):
            call = await whole_call(stores, read_row(row))
            child = call.row.child_thread
            tokens = spent[child].tokens if child in spent else 0
            found.append(FoundCall(replace(call, thread_id=some[0].thread_id, tokens_below=tokens), some))
    return found
