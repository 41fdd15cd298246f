"""Reads the index of an input, in the format of the host's `state/input/index.py`."""

import json
from typing import Any


def document_lines(index: bytes) -> "list[bytes]":
    """Return the lines of the documents, each with its places behind a tab."""
    end = index.find(b"\n\n")
    return index[: end if end >= 0 else None].splitlines()


def entry_of(line: bytes) -> "dict[str, Any]":
    """Return a document's `{"name", "start", "end", "chars", "meta"}` without parsing its places."""
    return json.loads(line.partition(b"\t")[0])
