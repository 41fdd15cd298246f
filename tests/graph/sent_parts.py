"""The parts of documents that cells of a test have sent, as their code says itself, and what a run has recorded."""

from collections.abc import Mapping
from typing import Any

from durable_rlm import Runner
from durable_rlm.state.evidence.coverage import Coverage, coverage_of
from durable_rlm.state.evidence.journal_places import rows_of_tree
from durable_rlm.state.evidence.placing import documents_of

Bytes = dict[str, set[int]]
"""By the name of a document, the bytes of it."""
_parts: dict[str, list[tuple[str, int, int]]] = {}
_now: list[str] = [""]


def begin(case: str) -> None:
    """Note what is sent from now on under the name of a case."""
    _now[0] = case
    _parts[case] = []


def sent(document: Any, start: int = 0, end: int | None = None) -> None:
    """Note that code sends the characters from `start` to `end` of a document. A cell calls it."""
    _parts[_now[0]].append((document.name, start, len(document) if end is None else end))


def sent_lines(document: Any, first: int, last: int) -> None:
    """Note that code sends lines of a document."""
    lines = document.whole().splitlines(keepends=True)
    sent(document, sum(map(len, lines[: first - 1])), sum(map(len, lines[:last])))


def truth(case: str, texts: Mapping[str, str]) -> Bytes:
    """Return the bytes that code has sent."""
    found: Bytes = {}
    for name, start, end in _parts.get(case, ()):
        short = name.rpartition("/")[2]
        text = texts[short]
        first = len(text[:start].encode())
        found.setdefault(short, set()).update(range(first, first + len(text[start:end].encode())))
    return found


async def recorded(runner: Runner, thread: str) -> dict[tuple[str, int], Bytes]:
    """Return what a run has recorded: of each turn, the bytes in sub-calls ("sub") and in its request ("root")."""
    stores = runner.stores
    row = await stores.threads.find(thread)
    source = row.start.get("context_ref") if row else None
    assert source is not None
    documents = documents_of(source, stores.blobs)
    rows = await rows_of_tree(stores.database, thread)
    found: dict[tuple[str, int], Bytes] = {}
    turns = {one.child_thread: one.turn for one in rows if one.child_thread}
    by_turn: dict[tuple[str, int], list[Any]] = {}
    for one in rows:
        of_run = one.thread_id == thread
        kind = "root" if of_run and one.kind == "root" else "sub"
        by_turn.setdefault((kind, one.turn if of_run else turns[one.thread_id]), []).append(one)
    for key, some in by_turn.items():
        summed = coverage_of(some, thread, source["pack"], documents, stores.blobs.path(source["pack"]))
        found[key] = _bytes_of(summed)
    return found


def _bytes_of(summed: Coverage) -> Bytes:
    return {
        one.name.rpartition("/")[2]: {
            at - one.start
            for first, last in summed.both.within(one.start, one.start + one.size)
            for at in range(first, last)
        }
        for one in summed.documents
        if one.read
    }


def difference(wanted: Bytes, found: Bytes, share: float = 0.05) -> str:
    """Return in words how what was found differs from what was sent; empty when it differs little enough."""
    if extra := found.keys() - wanted.keys():
        return f"not sent: {sorted(extra)}"
    if missing := wanted.keys() - found.keys():
        return f"missing: {sorted(missing)}"
    wrong = {
        name: f"{len(found[name] - bytes_sent)} too many, {len(bytes_sent - found[name])} missing of {len(bytes_sent)}"
        for name, bytes_sent in wanted.items()
        if len(found[name] ^ bytes_sent) > max(share * len(bytes_sent), 3)
    }
    return f"bytes: {wrong}" if wrong else ""
