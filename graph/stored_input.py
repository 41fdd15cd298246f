"""Reads a run's input as it was stored, for `rlm show --input` and `--document`."""

import asyncio
from typing import Any

from ..nodes.input.stored import document_of, files_of
from ..nodes.runtime.dependencies import Stores
from ..state.errors import UsageError
from ..state.settings import saved_settings
from ..state.threads import Thread
from .survey import with_cost

Range = tuple[int, int]


async def input_files(stores: Stores, row: Thread) -> list[dict[str, Any]]:
    """Return the files of a run's input as `rlm input --json` prints them. Raises StoredDataDamaged."""
    settings = saved_settings(row.start.get("settings", {}))
    reports = await asyncio.to_thread(files_of, row.start.get("context_ref"), stores.blobs)
    return [with_cost(one, settings) for one in reports]


async def input_document(
    stores: Stores, row: Thread, name: str, lines: Range | None = None, page: int | None = None
) -> dict[str, Any]:
    """Return one document of a run's input: `name`, `meta`, `text`, and the `lines` or the `page` that it is.

    `lines`: the first and the last line, from 1. Raises UsageError for a document, a line or a page that there is not,
    StoredDataDamaged.
    """

    def read() -> dict[str, Any]:
        document = document_of(row.start.get("context_ref"), stores.blobs, name)
        try:
            text = _text(document, lines, page)
        except LookupError as error:
            raise UsageError(f"{document.name}: {error.args[0]}.") from error
        return {"name": document.name, "meta": document.meta, "lines": lines, "page": page, "text": text}

    return await asyncio.to_thread(read)


def _text(document: Any, lines: Range | None, page: int | None) -> str:
    if page is not None:
        return str(document.page(page))
    return document.lines(*lines) if lines else document.text
