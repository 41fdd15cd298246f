"""The size of a home: bytes that this process writes count at once, those of others at the next count of the files."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.state import home_size
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.errors import HomeFull
from durable_rlm.state.home_size import HomeLimit, HomeSize
from tests.clock import Clock

MB = 1 << 20


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / "blobs").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def size(home: Path, clock: Clock) -> HomeSize:
    return HomeSize(home, clock)


@pytest.fixture
def blobs(home: Path, size: HomeSize) -> Blobs:
    return Blobs(home / "blobs", size=size)


def joined() -> None:
    for thread in threading.enumerate():
        if thread.name == "rlm-home-size":
            thread.join()


def test_everything_in_a_home_counts_and_nothing_beside_it(home: Path, size: HomeSize, tmp_path: Path) -> None:
    for name in ("checkpoints.sqlite", "checkpoints.sqlite-wal", "blobs/ab/c", "search/s/x", "logs/l", "extracted/e"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(os.urandom(MB))
    (home / "project").mkdir()
    (home / "project" / "large").write_bytes(os.urandom(MB))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "large").write_bytes(os.urandom(MB))
    (home / "blobs" / "link").symlink_to(tmp_path / "elsewhere")
    (home / "blobs" / "file").symlink_to(tmp_path / "elsewhere" / "large")
    (home / "blobs" / "around").symlink_to(home)
    assert 6 * MB <= size.now() < 6.2 * MB


def test_a_file_with_holes_counts_as_what_it_has_on_disk(home: Path, size: HomeSize) -> None:
    with (home / "blobs" / "holes").open("wb") as file:
        file.truncate(1 << 40)
    assert size.now() < MB


def test_written_bytes_count_at_once_and_those_given_up_do_not(size: HomeSize, blobs: Blobs) -> None:
    before = size.now()
    blobs.put(os.urandom(MB))
    assert size.now() == before + MB
    with blobs.writer() as writer:
        writer.write(os.urandom(MB))
        assert size.now() == before + 2 * MB
    assert size.now() == before + MB


def test_a_blob_that_is_written_again_counts_once(size: HomeSize, blobs: Blobs) -> None:
    before, data = size.now(), os.urandom(MB)
    for _ in range(3):
        with blobs.writer() as writer:
            writer.write(data)
            writer.commit()
    assert size.now() - before == pytest.approx(MB, abs=MB // 8)


def test_changes_by_other_processes_count_once_the_files_are_counted_again(
    home: Path, size: HomeSize, blobs: Blobs, clock: Clock
) -> None:
    before = size.now()
    other = Blobs(home / "blobs")
    name = other.put(os.urandom(2 * MB))
    blobs.put(os.urandom(MB))
    assert size.now() == before + MB
    clock.now += 60
    size.now()
    joined()
    assert size.now() - before == pytest.approx(3 * MB, abs=MB // 8)
    other.remove(name, other.path(name).stat().st_mtime_ns)
    clock.now += 60
    size.now()
    joined()
    assert size.now() - before == pytest.approx(MB, abs=MB // 8)


def test_bytes_written_while_the_files_are_counted_are_never_left_out(
    size: HomeSize, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = size.now()
    files_of = home_size._files_of

    def slowly(home: Path) -> Iterator[str]:
        yield from files_of(home)
        blobs.put(os.urandom(MB))

    monkeypatch.setattr(home_size, "_files_of", slowly)
    size._count()
    assert size.now() >= before + MB


@pytest.mark.parametrize(("took", "after"), [(0.001, 1.0), (0.4, 20.0), (5.0, 60.0)])
def test_counting_takes_a_small_share_of_the_time(
    size: HomeSize, clock: Clock, monkeypatch: pytest.MonkeyPatch, took: float, after: float
) -> None:
    def slow(home: Path) -> Iterator[str]:
        clock.now += took
        return iter(())

    monkeypatch.setattr(home_size, "_files_of", slow)
    size.now()
    clock.now += after - 0.01
    assert size.is_fresh
    clock.now += 0.02
    assert not size.is_fresh


def test_a_limit_refuses_what_does_not_fit_and_anything_once_it_is_reached(size: HomeSize, blobs: Blobs) -> None:
    limit = HomeLimit(size, size.now() + MB)
    limit.need()
    limit.need(MB)
    with pytest.raises(HomeFull, match=r"The rest does not fit in the home .*, which has .* on disk, of the 1\.0 MB"):
        limit.need(MB + 1, "The rest")
    blobs.put(os.urandom(MB))
    with pytest.raises(HomeFull, match=r"^The home .* has .* on disk, of the 1\.0 MB that it may have"):
        limit.need()
    HomeLimit(size, None).need(1 << 50)


def test_blobs_within_a_limit_are_written_whole_or_not_at_all(home: Path, size: HomeSize, blobs: Blobs) -> None:
    limited = blobs.within(HomeLimit(size, size.now() + MB), "The input")
    kept = limited.put(os.urandom(MB // 2))
    with pytest.raises(HomeFull, match="The input does not fit"), limited.writer() as writer:
        for _ in range(3):
            writer.write(os.urandom(MB // 4))
    assert [path for path in home.rglob("*") if path.is_file()] == [blobs.path(kept)]
    blobs.put(os.urandom(2 * MB))


async def test_files_are_counted_once_for_all_that_ask_at_the_same_time(
    size: HomeSize, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    size.now()
    counted: list[Any] = []
    go_on = threading.Event()

    def slow(home: Path) -> Iterator[str]:
        counted.append(home)
        go_on.wait(10)
        return iter(())

    monkeypatch.setattr(home_size, "_files_of", slow)
    clock.now += 60
    for _ in range(5):
        size.now()
    go_on.set()
    await size.count()
    assert len(counted) == 1
