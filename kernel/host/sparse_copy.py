"""Copies the parts of an input that a sub-RLM was given into a file that contains nothing else of it.

The file is as long as the whole input and has holes in place of the rest, so that offsets stay valid; it takes the
disk space of its parts only.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...state.input.index import document_lines, entry_of

_BLOCK = 8 << 20

Range = tuple[int, int]
"""The first byte, and the one after the last."""


def copy_parts(whole: Path, ranges: Iterable[Range], to: Path) -> None:
    """Create `to` with these ranges of `whole`. Raises OSError."""
    with whole.open("rb") as source, to.open("xb") as target:
        os.ftruncate(target.fileno(), os.fstat(source.fileno()).st_size)
        for start, end in ranges:
            while start < end:
                block = os.pread(source.fileno(), min(end - start, _BLOCK), start)
                if not block:
                    raise OSError(f"the stored input {whole} was cut short")
                os.pwrite(target.fileno(), block, start)
                start += len(block)


def handed_ranges(setup: dict[str, Any]) -> list[Range]:
    """Return the ranges of its pack that a kernel was given (`session.KernelSpec.setup`), in order.

    Raises OSError, ValueError.
    """
    if not setup["index"]:
        return [(setup["start"], setup["end"])]
    index = Path(setup["index"]).read_bytes()
    return list(_merged(sorted((entry["start"], entry["end"]) for entry in map(entry_of, document_lines(index)))))


def _merged(ranges: Iterable[Range]) -> Iterator[Range]:
    first, last = 0, 0
    for start, end in ranges:
        if start > last:
            if first < last:
                yield first, last
            first = start
        last = max(last, end)
    if first < last:
        yield first, last
