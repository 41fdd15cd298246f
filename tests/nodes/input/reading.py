"""Reads a file by its reader in this process, as the reader process does it."""

import gc
import io
import time
from collections.abc import Callable

from durable_rlm.nodes.input.draft import Draft, ReadOptions, Skipped
from durable_rlm.nodes.input.formats import format_of
from durable_rlm.nodes.input.reading_task import Task, _text


def read(name: str, data: bytes, *, encoding: str = "", passwords: tuple[str, ...] = ()) -> list[Draft | Skipped]:
    """Return what the reader of the file's format yields. Raises Unusable."""
    form = format_of(name, data[: 64 << 10])
    if not form.reader:
        return list(_text(data, form, ReadOptions(encoding, passwords)))
    return list(Task(ReadOptions(encoding, passwords)).read(io.BytesIO(data), len(data), name, form))


def drafts(name: str, data: bytes, *, encoding: str = "", passwords: tuple[str, ...] = ()) -> list[Draft]:
    """Return the documents of a file."""
    return [one for one in read(name, data, encoding=encoding, passwords=passwords) if isinstance(one, Draft)]


def only(name: str, data: bytes, *, encoding: str = "", passwords: tuple[str, ...] = ()) -> Draft:
    """Return the one document of a file."""
    [one] = drafts(name, data, encoding=encoding, passwords=passwords)
    return one


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of some work, without collections of what all other tests have left."""
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        work()
        return time.process_time() - start
    finally:
        gc.enable()
