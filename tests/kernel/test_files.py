"""The files of a turn: saved, written back, bounded, and never written outside of the scratch folder."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.kernel.inside.snapshot import files as module
from durable_rlm.kernel.inside.snapshot.chunks import Pieces
from durable_rlm.kernel.inside.snapshot.files import FileChanges, Files, name_of

Groups = dict[str, dict[str, Any]]


class Kept:
    """The files of one folder, as the store keeps them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.files = Files(str(folder))
        self.groups: Groups = {}
        self.pieces: Pieces = {}

    def take(self) -> FileChanges:
        """Save the changes."""
        changes = self.files.look(self.pieces)
        self.files.keep(changes)
        for name in changes.gone:
            del self.groups[name]
        self.groups.update({group["id"]: group for group in changes.groups})
        return changes

    def lost(self) -> dict[str, str]:
        """Return what could not be saved."""
        return {name: why for group in self.groups.values() for name, why in group["lost"].items()}

    def again(self, folder: Path) -> tuple["Kept", dict[str, str]]:
        """Return a fresh folder with the saved files, and what was lost."""
        other = Kept(folder)
        lost = other.files.restore(list(self.groups.values()), lambda name: bytes(self.pieces[name]))
        other.groups, other.pieces = dict(self.groups), self.pieces
        return other, lost


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "scratch")


