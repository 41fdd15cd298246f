"""Garbage collection: unreferenced data is freed, and data that any process may need is kept, whenever it runs."""

import asyncio
import io
import os
import random
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from durable_rlm.state.blobs.snapshots import LARGE, Group, Groups, Snapshots
from durable_rlm.state.blobs.store import Blobs, content_hash
from durable_rlm.state.blobs.texts import Texts
from durable_rlm.state.call_journal import Journal
from durable_rlm.state.call_records import Entry, Outcome
from durable_rlm.state.checkpointer import RunSaver
from durable_rlm.state.db.connection import Database
from durable_rlm.state.db.home_id import id_in
from durable_rlm.state.errors import StoredDataDamaged
from durable_rlm.state.input.extracts import FOLDER, KEPT_SECONDS, Extracts
from durable_rlm.state.leases import Leases
from durable_rlm.state.maintenance.gc import GRACE, Collected, collect
from durable_rlm.state.reservations import Reservation
from durable_rlm.state.search.files import FOLDER as SEARCH
from durable_rlm.state.search.files import IndexFiles
from tests.clock import Clock
from tests.damage import change, leaves, spoil_page

NOW = 2_000_000_000.0
LONG_AGO = NOW - 10 * GRACE


def group(name: str, *chunks: bytes) -> Group:
    hashes = [content_hash(chunk) for chunk in chunks]
    return Group(id=name, names=[name], chunks=hashes, lost={}, about=[], form="{}")


