"""Homes in trouble: read where they cannot be written, and refused in one sentence where they cannot be read."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import pytest

from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.blobs.texts import Texts
from durable_rlm.state.budget import Limits
from durable_rlm.state.db.connection import Database
from durable_rlm.state.db.reserve import RESERVE
from durable_rlm.state.db.schema import SCHEMA_VERSION
from durable_rlm.state.errors import RlmError, StoreError
from durable_rlm.state.threads import Threads

NAME = "checkpoints.sqlite"


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """A home with a run, closed by its only process."""
    home = tmp_path / "home"
    async with Database.open(home / NAME) as database:
        await add(database, "t")
    return home


async def add(database: Database, name: str) -> None:
    limits = Limits(max_turns=1, max_calls=1)
    await Threads(database).add(name, question="q", input_digest="", start={}, model="m", limits=limits)


async def runs(home: Path) -> list[str]:
    async with Database.open(home / NAME) as database:
        return [row.thread_id for row in await Threads(database).all()]


# -- homes that cannot be written


@pytest.fixture
def read_only(tmp_path: Path) -> Generator[Callable[[Path], Path]]:
    """Return a function that mounts a home read-only and returns where. Needs root in a mount namespace of its own."""
    mounted: list[Path] = []

    def mount(home: Path) -> Path:
        place = tmp_path / f"mounted{len(mounted)}"
        place.mkdir()
        for command in (("mount", "--bind", home, place), ("mount", "-o", "remount,bind,ro", place)):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no read-only mount can be made here: {done.stderr.strip()}")
            mounted[len(mounted) :] = [place] if command[1] == "--bind" else []
        return place

    yield mount
    for place in mounted:
        subprocess.run(("umount", place), check=True)


async def test_a_read_only_home_is_read_and_not_written(home: Path, read_only: Callable[[Path], Path]) -> None:
    place = read_only(home)
    async with Database.open(place / NAME) as database:
        assert [row.thread_id for row in await Threads(database).all()] == ["t"]
        with pytest.raises(StoreError, match="cannot be written"):
            await add(database, "other")
    assert sorted(path.name for path in home.iterdir()) == [".gitignore", "CACHEDIR.TAG", NAME, RESERVE]


async def test_a_read_only_home_beside_a_process_that_writes_it_is_read_as_of_now(
    home: Path, read_only: Callable[[Path], Path]
) -> None:
    place = read_only(home)
    async with Database.open(home / NAME) as database:
        await add(database, "new")
        assert sorted(await runs(place)) == ["new", "t"]


@pytest.mark.parametrize("beside", [("-wal",), ("-wal", "-shm")], ids=" ".join)
async def test_the_log_of_a_killed_process_in_a_read_only_home_is_read(
    home: Path, tmp_path: Path, read_only: Callable[[Path], Path], beside: tuple[str, ...]
) -> None:
    killed = tmp_path / "killed"
    killed.mkdir()
    async with Database.open(home / NAME) as database:
        await add(database, "late")
        for end in ("", *beside):
            shutil.copy(home / f"{NAME}{end}", killed / f"{NAME}{end}")
    assert sorted(await runs(read_only(killed))) == ["late", "t"]
    assert sorted(path.name for path in killed.iterdir()) == sorted(f"{NAME}{end}" for end in ("", *beside))


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
async def test_a_read_only_home_of_an_older_format_is_read_and_not_changed(
    tmp_path: Path, read_only: Callable[[Path], Path], version: int
) -> None:
    fixtures = Path(__file__).parents[1] / "fixtures/homes"
    home = Path(shutil.copytree(fixtures / f"format-{version}", tmp_path / "old"))
    before = (home / NAME).read_bytes()
    assert await runs(read_only(home)) == await runs(Path(shutil.copytree(home, tmp_path / "copy")))
    assert (home / NAME).read_bytes() == before


# -- homes that cannot be read


def replaced(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return a function that replaces the database by what `make` makes in its place."""

    def replace(home: Path) -> None:
        (home / NAME).unlink()
        make(home / NAME)

    return replace


def foreign(version: int, *tables: str) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version={version}")
            for table in tables:
                connection.execute(f"CREATE TABLE {table} (a)")
            connection.commit()

    return replaced(make)


