"""Searches of inputs: an index is built once, by a process that ends with its search, and built again when damaged."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from durable_rlm.kernel.search import SearchInput, SearchQuery
from durable_rlm.kernel.session import ContextFiles
from durable_rlm.nodes.runtime import searching
from durable_rlm.nodes.runtime.events import IndexingEvent
from durable_rlm.nodes.runtime.searching import Searches
from durable_rlm.state.home_size import HomeLimit, HomeSize
from durable_rlm.state.input.context import ContextRef, no_context
from durable_rlm.state.search import fts5
from durable_rlm.state.search.build import PLACES, Source, build_file
from durable_rlm.state.search.errors import SearchUnavailable
from durable_rlm.state.search.files import IndexFiles, name_of
from durable_rlm.state.search.words import Engine
from tests.kernel.documents import draft_of, packed

PAYMENT = SearchQuery("payment", 5)


class Searched:
    """The searches of one home over one input, and the events that they sent."""

    def __init__(self, folder: Path, engine: Engine = "fts5") -> None:
        self.engine: Engine = engine
        pack, index = packed(folder / "input", [draft_of("a payment\n", name="a"), draft_of("nothing\n", name="b")])
        self.size = Path(pack).stat().st_size
        self.ref: ContextRef = {**no_context(), "kind": "documents", "pack": "p", "index": "i", "bytes": self.size}
        self.paths = ContextFiles(Path(pack), Path(index), 0, self.size)
        self.folder = folder / "search"
        self.all = Searches(self.folder)
        self.events: list[Mapping[str, Any]] = []

    def search(self) -> SearchInput:
        """Return the function that searches."""
        return self.all.of(self.ref, self.paths, self.events.append)

    @property
    def path(self) -> Path:
        """The file of the index."""
        return IndexFiles(self.folder).path(self.name, self.engine)

    @property
    def database(self) -> Path:
        """The database of the index."""
        return self.path / PLACES if self.engine == "tantivy" else self.path

    @property
    def name(self) -> str:
        """The name of the index."""
        return name_of("p", "i", 0, self.size)

    def build(self) -> None:
        """Build the index in this process, which is faster than in another one."""
        files = IndexFiles(self.folder)
        files.make()
        source = Source(str(self.paths.pack), str(self.paths.index), 0, self.size)
        build_file(self.path, files.partial(self.engine), source, self.name, lambda done: None, self.engine)


@pytest.fixture(params=["fts5", "tantivy"])
async def searched(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Searched]:
    if request.param == "tantivy":
        pytest.importorskip("tantivy")
    monkeypatch.setattr(searching, "is_available", lambda: request.param == "tantivy")
    found = Searched(tmp_path, request.param)
    yield found
    await found.all.close()


async def test_a_small_input_is_searched_without_a_file(searched: Searched) -> None:
    assert [hit.document for hit in await searched.search()(PAYMENT)] == [0]
    assert not searched.folder.exists() and not searched.events


@pytest.mark.processes
async def test_the_index_of_a_larger_input_is_built_once_by_a_process_and_kept(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "_SMALL", 0)
    monkeypatch.setattr(searching, "_LONG", 0)
    both = await asyncio.gather(searched.search()(PAYMENT), searched.search()(PAYMENT))
    assert both[0] == both[1] and len(both[0]) == 1
    assert [one.name for one in searched.folder.iterdir()] == [searched.path.name]
    [begun, *_, ended] = searched.events
    assert begun == {"event": "indexing", "bytes": 0, "of_bytes": 18, "seconds": begun["seconds"], "done": False}
    assert ended == {**begun, "bytes": 18, "seconds": ended["seconds"], "done": True}
    assert ended["seconds"] > begun["seconds"]
    TypeAdapter[Any](IndexingEvent).validate_python(ended, strict=True)
    number = len(searched.events)
    other = Searches(searched.folder)
    assert await other.of(searched.ref, searched.paths, searched.events.append)(PAYMENT) == both[0]
    assert len(searched.events) == number
    await other.close()


async def test_without_fts5_small_inputs_are_searched_with_tantivy_or_refused(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def build(path: Path, source: Source, name: str, engine: Engine, report: object) -> None:
        searched.build()

    monkeypatch.setattr(searched.all, "_build", build)
    monkeypatch.setattr(fts5, "TOKENIZE", "no_tokenizer_of_this_name")
    if searched.engine == "tantivy":
        assert len(await searched.search()(PAYMENT)) == 1
    else:
        with pytest.raises(SearchUnavailable, match="has no full-text search"):
            await searched.search()(PAYMENT)


@pytest.mark.processes
async def test_a_build_is_killed_with_its_search_and_leaves_nothing(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "_SMALL", 0)
    started: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def noted(*args: Any, **more: Any) -> asyncio.subprocess.Process:
        started.append(await start("sleep", "100", **more))
        return started[0]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    work = asyncio.create_task(searched.search()(PAYMENT))  # type: ignore[arg-type]
    while not started:
        await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert started[0].returncode == -9 and list(searched.folder.iterdir()) == []


@pytest.mark.processes
async def test_a_build_that_is_killed_is_an_error_leaves_nothing_and_is_made_by_the_next_search(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "_SMALL", 0)
    with monkeypatch.context() as patched:
        # It has written some of the index when it dies.
        script = "import os, sys; open(sys.argv[1], 'w').write('half'); os.kill(os.getpid(), 9)"

        def command(path: Path, partial: Path, *_: object) -> list[str]:
            return [sys.executable, "-c", script, str(partial / "half" if partial.is_dir() else partial)]

        patched.setattr(searching, "command", command)
        with pytest.raises(SearchUnavailable, match="could not be built: status -9"):
            await searched.search()(PAYMENT)
    assert list(searched.folder.iterdir()) == []
    assert len(await searched.search()(PAYMENT)) == 1


@pytest.mark.processes
async def test_two_programs_that_build_the_same_index_at_once_both_find_and_keep_one(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "_SMALL", 0)
    other = Searches(searched.folder)
    both = [searched.search(), other.of(searched.ref, searched.paths, searched.events.append)]
    found = await asyncio.gather(*(search(PAYMENT) for search in both))
    assert found[0] == found[1] and len(found[0]) == 1
    assert list(searched.folder.iterdir()) == [searched.path]
    await other.close()


@pytest.mark.processes
async def test_progress_is_reported_at_most_twice_a_second_and_a_failure_as_such(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(1000))
    monkeypatch.setattr(searching, "_SMALL", 0)
    monkeypatch.setattr(searching, "_LONG", 0)
    monkeypatch.setattr(searching, "monotonic", lambda: next(now) / 10)
    script = "import sys; print(*range(6), 'no space left', *range(6, 10), sep=chr(10)); sys.exit(1)"

    def command(*_: object) -> list[str]:
        return [sys.executable, "-c", script]

    monkeypatch.setattr(searching, "command", command)
    with pytest.raises(SearchUnavailable, match="could not be built: no space left"):
        await searched.search()(PAYMENT)
    assert [(event["bytes"], event["done"]) for event in searched.events] == [
        (0, False),
        (4, False),
        (9, False),
        (9, True),
    ]


async def test_a_damaged_index_is_built_again(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_SMALL", 0)

    async def build(path: Path, source: Source, name: str, engine: Engine, report: object) -> None:
        searched.build()

    monkeypatch.setattr(searched.all, "_build", build)
    searched.build()
    searched.database.write_bytes(b"damage" * 10_000)
    assert len(await searched.search()(PAYMENT)) == 1


async def test_an_index_that_is_damaged_each_time_is_an_error_in_words(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "_SMALL", 0)

    async def build(path: Path, source: Source, name: str, engine: Engine, report: object) -> None:
        searched.build()
        searched.database.write_bytes(b"damage" * 10_000)

    monkeypatch.setattr(searched.all, "_build", build)
    with pytest.raises(SearchUnavailable, match="also after it was built again"):
        await searched.search()(PAYMENT)


async def test_hits_outside_of_the_input_are_not_handed_on(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    searched.build()
    monkeypatch.setattr(searching, "_SMALL", 0)
    import sqlite3

    with sqlite3.connect(searched.database) as database:
        database.execute('UPDATE passages SET "end" = 1000 WHERE document = 0')
    database.close()
    assert await searched.search()(PAYMENT) == []


async def test_the_least_recently_used_indexes_are_closed(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_MOST_OPEN", 2)
    for number in range(5):
        ref: ContextRef = {**searched.ref, "pack": f"p{number}"}
        assert len(await searched.all.of(ref, searched.paths, searched.events.append)(PAYMENT)) == 1
    assert len(searched.all._open) == 2


async def test_no_index_is_built_that_the_home_has_no_room_for(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is there is used, and small inputs need none."""
    limit = HomeLimit(HomeSize(searched.folder.parent), 1)
    search = searched.all.of(searched.ref, searched.paths, searched.events.append, limit)
    assert len(await search(PAYMENT)) == 1
    await searched.all.close()
    monkeypatch.setattr(searching, "_SMALL", 0)
    with pytest.raises(SearchUnavailable, match="The home has no room for a search index"):
        await search(PAYMENT)
    searched.build()
    assert len(await search(PAYMENT)) == 1
