"""A disk that is full to the last byte: runs are listed, shown, deleted and collected, and space is freed."""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import pytest

from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.db.reserve import RESERVE, RESERVE_BYTES
from tests.damage import DATABASE, ask
from tests.graph.saved_home import make_home
from tests.studio.conftest import Rlm


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Path]:
    """A small disk. Needs root in a mount namespace of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place), capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(("umount", place), check=True)


def fill(disk: Path) -> None:
    """Fill the disk to the last byte with a file of another program."""
    with (disk / "of another program").open("ab", buffering=0) as file:
        for size in (1 << 16, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    assert free(disk) == 0, "the disk is full"


def free(disk: Path) -> int:
    facts = os.statvfs(disk)
    return facts.f_bavail * facts.f_frsize


def grow(home: Path, megabytes: int) -> None:
    """Give the database texts that nothing needs, over several megabytes of pages."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        rows = ((f"{number:064x}", os.urandom(50_000)) for number in range(megabytes * 20))
        connection.executemany("INSERT INTO texts (hash, body, touched) VALUES (?, ?, 0)", rows)
        connection.commit()


def names(rlm: Rlm) -> list[str]:
    return sorted(run["thread_id"] for run in json.loads(rlm("list", "--json").out))


LEFT: dict[str, Callable[[Path, Path], object]] = {
    "closed": lambda home, saved: None,
    "a log without its index": lambda home, saved: (home / f"{DATABASE}-wal").write_bytes(log_of(saved)),
    "without a reserve": lambda home, saved: (home / RESERVE).unlink(),
}


def log_of(saved: Path) -> bytes:
    """Return the write-ahead log of a process that was killed after a commit to a copy of the home."""
    copy = saved.parent / "copy for its log"
    shutil.copytree(saved, copy, dirs_exist_ok=True)
    with closing(sqlite3.connect(copy / DATABASE)) as connection:
        connection.execute("UPDATE leases SET renewed = renewed + 1")
        connection.commit()
        return (copy / f"{DATABASE}-wal").read_bytes()


@pytest.mark.parametrize("left", LEFT)
def test_runs_are_read_on_a_full_disk(
    rlm: Rlm, saved: Path, disk: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    home = Path(shutil.copytree(saved, disk / "home"))
    LEFT[left](home, saved)
    fill(disk)
    monkeypatch.setenv("RLM_HOME", str(home))
    for command in (
        ("list",),
        ("show", "hurt"),
        ("steps", "hurt"),
        ("calls", "hurt"),
        ("vars", "hurt"),
        ("verify", "hurt"),
    ):
        done = rlm(*command)
        assert (done.code, "Traceback" in done.err) == (0, False), (command, done)
        assert "hurt" in done.out or command[0] in ("steps", "calls", "vars")


@pytest.mark.parametrize("megabytes", [0, 6])
def test_runs_are_deleted_on_a_full_disk_and_gc_frees_space(
    rlm: Rlm, saved: Path, disk: Path, monkeypatch: pytest.MonkeyPatch, megabytes: int
) -> None:
    home = Path(shutil.copytree(saved, disk / "home"))
    assert (home / RESERVE).stat().st_size == RESERVE_BYTES
    grow(home, megabytes)
    Blobs(home / "blobs").put(os.urandom(300_000))
    fill(disk)
    monkeypatch.setenv("RLM_HOME", str(home))
    before = (home / DATABASE).stat().st_size
    done = rlm("delete", "hurt")
    assert (done.code, "Traceback" in done.err) == (0, False), done
    assert names(rlm) == ["other"] and ask(home, "SELECT count(*) FROM calls WHERE thread_id = 'hurt'") == [(0,)]
    done = rlm("gc", "--json")
    assert done.code == 0, done
    collected = json.loads(done.out)
    assert collected["freed"]["blobs"]["records"] >= 1
    assert free(disk) >= 300_000 + megabytes * 1_000_000 * 0.9
    assert (home / RESERVE).exists() == (megabytes > 0), "made again once there is room for more than it"
    assert (home / DATABASE).stat().st_size <= before - megabytes * 1_000_000 * 0.9
    assert rlm("verify", "other").code == 0 and rlm("gc").code == 0


def test_gc_alone_frees_space_on_a_full_disk(
    rlm: Rlm, saved: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path(shutil.copytree(saved, disk / "home"))
    grow(home, 4)
    fill(disk)
    monkeypatch.setenv("RLM_HOME", str(home))
    done = rlm("gc")
    assert (done.code, "Traceback" in done.err) == (0, False), done
    assert free(disk) > 3_500_000 and names(rlm) == ["hurt", "other"]


def test_a_disk_that_is_full_again_at_once_is_said_in_words(
    rlm: Rlm, saved: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path(shutil.copytree(saved, disk / "home"))
    (home / RESERVE).unlink()
    fill(disk)
    monkeypatch.setenv("RLM_HOME", str(home))
    done = rlm("delete", "hurt")
    assert done.code in (0, 1) and "Traceback" not in done.err
    if done.code:
        assert "disk is full" in done.err and names(rlm) == ["hurt", "other"]
    assert rlm("verify", "other").code == 0


def test_a_home_is_made_with_a_reserve_and_without_one_where_there_is_no_room(
    rlm: Rlm, saved: Path, disk: Path
) -> None:
    assert (saved / RESERVE).stat().st_mode & 0o777 == 0o600
    home = Path(shutil.copytree(saved, disk / "home"))
    (home / RESERVE).unlink()
    (disk / "of another program").write_bytes(bytes(free(disk) - RESERVE_BYTES))
    assert rlm("delete", "other", "--home", str(home)).code == 0
    assert not (home / RESERVE).exists()
