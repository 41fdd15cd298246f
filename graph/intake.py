"""Stores a run's input, given as a text, as paths or on standard input."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from ..nodes.input.in_process import InProcessExtractor
from ..nodes.input.ingest import ingest
from ..nodes.input.paths import expand
from ..nodes.input.source import from_text
from ..nodes.runtime.dependencies import Stores
from ..nodes.runtime.events import InputEvent, OnEvent
from ..state.call_keys import digest
from ..state.input.context import ContextRef

Given: TypeAlias = str | Path | Sequence[str | Path]
"""An input: a text (str), a path (Path), several paths, globs or `-` for stdin (a list)."""

T = TypeVar("T")


async def store_input(
    given: Given, stores: Stores, on_event: OnEvent, agreed: threading.Event | None = None
) -> ContextRef:
    """Read the input into the store and report `input` events. Stops when cancelled.

    `agreed` is set by the caller once the input is to be kept. Raises InputError for an input that cannot be used,
    StoreError when it cannot be written.
    """
    stop = threading.Event()
    loop = asyncio.get_running_loop()

    def progress(documents: int, size: int, name: str) -> None:
        event: InputEvent = {"event": "input", "documents": documents, "bytes": size, "name": name, "done": False}
        loop.call_soon_threadsafe(on_event, event)

    def work() -> ContextRef:
        sources = (
            from_text(given)
            if isinstance(given, str)
            else expand(_paths(given), exclude=[stores.home], cancelled=stop.is_set)
        )
        return ingest(
            sources, stores.blobs, InProcessExtractor(), progress=progress, cancelled=stop.is_set, agreed=agreed
        )

    try:
        reference = await _in_thread_of_its_own(work)
    finally:
        # A thread cannot be cancelled, so this one polls a stop event.
        stop.set()
    on_event(
        {
            "event": "input",
            "documents": reference["documents"],
            "bytes": reference["bytes"],
            "name": "",
            "done": True,
            "notes": reference["notes"],
        }
    )
    return reference


async def _in_thread_of_its_own(work: Callable[[], T]) -> T:
    """Return the result of `work`.

    Not in a pool: a reader waits in its thread until models and kernels are ready, and one that is stuck in a document
    keeps its thread after its run has been stopped. Either would keep the threads of a pool from what other runs need.
    A daemon, so that the end of the program does not wait for it.
    """
    ended: Future[T] = Future()

    def run() -> None:
        if ended.set_running_or_notify_cancel():
            try:
                ended.set_result(work())
            except BaseException as error:
                ended.set_exception(error)

    threading.Thread(target=run, name="rlm-reader", daemon=True).start()
    return await asyncio.wrap_future(ended)


def from_stdin(given: Given | Mapping[str, Any] | None) -> bool:
    """Return whether the input is read from standard input, wholly or in part."""
    return isinstance(given, Sequence) and not isinstance(given, str) and "-" in map(str, given)


def input_digest(given: Given | None) -> str:
    """Return a digest that is the same for the same text, or for the same paths named from any folder."""
    if given is None or isinstance(given, str):
        return digest("text", given)
    return digest("paths", [path if path == "-" else str(Path(path).absolute()) for path in map(str, _paths(given))])


def _paths(given: Path | Sequence[str | Path]) -> list[str | Path]:
    return [given] if isinstance(given, Path) else list(given)
