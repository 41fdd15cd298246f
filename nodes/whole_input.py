"""The text of a run's input, read whole: for what is given to a model at once, never for what is large."""

import json
from pathlib import Path

from ..state.blobs.store import Blobs
from ..state.input.context import ContextRef, context_files

Documents = list[tuple[str, str]]
"""Names and texts, in order."""


def whole_input(reference: ContextRef, blobs: Blobs) -> Documents:
    """The documents of an input; one without a name for a text, none where there is none.

    Reads all of it: call it in a thread. Raises StoredDataDamaged.
    """
    if reference["kind"] == "none":
        return []
    pack, index, start, end = context_files(reference, blobs)
    if index is None:
        return [("", _text(pack, start, end))]
    lines = [json.loads(line) for line in index.read_bytes().splitlines()]
    return [(str(line["name"]), _text(pack, line["start"], line["end"])) for line in lines]


def _text(pack: Path, start: int, end: int) -> str:
    with pack.open("rb") as file:
        file.seek(start)
        return file.read(end - start).decode()
