"""Reads how much of a run's input models were shown, for `rlm show --coverage` and `usage` of `--json`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..state.db.lineage import BELOW
from ..state.errors import StoredDataDamaged, StoreError
from ..state.evidence.coverage import Coverage, DocumentRead, MappedPack, Reading, coverage_of
from ..state.evidence.journal_places import PlacedRow, rows_of_tree
from ..state.evidence.lines_read import LinesRead, lines_read
from ..state.evidence.placing import documents_of, source_of
from ..state.evidence.sent_passages import SentPassages
from ..state.input.context import ContextRef
from ..state.stores import Stores
from ..state.threads import Thread

# Places that are recorded later than their answer are written before the step that ends a run.
_MARK = f"""
{BELOW}, tree (thread_id) AS (SELECT ? UNION SELECT thread_id FROM below)
SELECT count(*), max((SELECT max(settled) FROM calls WHERE calls.thread_id = tree.thread_id)),
sum((SELECT max(step) FROM steps WHERE steps.thread_id = tree.thread_id)),
sum((SELECT status = 'running' FROM threads WHERE threads.thread_id = tree.thread_id)) FROM tree
"""


@dataclass(frozen=True, eq=False)
class InputRead:
    """The parts of an input that the requests of a run have read, with the requests."""

    source: ContextRef
    """The input: of a sub-RLM that was given a new text, that of the run at the top."""
    owner: str
    """The run whose input it is."""
    coverage: Coverage
    sent: SentPassages


async def input_read(stores: Stores, row: Thread) -> InputRead | None:
    """Return what `coverage_of_run` does, with the requests that held each part; None without an input."""
    source, owner = await source_of_run(stores, row)
    if source is None or source["kind"] == "none":
        return None
    rows = await rows_of_tree(stores.database, row.thread_id)

    def summed() -> InputRead:
        covered = _summed(stores, row, source, rows)
        return InputRead(source, owner, covered, SentPassages.of_rows(rows, row.thread_id, source["pack"]))

    return await asyncio.to_thread(summed)


async def coverage_mark(stores: Stores, thread_id: str) -> tuple[int, ...]:
    """Return numbers of which one differs once the requests of a run, or of a run below it, have read more.

    It takes some microseconds for each run of the tree. Raises StoreError.
    """
    [found] = await stores.database.read(_MARK, (thread_id, thread_id))
    return tuple(int(number or 0) for number in found)


async def coverage_of_run(stores: Stores, row: Thread) -> Coverage | None:
    """Return what the requests of a run and of the runs below it have read of its input; None without an input.

    A sub-RLM that was given a new text has read of the input of the run at the top. Raises StoredDataDamaged.
    """
    source, _ = await source_of_run(stores, row)
    if source is None or source["kind"] == "none":
        return None
    rows = await rows_of_tree(stores.database, row.thread_id)
    return await asyncio.to_thread(_summed, stores, row, source, rows)


def _summed(stores: Stores, row: Thread, source: ContextRef, rows: Sequence[PlacedRow]) -> Coverage:
    try:
        documents = documents_of(source, stores.blobs)
        return coverage_of(rows, row.thread_id, source["pack"], documents, stores.blobs.path(source["pack"]))
    except OSError as error:
        raise StoredDataDamaged(f"The run's stored input cannot be read: {error}.", hint="Run `rlm verify`.") from error


async def share_or_unknown(stores: Stores, thread_id: str) -> float | None:
    """Return the share of a run's input that models were shown; None where that is not known."""
    try:
        row = await stores.threads.find(thread_id)
        found = await coverage_of_run(stores, row) if row else None
    except StoreError:
        return None
    return None if found is None else rounded(found.share)


async def coverage_document(stores: Stores, row: Thread, found: Coverage, *, lines: bool) -> dict[str, Any]:
    """Return the document that `rlm show --coverage --json` prints. Raises StoredDataDamaged."""
    source, _ = await source_of_run(stores, row)
    assert source is not None
    named = await asyncio.to_thread(_lines, stores, source, found) if lines else [None] * len(found.documents)
    with_text = len(found.with_text)
    whole, never = len(found.whole), len(found.never)
    return {
        "thread_id": row.thread_id,
        "coverage": rounded(found.share),
        "bytes": found.size,
        "read_bytes": found.read,
        "documents": {"count": with_text, "whole": whole, "part": with_text - whole - never, "never": never},
        "sub_models": _of(found.sub_models, sum(one.by_sub_models for one in found.documents), found.size),
        "root_model": _of(found.root_model, sum(one.by_root_model for one in found.documents), found.size),
        "read": [_document(one, at) for one, at in zip(found.documents, named, strict=True)],
    }


async def source_of_run(stores: Stores, row: Thread) -> tuple[ContextRef | None, str]:
    """Return the input of which the requests of a run have read, and the run whose it is."""
    own: ContextRef | None = row.start.get("context_ref")
    if not row.caller:
        return own, row.thread_id
    top = await stores.threads.find(await stores.threads.top_of(row.thread_id))
    source = source_of(own, top.start.get("context_ref") if top else None)
    return source, row.thread_id if top is None or source is own else top.thread_id


def _lines(stores: Stores, source: ContextRef, found: Coverage) -> Sequence[LinesRead]:
    try:
        with MappedPack(stores.blobs.path(source["pack"])) as data:
            return [
                lines_read(data, one.start, one.start + one.size, found.both.within(one.start, one.start + one.size))
                if one.read
                else LinesRead(())
                for one in found.documents
            ]
    except OSError as error:
        raise StoredDataDamaged(f"The run's stored input cannot be read: {error}.", hint="Run `rlm verify`.") from error


def _of(reading: Reading, read: int, size: int) -> dict[str, Any]:
    """Return what is known of the requests of one kind."""
    sent = reading.sent
    return {
        "coverage": rounded(read / size if size else None),
        "requests": sent.texts,
        "sent_bytes": sent.size,
        "placed_bytes": sent.placed,
        "not_placed": rounded((sent.size - sent.placed) / sent.size if sent.size else None),
        "unknown_requests": reading.unknown,
    }


def _document(one: DocumentRead, lines: LinesRead | None) -> dict[str, Any]:
    share = one.size or 1
    return {
        "name": one.name,
        "bytes": one.size,
        "coverage": rounded(one.read / share),
        "sub_models": rounded(one.by_sub_models / share),
        "root_model": rounded(one.by_root_model / share),
        "lines": None if lines is None else [list(each) for each in lines.ranges],
        "more_lines": lines.more if lines else 0,
    }


def rounded(share: float | None) -> float | None:
    """Return a share with four digits. It is 1.0 only where nothing is missing."""
    return None if share is None else round(share, 4) if share >= 1 else min(round(share, 4), 0.9999)
