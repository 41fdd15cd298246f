"""Stores a run's input, given as a text, as paths or on standard input."""

import asyncio
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from ..kernel.confined import OpenPrograms
from ..nodes.input.draft import ReadOptions
from ..nodes.input.extract_cache import CachingExtractor
from ..nodes.input.extraction import Extractor
from ..nodes.input.ingest import ReadSoFar, ingest
from ..nodes.input.paths import expand
from ..nodes.input.reader_pool import ReaderPool
from ..nodes.input.source import from_text
from ..nodes.models.tokens import estimate_tokens
from ..nodes.runtime.dependencies import Dependencies
from ..nodes.runtime.events import InputEvent, OnEvent
from ..state.call_keys import digest
from ..state.errors import HomeFull
from ..state.home_size import HomeLimit
from ..state.input.context import ContextRef
from ..state.input.extracts import FOLDER, Extracts
from ..state.input.options import passwords_at
from ..state.settings import RunSettings

Given: TypeAlias = str | Path | Sequence[str | Path]
"""An input: a text (str), a path (Path), several paths, globs or `-` for stdin (a list)."""

T = TypeVar("T")


async def store_input(
    given: Given, deps: Dependencies, settings: RunSettings, on_event: OnEvent, agreed: threading.Event | None = None
) -> ContextRef:
    """Read the input into the store, as the settings say, and report `input` events. Stops when cancelled.

    `agreed` is set by the caller once the input is to be kept. Raises InputError for an input that cannot be used,
    StoreError when it cannot be written, HomeFull when the home would exceed its limit; nothing of it is kept then.
    """
    stores = deps.stores
    limit = HomeLimit(stores.size, settings.max_home_size)
    await limit.known()
    extracts = Extracts(stores.home / FOLDER, limit)
    stop = threading.Event()
    loop = asyncio.get_running_loop()
    options = read_options(settings)

    def progress(so_far: ReadSoFar) -> None:
        event: InputEvent = {"event": "input", "done": False, **asdict(so_far)}  # pyright: ignore[reportAssignmentType]
        loop.call_soon_threadsafe(on_event, event)

    def work() -> ContextRef:
        sources = (
            from_text(given)
            if isinstance(given, str)
            else expand(_paths(given), exclude=[stores.home], hidden=settings.hidden, cancelled=stop.is_set)
        )
        with open_extractor(deps.open_programs, settings, stores.home, extracts) as extractor:
            return ingest(
                sources,
                stores.blobs.within(limit, "The input"),
                extractor,
                options=options,
                tokens=estimate_tokens,
                progress=progress,
                cancelled=stop.is_set,
                agreed=agreed,
            )

    try:
        reference = await _in_thread_of_its_own(work)
    except HomeFull:
        await asyncio.to_thread(extracts.take_back)
        raise
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


def read_options(settings: RunSettings) -> ReadOptions:
    """Return the options for readers, with the passwords. Raises InputError for a password that is not there."""
    return ReadOptions(settings.encoding, passwords_at(settings.password))


@contextmanager
def open_extractor(
    open_programs: OpenPrograms, settings: RunSettings, home: Path, extracts: Extracts | None
) -> Generator[Extractor]:
    """Open the readers of documents, which do not see `home`, and close them at the end, in the same thread.

    Extracted texts are taken from `extracts`, and kept there; with None they are neither.
    """
    with closing(ReaderPool(open_programs, sandboxed=not settings.unsandboxed, hidden=[home])) as pool:
        yield CachingExtractor(pool, extracts) if extracts else pool


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
