"""Store answers in the form that the state keeps, and load them."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...kernel.answer_parts import PostedFile
from ...kernel.results import Final
from ...state.answer_tables import Column, TableHead, as_objects
from ...state.blobs.store import Blobs
from ...state.blobs.texts import Texts
from ...state.errors import StoredDataDamaged
from ...state.records import AnswerFile, AnswerRef
from ...state.stores import Stores
from ...state.wording import megabytes
from ..models.work_limit import SchemaInvalid

MOST_CHECKED = 64 << 20
"""Bytes of the rows of a table that is loaded as a whole for a check or for the code of another run."""

MOST_SHOWN = 4 << 20
"""Bytes of the rows of a table of which a reviewer is shown all."""
_SHOWN_ROWS = 100

MOST_LOADED = 128 << 20
"""Bytes of the rows of a table that is loaded as one value: a dozen times as much memory."""


class LargeTable(dict[str, Any]):
    """A summary of a table that is too large to be one value: `columns`, `rows`, `bytes` and a `note`."""


@dataclass(frozen=True)
class Table:
    """An answer that is a table, whose rows are read from disk a batch at a time."""

    columns: list[Column]
    rows_count: int
    size: int
    """Bytes of the rows' JSON."""
    _blobs: Blobs
    _batches: list[str]

    def rows(self) -> Iterator[list[Any]]:
        """Yield the rows, each with a value for every column. Reads files, so not for the event loop.

        Raises StoredDataDamaged.
        """
        for name in self._batches:
            yield from json.loads(self._blobs.read(name))


async def open_table(answer: AnswerRef, stores: Stores) -> Table | None:
    """Return the table that an answer is, None when it is another value. Raises StoredDataDamaged."""
    if (table := answer.get("table")) is None:
        return None
    head = TableHead.from_json(await stores.texts.get(answer["text"]))
    return Table(list(head.columns), head.rows, head.size, stores.blobs, table["batches"])


async def store_answer(value: Any, texts: Texts) -> AnswerRef:
    """Store a final value, a text as it is and any other value as JSON. Return the reference to it."""
    typed = not isinstance(value, str)
    text = json.dumps(value, ensure_ascii=False) if typed else value
    return {"text": await texts.put(text), "typed": typed}


async def store_final(final: Final, stores: Stores) -> AnswerRef:
    """Store a final value with its rows and its files. Return the reference to it. Raises StoreError."""
    if (table := final.table) is None:
        answer = await store_answer(final.value, stores.texts)
    else:
        assert table.head is not None, "a table that nothing has checked"
        batches = await asyncio.to_thread(lambda: [stores.blobs.put(batch) for batch in table.batches()])
        text = await stores.texts.put(table.head.to_json())
        answer: AnswerRef = {"text": text, "typed": True, "table": {"batches": batches}}
    if final.files:
        answer["files"] = await asyncio.to_thread(lambda: [_stored(file, stores.blobs) for file in final.files])
    return answer


async def value_to_check(final: Final) -> Any:
    """Return a final value as a schema describes it, a table as a list of objects.

    All of it is in memory then. Raises SchemaInvalid for a large table.
    """
    if (table := final.table) is None:
        return final.value
    if table.spool.size > MOST_CHECKED:
        raise SchemaInvalid(f"a table of more than {MOST_CHECKED >> 20} MB is too large to check")

    def objects() -> list[dict[str, Any]]:
        rows = [row for batch in table.batches() for row in json.loads(batch)]
        return as_objects(table.columns, rows)

    return await asyncio.to_thread(objects)


def _stored(file: PostedFile, blobs: Blobs) -> AnswerFile:
    with blobs.writer() as writer:
        for piece in file.pieces():
            writer.write(piece)
        return {"name": file.name, "size": file.size, "hash": writer.commit()}


async def answer_to_review(answer: AnswerRef, texts: Texts) -> dict[str, Any]:
    """Return what a reviewer is shown of an answer: `answer`, and `files` if there are any. Raises StoredDataDamaged.

    Of a large table the first rows are shown, with `rows`, `shown_rows` and the `digest` of all: it is saved with each
    request.
    """
    shown: dict[str, Any] = {}
    if (table := answer.get("table")) is None or (head := await _head(answer, texts)).size <= MOST_SHOWN:
        shown["answer"] = await load_answer(answer, texts)
    else:
        objects = await asyncio.to_thread(_objects, head, await texts.get(table["batches"][0]))
        objects = objects[: max(1, min(len(objects), _SHOWN_ROWS))]
        shown |= {"answer": objects, "rows": head.rows, "shown_rows": len(objects), "digest": head.digest}
    return {**shown, "files": [{**file} for file in files]} if (files := answer.get("files")) else shown


async def _head(answer: AnswerRef, texts: Texts) -> TableHead:
    return TableHead.from_json(await texts.get(answer["text"]))


async def load_answer(answer: AnswerRef, texts: Texts) -> Any:
    """Return a stored value, a table as a list of objects, a large one as `LargeTable`. Raises StoredDataDamaged."""
    return await _value(answer, await texts.get(answer["text"]), texts)


async def answer_or_damage(answer: AnswerRef, texts: Texts) -> Any:
    """Return a stored value, or a text that says in brackets how it is damaged."""
    text = await texts.get_or_damage(answer["text"])
    try:
        return await _value(answer, text, texts)
    except StoredDataDamaged as damaged:
        return f"[{damaged.message}]"
    except ValueError:
        # What says that it is damaged is not JSON.
        return text


async def _value(answer: AnswerRef, text: str, texts: Texts) -> Any:
    if (table := answer.get("table")) is None:
        return json.loads(text) if answer["typed"] else text
    head = TableHead.from_json(text)
    if head.size > MOST_LOADED:
        return _described(head)
    objects: list[dict[str, Any]] = []
    for name in table["batches"]:
        objects += await asyncio.to_thread(_objects, head, await texts.get(name))
    return objects


def _described(head: TableHead) -> LargeTable:
    columns = [{"name": column.name, "type": column.type} for column in head.columns]
    note = f"A table of {megabytes(head.size)} is not one value: -o FILE writes every row of it."
    return LargeTable({"table": {"columns": columns, "rows": head.rows, "bytes": head.size, "note": note}})


def _objects(head: TableHead, batch: str) -> list[dict[str, Any]]:
    return as_objects(head.columns, json.loads(batch))