@dataclass
class Home:
    """Stores with a fixed clock, over a file that can be closed and opened again."""

    folder: Path
    clock: Clock
    database: Database
    home_id: str | None

    def __post_init__(self) -> None:
        self.blobs = Blobs(self.folder / "blobs", home_id=self.home_id)
        self.texts = Texts(self.database, self.blobs, self.clock)
        self.snapshots = Snapshots(self.database, self.blobs, self.clock)
        self.journal = Journal(self.database, self.clock)
        self.leases = Leases(self.database, self.clock)
        self.saver = RunSaver(self.database, self.leases, self.clock)

    async def text(self, text: str) -> str:
        name = await self.texts.put(text)
        await self.database.commit(lambda _: None)
        self.age()
        return name

    async def cut(self, text: str, pack: str) -> str:
        """Save a text that is part of the blob `pack`."""
        name = await self.texts.put(text, pack)
        await self.database.commit(lambda _: None)
        self.age()
        return name

    async def snapshot(self, base: str | None, before: Groups, *chunks: bytes, others: int = 0) -> tuple[str, Groups]:
        """Save the variable `x`; with `others` beside it, the next snapshot is stored as a change to this one."""
        changed = [group("x", *chunks), *(group(f"other {number}") for number in range(others))]
        saved = await self.snapshots.save(base, before, changed, [], chunks)
        await self.database.commit(lambda _: None)
        self.age()
        return saved

    async def checkpoint(self, thread: str, **values: object) -> None:
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = dict(values)
        place = {"thread_id": thread, "checkpoint_ns": ""}
        await self.saver.aput({"configurable": place}, checkpoint, {"source": "loop", "step": 0, "parents": {}}, {})

    def age(self) -> None:
        """Set the modification times of files just written to the clock, as rows have it."""
        for path in (self.folder / "blobs").rglob("*"):
            if path.stat().st_mtime < LONG_AGO - GRACE:
                os.utime(path, (self.clock.now, self.clock.now))

    def collect(self, **options: object) -> Collected:
        return collect(self.folder / "checkpoints.sqlite", self.blobs, clock=self.clock, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[Home]:
    """A home that this process has open for the length of the block."""
    async with Database.open(folder / "checkpoints.sqlite") as database:
        yield Home(folder, Clock(LONG_AGO), database, await database.look(id_in))


@pytest.fixture
async def home(tmp_path: Path) -> AsyncGenerator[Home]:
    async with opened(tmp_path) as home:
        yield home


def names(folder: Path, table: str) -> set[str]:
    with closing(sqlite3.connect(folder / "checkpoints.sqlite")) as connection:
        return {row[0] for row in connection.execute(f"SELECT hash FROM {table}")}


def freed(collected: Collected) -> dict[str, int]:
    return {kind: tally.records for kind, tally in collected.freed.items() if tally.records}


async def test_unreferenced_data_is_freed(home: Home) -> None:
    small, large = await home.text("small"), await home.text("large" * LARGE)
    await home.snapshot(None, {}, b"piece", b"large piece" * LARGE)
    home.clock.now = NOW
    collected = home.collect()
    assert freed(collected) == {"texts": 1, "snapshots": 1, "pieces": 1, "blobs": 2}
    assert collected.freed["texts"].bytes == 5 and collected.freed["blobs"].bytes == 16 * LARGE
    assert names(home.folder, "texts") == names(home.folder, "chunks") == names(home.folder, "manifests") == set()
    assert not home.blobs.has(large) and small not in names(home.folder, "texts")


async def test_referenced_data_is_kept(home: Home) -> None:
    """References are in calls, checkpoints, writes, starts of runs and snapshots."""
    prompt, answer = await home.text("prompt"), await home.text("answer")
    entry = Entry("1:a:1", "llm", 1, 0, "m", prompt, Reservation(1, 1, None))
    journal = await home.journal.of("t")
    await journal.open(entry)
    await journal.settle(entry, Outcome(answer=answer))
    output, reply, pack = await home.text("output" * LARGE), await home.text("reply"), home.blobs.put(b"pack")
    first, groups = await home.snapshot(None, {}, b"one", b"large" * LARGE, others=5)
    second, _ = await home.snapshot(first, groups, b"one", b"two")
    await home.checkpoint("t", turns=[{"number": 1, "output": output, "snapshot": second}])
    place = {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c"}
    await home.saver.aput_writes({"configurable": place}, [("turns", [{"number": 2, "reply": reply}])], "task")
    await home.database.commit(
        lambda connection: connection.execute(
            "INSERT INTO threads (thread_id, question, input, start, model, limits, status, created, updated) "
            "VALUES ('t', '', '', json_object('context_ref', json_object('pack', ?)), '', '{}', 'stopped', 0, 0)",
            (pack,),
        )
    )
    home.age()
    loose = await home.text("loose")
    home.clock.now = NOW
    assert freed(home.collect()) == {"texts": 1}
    assert names(home.folder, "texts") == {prompt, answer, reply}
    assert names(home.folder, "manifests") == {first, second}
    assert names(home.folder, "chunks") == {content_hash(b"one"), content_hash(b"two")}
    assert home.blobs.has(output) and home.blobs.has(pack) and home.blobs.has(content_hash(b"large" * LARGE))
    assert loose not in names(home.folder, "texts")


async def test_the_input_of_a_needed_or_recent_text_is_kept(home: Home) -> None:
    packs = [home.blobs.put(random.Random(number).randbytes(4_000).hex().encode()) for number in range(3)]
    home.age()
    needed, loose = [await home.cut(home.blobs.read(pack)[100:5_000].decode(), pack) for pack in packs[:2]]
    await home.checkpoint("t", final={"text": needed, "typed": False})
    home.clock.now = NOW
    recent = await home.cut(home.blobs.read(packs[2])[100:5_000].decode(), packs[2])
    assert names(home.folder, "recipes") == {needed, loose, recent}
    assert freed(home.collect()) == {"recipes": 1, "blobs": 1}
    assert names(home.folder, "recipes") == {needed, recent}
    assert [home.blobs.has(pack) for pack in packs] == [True, False, True]
    assert await Texts(home.database, home.blobs).get(needed) == home.blobs.read(packs[0])[100:5_000].decode()


async def test_a_text_whose_old_input_is_freed_can_be_cut_from_another_meanwhile(home: Home) -> None:
    text = random.Random(1).randbytes(2_000).hex()
    first, second = (home.blobs.put(f"{number}{text}".encode()) for number in range(2))
    home.age()
    name = await home.cut(text, first)
    await home.checkpoint("t", context_ref={"pack": second, "index": ""})
    home.clock.now = NOW

    def failpoint(point: str) -> None:
        if point == "gc-looked":
            asyncio.run_coroutine_threadsafe(home.cut(text, second), loop).result(10)

    loop = asyncio.get_running_loop()
    assert freed(await asyncio.to_thread(home.collect, failpoint=failpoint)) == {"blobs": 1}
    assert not home.blobs.has(first)
    assert await Texts(home.database, home.blobs).get(name) == text


async def test_nothing_is_freed_while_the_recipe_of_a_needed_text_cannot_be_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        text = random.Random(1).randbytes(2_000).hex()
        pack = home.blobs.put(text.encode())
        name = await home.cut(text[100:], pack)
        await home.checkpoint("t", final={"text": name, "typed": False})
    home.clock.now = NOW
    other = "0" * len(pack)
    change(tmp_path, "UPDATE recipes SET body = replace(CAST(body AS TEXT), ?, ?)", pack, other)
    collected = home.collect()
    assert list(collected.unreadable) == ["*"] and freed(collected) == {} and home.blobs.has(pack)
    change(tmp_path, "DELETE FROM checkpoints")
    assert freed(home.collect()) == {"recipes": 1, "blobs": 1}


async def test_beside_other_processes_recently_touched_data_is_kept(home: Home) -> None:
    home.clock.now = NOW
    lately = await home.text("lately"), await home.text("lately too" * LARGE)
    collected = home.collect()
    assert freed(collected) == {} and collected.recent.records == 2
    assert lately[0] in names(home.folder, "texts") and home.blobs.has(lately[1])
    home.clock.now += GRACE + 1
    assert freed(home.collect()) == {"texts": 1, "blobs": 1}


async def test_old_parts_of_a_recent_snapshot_are_kept(home: Home) -> None:
    """A live kernel's next snapshot builds on its last one, though no step refers to that yet."""
    base, groups = await home.snapshot(None, {}, b"old", others=5)
    home.clock.now = NOW
    await home.snapshot(base, groups, b"old", b"new")
    assert freed(home.collect()) == {}
    assert names(home.folder, "chunks") == {content_hash(b"old"), content_hash(b"new")}


async def test_data_touched_since_the_start_of_the_oldest_running_process_is_kept(home: Home) -> None:
    """A cell may wait at a call for hours, while no step refers to the snapshot that its kernel was rebuilt from."""
    await home.leases.acquire("t")
    started = "UPDATE leases SET owner = json_set(owner, '$.started', ?)"
    await home.database.commit(lambda connection: connection.execute(started, (LONG_AGO - 1,)))
    await home.text("since then")
    home.clock.now = NOW
    assert freed(home.collect()) == {}
    await home.leases.release("t")
    assert freed(home.collect()) == {"texts": 1}


async def test_without_other_processes_recent_data_is_freed(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        home.clock.now = NOW
        await home.text("a moment ago")
        await home.text("a moment ago, too" * LARGE)
    home.clock.now += 1
    assert freed(home.collect()) == {"texts": 1, "blobs": 1}


async def test_data_touched_during_collection_is_kept(home: Home) -> None:
    small, large = await home.text("small"), await home.text("large" * LARGE)
    manifest, _ = await home.snapshot(None, {}, b"piece")
    home.clock.now = NOW

    def failpoint(point: str) -> None:
        if point == "gc-looked":
            with closing(sqlite3.connect(home.folder / "checkpoints.sqlite")) as other:
                for table in ("texts", "chunks", "manifests"):
                    other.execute(f"UPDATE {table} SET touched = ?", (NOW,))
                other.commit()
            assert home.blobs.touch(large)

    assert freed(home.collect(failpoint=failpoint)) == {}
    assert names(home.folder, "texts") == {small} and names(home.folder, "manifests") == {manifest}
    assert home.blobs.has(large)


async def test_data_written_during_collection_is_kept(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        await home.text("old")
    home.clock.now = NOW
    name = content_hash(b"new")

    def failpoint(point: str) -> None:
        with closing(sqlite3.connect(tmp_path / "checkpoints.sqlite")) as other:
            # By a process whose clock was set back.
            other.execute("INSERT OR IGNORE INTO texts (hash, body, touched) VALUES (?, 'new', 0)", (name,))
            other.commit()

    assert freed(home.collect(failpoint=failpoint)) == {"texts": 1}
    assert names(tmp_path, "texts") == {name}


async def test_nothing_is_freed_while_a_referring_record_cannot_be_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        text = await home.text("needed perhaps")
        await home.checkpoint("hurt", final={"text": text, "typed": False})
        await home.checkpoint("other")
        await home.text("large" * LARGE)
    (tmp_path / "blobs" / ".partial-0").touch()
    home.clock.now = NOW
    change(tmp_path, "UPDATE checkpoints SET checkpoint = x'80' WHERE thread_id = 'hurt'")
    collected = home.collect()
    assert list(collected.unreadable) == ["hurt"] and "checkpoints" in collected.unreadable["hurt"]
    assert freed(collected) == {"leftovers": 1} and text in names(tmp_path, "texts")
    change(tmp_path, "DELETE FROM checkpoints WHERE thread_id = 'hurt'")
    assert freed(home.collect()) == {"texts": 1, "blobs": 1}


async def test_nothing_is_freed_while_a_page_cannot_be_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        for number in range(30):
            await home.checkpoint(f"run {number}", question="x" * 1_000)
        await home.text("needed perhaps")
    home.clock.now = NOW
    pages = leaves(tmp_path, "checkpoints")
    spoil_page(tmp_path, pages[len(pages) // 2])
    collected = home.collect()
    assert list(collected.unreadable) == ["*"] and freed(collected) == {}
    assert len(names(tmp_path, "texts")) == 1


async def test_nothing_is_freed_while_a_snapshot_cannot_be_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        base, groups = await home.snapshot(None, {}, b"one", others=5)
        manifest, _ = await home.snapshot(base, groups, b"one", b"two")
        await home.checkpoint("t", edits=[{"values": {}, "position": "", "snapshot": manifest}])
    home.clock.now = NOW
    change(tmp_path, "UPDATE manifests SET hash = ? WHERE hash = ?", "0" * 64, base)
    collected = home.collect()
    assert list(collected.unreadable) == ["t"] and freed(collected) == {}
    assert {content_hash(b"one"), content_hash(b"two")} <= names(tmp_path, "chunks")


async def test_a_dry_run_reports_and_frees_nothing(home: Home) -> None:
    for text in ("small", "large" * LARGE):
        await home.text(text)
    home.clock.now = NOW
    planned = home.collect(dry_run=True)
    assert planned.dry_run and freed(planned) == {"texts": 1, "blobs": 1} and len(names(home.folder, "texts")) == 1
    again = home.collect()
    assert again.freed == planned.freed


async def test_partial_files_of_dead_writers_are_freed_and_those_of_living_ones_kept(home: Home) -> None:
    with home.blobs.writer() as living:
        living.write(b"a slow input")
        (home.folder / "blobs" / ".partial-dead").write_bytes(b"half of it")
        home.age()
        for path in (home.folder / "blobs").iterdir():
            os.utime(path, (LONG_AGO, LONG_AGO))
        home.clock.now = NOW
        collected = home.collect()
        assert freed(collected) == {"leftovers": 1} and collected.freed["leftovers"].bytes == 10
        name = living.commit()
    assert home.blobs.read(name) == b"a slow input"


@pytest.mark.parametrize("beside", ["no database", "an empty one", "of another home"])
async def test_blobs_beside_a_database_that_does_not_know_them_are_kept(beside: str, tmp_path: Path) -> None:
    async with opened(tmp_path / "old") as home:
        needed = await home.text("needed" * LARGE)
    database = tmp_path / "old" / "checkpoints.sqlite"
    for path in (tmp_path / "old").glob("checkpoints.sqlite*"):
        path.unlink()
    if beside == "of another home":
        async with opened(tmp_path / "new") as other:
            await other.checkpoint("t", note=await other.text("another" * LARGE))
        database.write_bytes((tmp_path / "new" / "checkpoints.sqlite").read_bytes())
    elif beside == "an empty one":
        database.touch()
    if beside == "of another home":
        async with opened(tmp_path / "old") as home:
            home.clock.now = NOW
            collected = home.collect()
        assert freed(collected) == {} and collected.foreign.records == 1
    else:
        with pytest.raises(StoredDataDamaged, match="is empty, although runs were saved"):
            async with opened(tmp_path / "old"):
                pass
    assert home.blobs.read(needed) == b"needed" * LARGE


@pytest.mark.parametrize("needed", [True, False])
async def test_blobs_of_an_earlier_version_are_known_by_one_that_is_needed(needed: bool, home: Home) -> None:
    kept, loose = await home.text("kept" * LARGE), await home.text("loose" * LARGE)
    # Earlier versions wrote no note into the folder.
    (home.folder / "blobs" / ".home").unlink()
    if needed:
        await home.checkpoint("t", note=kept)
    home.clock.now = NOW
    assert freed(home.collect()) == ({"blobs": 1} if needed else {})
    assert home.blobs.has(loose) != needed


async def test_files_that_are_not_blobs_are_ignored(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        pass
    strangers = [tmp_path / "blobs" / "README", tmp_path / "blobs" / "ab" / "note", tmp_path / "x.sqlite"]
    for path in strangers:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        os.utime(path, (LONG_AGO, LONG_AGO))
    home.clock.now = NOW
    assert freed(home.collect()) == {} and all(path.exists() for path in strangers)


async def test_freed_space_is_returned_to_the_file_system(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        for number in range(100):
            await home.text(f"{number}" * 20_000)
    home.clock.now = NOW
    collected = home.collect()
    assert collected.file_after < collected.file_before / 10
    assert (tmp_path / "checkpoints.sqlite").stat().st_size == collected.file_after


async def test_a_file_of_the_first_format_is_rewritten_when_that_saves_enough(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE texts (hash TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID")
        rows = ((content_hash(b"%d" % number), b"%d" % number * 100_000) for number in range(100))
        connection.executemany("INSERT INTO texts VALUES (?, ?)", rows)
        connection.commit()
    async with Database.open(path):
        pass
    collected = collect(path, Blobs(tmp_path / "blobs"))
    assert freed(collected) == {"texts": 100} and collected.file_after < collected.file_before / 10


async def test_extracted_texts_are_freed_after_thirty_days_without_use_or_when_asked(home: Home) -> None:
    extracts = Extracts(home.folder / FOLDER)
    extracts.keep("ab" * 32, io.BytesIO(b"text"), io.BytesIO(b"{}"))
    files = [path for path in extracts.folder.rglob("*") if path.is_file()]
    for path in files:
        os.utime(path, (NOW, NOW))
    home.clock.now = NOW + KEPT_SECONDS - 1
    assert freed(home.collect()) == {}
    home.clock.now += 1
    assert freed(home.collect(dry_run=True)) == {"extracted": 2} and all(path.exists() for path in files)
    assert freed(home.collect()) == {"extracted": 2} and not any(path.exists() for path in files)


async def test_search_indexes_are_freed_after_thirty_days_without_use_and_leftovers_after_an_hour(home: Home) -> None:
    indexes = IndexFiles(home.folder / SEARCH)
    indexes.make()
    index, partial = indexes.path("ab" * 32), indexes.partial()
    index.write_bytes(b"index")
    for path in (index, partial):
        os.utime(path, (NOW, NOW))
    home.clock.now = NOW + 3599
    assert freed(home.collect()) == {}
    home.clock.now = NOW + 3600
    assert freed(home.collect()) == {"search": 1} and not partial.exists() and index.exists()
    home.clock.now = NOW + KEPT_SECONDS - 1
    assert freed(home.collect()) == {}
    home.clock.now += 1
    assert freed(home.collect(dry_run=True)) == {"search": 1} and index.exists()
    assert freed(home.collect()) == {"search": 1} and not index.exists()


async def test_folders_of_search_indexes_are_freed_like_files(home: Home) -> None:
    indexes = IndexFiles(home.folder / SEARCH)
    indexes.make()
    index = indexes.path("ab" * 32, "tantivy")
    index.mkdir()
    for folder in (index, indexes.partial("tantivy")):
        (folder / "words").write_bytes(b"words")
        os.utime(folder, (NOW, NOW))
    home.clock.now = NOW + 3600
    assert freed(home.collect()) == {"search": 1} and list(indexes.folder.iterdir()) == [index]
    home.clock.now = NOW + KEPT_SECONDS
    collected = home.collect()
    assert freed(collected) == {"search": 1} and collected.freed["search"].bytes > 5
    assert list(indexes.folder.iterdir()) == []


async def test_the_words_of_calls_are_freed_after_thirty_days_without_a_search(home: Home) -> None:
    files = [home.folder / f"search.sqlite{end}" for end in ("", "-wal")]
    for path in files:
        path.write_bytes(b"words")
        os.utime(path, (NOW, NOW))
    home.clock.now = NOW + KEPT_SECONDS - 1
    assert freed(home.collect()) == {}
    home.clock.now += 1
    assert freed(home.collect(dry_run=True)) == {"search": 2} and all(path.exists() for path in files)
    assert freed(home.collect()) == {"search": 2} and not any(path.exists() for path in files)