def seen_files(folder: Path) -> dict[str, Any]:
    """Return everything below a folder: its mode, content and time."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        mode = None if path.is_symlink() else about.st_mode
        found[str(path.relative_to(folder))] = (mode, content, about.st_mtime_ns if mode and path.is_file() else 0)
    return found


def test_files_folders_and_links_come_back_with_their_modes_and_times(kept: Kept, tmp_path: Path) -> None:
    (kept.folder / "a/b").mkdir(parents=True)
    (kept.folder / "a/b/data.bin").write_bytes(os.urandom(300_000))
    (kept.folder / "empty").mkdir()
    (kept.folder / "größe %41.txt").write_text("x")
    (kept.folder / "run.sh").write_text("#!/bin/sh\n")
    (kept.folder / "run.sh").chmod(0o750)
    (kept.folder / "a/link").symlink_to("../run.sh")
    os.utime(kept.folder / "run.sh", ns=(1, 1_600_000_000_123_456_789))
    (kept.folder / os.fsdecode(b"not-\xff-text")).write_text("bytes")
    (kept.folder / "closed").mkdir(mode=0o500)
    kept.take()
    other, lost = kept.again(tmp_path / "other")
    assert lost == {} and kept.lost() == {}
    assert seen_files(other.folder) == seen_files(kept.folder)
    assert other.files.differing(list(kept.groups.values())) == []
    (other.folder / "a/b/data.bin").write_bytes(b"else")
    (other.folder / "new").write_bytes(b"")
    assert other.files.differing(list(kept.groups.values())) == ["file:a/b/data.bin", "file:new"]


def test_a_turn_saves_only_what_it_changed_and_equal_content_once(kept: Kept) -> None:
    (kept.folder / "one").write_bytes(b"x" * 5000)
    (kept.folder / "two").write_bytes(b"x" * 5000)
    assert {group["id"] for group in kept.take().groups} == {"file:one", "file:two"}
    assert len(kept.pieces) == 1
    (kept.folder / "two").unlink()
    (kept.folder / "three").mkdir()
    changes = kept.take()
    assert ([group["id"] for group in changes.groups], changes.gone) == (["file:three"], ["file:two"])
    assert kept.take() == FileChanges([], [], kept.files._known)  # type: ignore[attr-defined]


def test_a_change_within_the_clocks_tick_is_seen(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def the_same(about: os.stat_result) -> module.Identity:
        del about
        return (1,)

    monkeypatch.setattr(module, "_identity", the_same)
    (kept.folder / "f").write_text("one")
    kept.take()
    (kept.folder / "f").write_text("two")
    assert [group["id"] for group in kept.take().groups] == ["file:f"]


def test_pipes_and_sockets_are_named_and_not_opened(kept: Kept, tmp_path: Path) -> None:
    os.mkfifo(kept.folder / "pipe")
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(kept.folder)
        one.bind("sock")
        os.chdir(here)
        kept.take()
    assert kept.lost() == {"file:pipe": "it is a named pipe", "file:sock": "it is a socket"}
    _, lost = kept.again(tmp_path / "other")
    assert lost == kept.lost()


def test_a_turn_saves_so_many_bytes_and_the_rest_is_named_until_it_fits(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1 << 20)
    (kept.folder / "one").write_bytes(b"1" * 700_000)
    (kept.folder / "two").write_bytes(b"2" * 700_000)
    with (kept.folder / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 40)
    kept.take()
    assert len(kept.lost()) == 2 and "1 MB of files" in kept.lost()["file:sparse"]
    kept.take()
    assert set(kept.lost()) == {"file:sparse"}


def test_a_file_that_grows_while_it_is_read_is_named(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    (kept.folder / "log").write_bytes(b"")

    def more(file: int, size: int) -> bytes:
        del file, size
        return b"more" * 100

    monkeypatch.setattr(module, "_read", more)
    kept.take()
    assert kept.lost() == {"file:log": "it grows while it is read"}


def test_the_number_of_files_and_their_depth_are_limited(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 20)
    for number in range(50):
        (kept.folder / f"f{number}").write_bytes(b"")
    kept.take()
    assert len(kept.groups) == 21 and "more than 20 files" in kept.lost()["file:"]


def test_deep_folders_end(kept: Kept) -> None:
    place = kept.folder
    for _ in range(80):
        place /= "d"
        place.mkdir()
    kept.take()
    assert len(kept.groups) == module.DEEPEST + 1


def test_a_name_that_is_too_long_is_counted_and_not_listed(kept: Kept) -> None:
    place = kept.folder
    for _ in range(9):
        place /= "\1" * 250
        place.mkdir()
    kept.take()
    assert all(len(name) <= module.LONGEST_NAME for name in kept.groups)
    assert "names that are too long" in kept.lost()["file:"]


def _hostile(name: str, form: str, chunks: list[str]) -> dict[str, Any]:
    return {"id": name, "names": [name], "chunks": chunks, "lost": {}, "about": [], "form": f'{{"file": {form}}}'}


FILE = '{"kind": "file", "mode": 511, "time": 1}'
LINK = '{"kind": "link", "target": "%s"}'
PATHS = [
    "file:../out",
    "file:/tmp/out",
    "file:a/../../out",
    "file:",
    "file:a//b",
    "file:./x",
    "file:%2E%2E/out",
    "file:a%00b",
]


@pytest.mark.parametrize("name", PATHS)
def test_a_path_that_leads_elsewhere_is_not_written(kept: Kept, tmp_path: Path, name: str) -> None:
    (kept.folder / "a").mkdir()
    lost = kept.files.restore([_hostile(name, FILE, ["p"])], lambda _: b"bad")
    assert set(lost) == {name} and not (tmp_path / "out").exists()
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_nothing_is_written_through_a_link(kept: Kept, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (kept.folder / "link").symlink_to(outside)  # as code could make it while files are written
    groups = [
        _hostile("file:link/x", FILE, ["p"]),
        _hostile("file:link", FILE, ["p"]),
        _hostile("file:link/y", LINK % "z", []),
        _hostile("file:link/d", '{"kind": "folder", "mode": 511, "time": 1}', []),
    ]
    lost = kept.files.restore(groups, lambda _: b"bad")
    assert len(lost) == 4 and list(outside.iterdir()) == []


def test_links_are_made_last_and_lead_where_they_did(kept: Kept, tmp_path: Path) -> None:
    groups = [_hostile("file:a", LINK % str(tmp_path), []), _hostile("file:a/b", FILE, ["p"])]
    lost = kept.files.restore(groups, lambda _: b"bad")
    assert set(lost) == {"file:a/b"} and not (tmp_path / "b").exists()
    assert (kept.folder / "a").is_symlink()


def test_special_permissions_are_not_given(kept: Kept) -> None:
    form = '{"kind": "file", "mode": %d, "time": 1}' % 0o6777  # noqa: UP031 - JSON has braces
    kept.files.restore([_hostile("file:f", form, [])], lambda _: b"")
    assert (kept.folder / "f").stat().st_mode & 0o7777 == 0o777


def test_a_missing_piece_loses_its_file_alone(kept: Kept, tmp_path: Path) -> None:
    (kept.folder / "one").write_text("1")
    (kept.folder / "two").write_text("2")
    kept.take()
    del kept.pieces[kept.groups["file:one"]["chunks"][0]]
    other, lost = kept.again(tmp_path / "other")
    assert lost == {"file:one": "a stored piece of it is missing or damaged"}
    assert (other.folder / "two").read_text() == "2"


@pytest.mark.parametrize(
    "path", [b"plain", "größe 日".encode(), b"a%41", b"\xff\xfe", b"new\nline", b"\x7f", b"a/b c/d"]
)
def test_a_name_gives_the_path_again(path: bytes) -> None:
    name = name_of(path)
    assert module.path_of(name) == path and name.isprintable()


def test_folders_that_the_sandbox_put_there_are_not_the_codes(tmp_path: Path) -> None:
    (tmp_path / "scratch/given/deep").mkdir(parents=True)
    files = Files(str(tmp_path / "scratch"))
    assert files.look({}).groups == []
    (tmp_path / "scratch/given/new").write_text("x")
    changes = files.look({})
    assert [group["id"] for group in changes.groups] == ["file:given/new"]
    assert files.differing(changes.groups) == []


def test_mounted_folders_are_not_searched(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    (kept.folder / "mounted").mkdir()
    true = os.fstat

    def elsewhere(file: int) -> os.stat_result:
        about = list(true(file))
        about[2] += 1  # the device
        return os.stat_result(about)

    monkeypatch.setattr(module, "_fstat", elsewhere)
    assert kept.take().groups == []


def test_a_folder_that_is_gone_has_no_files(kept: Kept) -> None:
    (kept.folder / "f").write_text("x")
    kept.take()
    (kept.folder / "f").unlink()
    kept.folder.rmdir()
    assert kept.take().gone == ["file:f"]
