"""Reads a run's input as it was stored, for `rlm show --input` and `--document`."""

import asyncio
from typing import Any

from ..nodes.input.stored import document_of, files_of
from ..nodes.models.pricing import cost_usd
from ..state.errors import UsageError
from ..state.input.index import FileReport
from ..state.settings import RunSettings, saved_settings
from ..state.stores import Stores
from ..state.threads import Thread

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


def with_cost(report: FileReport, settings: RunSettings) -> dict[str, Any]:
    """Return a report with the dollars that the sub-model takes for reading it once; None when that is not known."""
    spec = settings.sub_spec
    cost = cost_usd(spec.name, report["tokens"], 0, price=spec.price) if spec.name else None
    return {**report, "cost_usd": cost}