def changed(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda home: (home / NAME).write_bytes(change((home / NAME).read_bytes()))


def a_file(home: Path) -> None:
    shutil.rmtree(home)
    home.write_text("not a folder")


def empty_with(name: str) -> Callable[[Path], object]:
    def make(home: Path) -> None:
        (home / NAME).write_bytes(b"")
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_bytes(b"saved")

    return make


TROUBLES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a home that is a file": (a_file, "it is a file, not a folder"),
    "a database that is a folder": (replaced(Path.mkdir), "is a folder, not a database"),
    "a text in its place": (replaced(lambda path: path.write_text("text " * 999)), "is not a database"),
    "a short text in its place": (replaced(lambda path: path.write_text("text")), "is not a database"),
    "the first half of a page": (changed(lambda data: data[:2048]), "is damaged"),
    "the first page": (changed(lambda data: data[:4096]), "is damaged"),
    "the first half": (changed(lambda data: data[: len(data) // 8192 * 4096]), "is damaged"),
    "zeros": (changed(lambda data: bytes(len(data))), "is not a database"),
    "a first page of zeros": (changed(lambda data: bytes(4096) + data[4096:]), "is not a database"),
    "a flipped header": (changed(lambda data: data[:1] + b"!" + data[2:]), "is not a database"),
    "nothing, beside blobs": (empty_with("blobs/ab"), "is empty, although runs were saved"),
    "nothing, beside a log": (empty_with(f"{NAME}-wal"), "is empty, although runs were saved"),
    "another program's database": (foreign(0, "places"), "not one of durable-rlm"),
    "another program's database with a version": (foreign(3, "places"), "not one of durable-rlm"),
    "another program's database with a high version": (foreign(77, "places"), "not one of durable-rlm"),
    "another program's threads": (foreign(0, "threads", "users"), "not one of durable-rlm"),
    "LangGraph's own": (foreign(0, "checkpoints", "writes"), "not one of durable-rlm"),
    "a version without tables": (foreign(2), "not one of durable-rlm"),
    "a newer format": (foreign(SCHEMA_VERSION + 1, "threads", "calls"), "was written by a newer durable-rlm"),
    "a log that is a folder": (lambda home: (home / f"{NAME}-wal").mkdir(), "cannot be written|cannot be read"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_home_that_cannot_be_used_is_refused_in_one_sentence_and_not_changed(home: Path, trouble: str) -> None:
    make, words = TROUBLES[trouble]
    make(home)
    before = contents(home)
    with pytest.raises(RlmError, match=words) as refused:
        await runs(home)
    assert refused.value.hint and "\n" not in str(refused.value)
    assert contents(home) == before


def contents(home: Path) -> dict[str, bytes]:
    files = [home, *home.rglob("*")] if home.is_dir() else [home]
    return {str(path.relative_to(home)): path.read_bytes() for path in files if path.is_file()}


@pytest.mark.parametrize(
    "log", [b"", b"x", b"not a log" * 9_000, bytes(40_000), b"\x37\x7f\x06\x82" + os.urandom(9_000)], ids=range(5)
)
async def test_a_file_in_place_of_the_log_is_passed_over(home: Path, log: bytes) -> None:
    (home / f"{NAME}-wal").write_bytes(log)
    (home / f"{NAME}-shm").write_bytes(log[:5_000])
    assert await runs(home) == ["t"]


async def test_a_log_that_was_cut_is_read_up_to_there(home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    async with Database.open(home / NAME) as database:
        for name in ("first", "second", "third"):
            await add(database, name)
        data = (home / f"{NAME}-wal").read_bytes()
        shutil.copy(home / NAME, copy / NAME)
    seen: set[tuple[str, ...]] = set()
    for size in (*range(0, len(data), 4_000), len(data)):
        (copy / f"{NAME}-wal").write_bytes(data[:size])
        with closing(sqlite3.connect(f"file:{copy / NAME}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT thread_id FROM threads ORDER BY created").fetchall()
        seen.add(tuple(name for [name] in rows))
    whole = ("t", "first", "second", "third")
    assert seen == {whole[:number] for number in range(1, 5)}


async def test_an_empty_folder_and_an_empty_file_are_new_homes(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert await runs(tmp_path / "folder") == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / NAME).touch()
    assert await runs(tmp_path / "other") == []


# -- the log and the file


async def test_the_log_is_moved_into_the_file_at_a_megabyte(tmp_path: Path) -> None:
    async with Database.open(tmp_path / NAME, settle_after=1e6) as database:
        for number in range(100):
            body = os.urandom(100_000)
            await database.commit(
                lambda c, number=number, body=body: c.execute(
                    "INSERT INTO texts (hash, body) VALUES (?, ?)", (str(number), body)
                )
            )
            assert (tmp_path / f"{NAME}-wal").stat().st_size < 1.5 * (1 << 20)


@pytest.mark.parametrize("how", ["after a while without commits", "at the end of a run"])
async def test_the_file_alone_is_a_home_as_of_when_the_log_was_moved_into_it(tmp_path: Path, how: str) -> None:
    idle = how.startswith("after")
    async with Database.open(tmp_path / "home" / NAME, settle_after=0.0 if idle else 1e6) as database:
        texts = Texts(database, Blobs(tmp_path / "blobs"))
        name = await texts.put("a text")
        await add(database, "one")
        if idle:
            while not database.settled:
                await database.read("SELECT 1")
        else:
            await database.settle()
        assert (tmp_path / "home" / f"{NAME}-wal").stat().st_size == 0
        database._settle_after = 1e6
        await add(database, "two")
        for copy in ("copy", "other"):
            (tmp_path / copy).mkdir()
            shutil.copy(tmp_path / "home" / NAME, tmp_path / copy / NAME)
    assert await runs(tmp_path / "copy") == ["one"] and sorted(await runs(tmp_path / "home")) == ["one", "two"]
    async with Database.open(tmp_path / "other" / NAME) as database:
        assert await Texts(database, Blobs(tmp_path / "blobs")).get(name) == "a text"
