"""`--files DIR`: the files of an answer, all or none, under names that lead nowhere else, and over nothing."""

import hashlib
import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from durable_rlm.graph.run import Run
from durable_rlm.state.answer_tables import Column
from durable_rlm.state.errors import StoredDataDamaged, StoreError, UsageError
from durable_rlm.state.records import AnswerFile
from durable_rlm.studio.answer_files.tables import RowsTable
from durable_rlm.studio.cli.answer_folder import AnswerFolder
from tests.studio.conftest import Fake, FakeRunner, Rlm


@dataclass(frozen=True)
class File:
    name: str
    body: bytes = b"x"
    damaged: bool = False

    @property
    def size(self) -> int:
        return len(self.body)

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    def pieces(self) -> Iterator[bytes]:
        yield self.body
        if self.damaged:
            raise StoredDataDamaged("The stored file has changed.")


def there(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_files_are_written_with_their_folders_and_are_not_executable(tmp_path: Path) -> None:
    files = [File("a.csv", b"1,2\n"), File("plots/Grüße.png", b"\x89PNG"), File("run.sh", b"#!/bin/sh\n")]
    listed, left_out = AnswerFolder(tmp_path / "out").write(files)
    assert there(tmp_path / "out") == {file.name: file.body for file in files} and not left_out
    assert listed[1] == {
        "name": files[1].name, "size": 4, "hash": files[1].hash, "path": str(tmp_path / "out" / files[1].name)
    }  # fmt: skip
    assert not (tmp_path / "out" / "run.sh").stat().st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    "name",
    [
        "../out.txt", "a/../../b", "/etc/passwd", "", ".", "a//b", "a/./b", "a\\..\\b", "C:x", "a\nb", "a\x00b",
        "a\u202eb", "aux.txt", "NUL", "com1", "LPT².csv", "dot.", "blank ", "x" * 256, "/".join("a" * 30), "a\ud800b",
    ],
)  # fmt: skip
def test_a_name_that_some_system_refuses_is_left_out_and_said(tmp_path: Path, name: str) -> None:
    listed, left_out = AnswerFolder(tmp_path / "out").write([File(name), File("good")])
    assert there(tmp_path) == {"out/good": b"x"} and len(left_out) == 1 and "is not written" in left_out[0]
    assert [file["path"] for file in listed] == [None, str(tmp_path / "out" / "good")]


@pytest.mark.parametrize("names", [("a.txt", "A.TXT"), ("é", "e\u0301"), ("a", "a/b"), ("a/b", "a"), ("a/b", "A")])
def test_of_two_names_that_some_systems_take_for_one_the_second_is_left_out(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    _, left_out = AnswerFolder(tmp_path / "out").write([File(name) for name in names])
    assert list(there(tmp_path / "out")) == [names[0]] and "another one" in left_out[0]


def test_a_folder_with_anything_in_it_is_refused_and_an_empty_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / ".hidden").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for name in ("full", "file", "link", "nowhere/out"):
        with pytest.raises(UsageError, match="--files"):
            AnswerFolder(tmp_path / name)
    AnswerFolder(tmp_path / "empty").write([File("a")])
    assert there(tmp_path / "empty") == {"a": b"x"}


def test_a_folder_that_is_filled_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    folder = AnswerFolder(tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(StoreError, match="not be written"):
        folder.write([File("a")])
    assert there(tmp_path) == {"out/mine": b""}


def test_a_damaged_file_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StoredDataDamaged):
        AnswerFolder(tmp_path / "out").write([File("a"), File("b", damaged=True)])
    assert list(tmp_path.iterdir()) == []


# -- the command line


@pytest.fixture
def answered(fake: Fake, tmp_path: Path) -> FakeRunner:
    """An answered run, with a file and a table."""
    (tmp_path / ".rlm").mkdir()
    (tmp_path / ".rlm" / "checkpoints.sqlite").touch()
    file = File("a.csv", b"1,2\n")
    said: AnswerFile = {"name": file.name, "size": file.size, "hash": file.hash}
    runner = fake(Run("t", "answered", answer=[{"day": "2024-02-29", "n": 1}], files=[said]))
    runner.answer_files = [file]
    runner.answer_table = RowsTable([Column("day", "date"), Column("n", "integer")], [["2024-02-29", 1]])
    return runner


def test_the_files_and_the_table_of_an_answer_come_out_of_the_command(
    rlm: Rlm, answered: FakeRunner, tmp_path: Path
) -> None:
    done = rlm("resume", "t", "--files", "out", "-o", "t.parquet", "--json")
    [file] = json.loads(done.out)["files"]
    assert done.code == 0 and file["path"] == "out/a.csv" and file["hash"] in done.err
    assert there(tmp_path / "out") == {"a.csv": b"1,2\n"}
    from pyarrow import parquet

    assert str(parquet.read_table("t.parquet").schema.field("day").type) == "date32[day]"


def test_files_that_nobody_asked_for_are_mentioned(rlm: Rlm, answered: FakeRunner) -> None:
    done = rlm("resume", "t")
    assert "The answer comes with 1 file (4 bytes), which --files DIR writes." in done.err
    assert json.loads(done.out) == [{"day": "2024-02-29", "n": 1}]


def test_a_folder_that_is_not_empty_is_refused_before_anything_is_asked(
    rlm: Rlm, answered: FakeRunner, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    done = rlm("resume", "t", "--files", "out")
    assert done.code == 2 and "not empty" in done.err and answered.asked == []


def test_a_file_that_is_left_out_makes_the_exit_status_1(rlm: Rlm, answered: FakeRunner, tmp_path: Path) -> None:
    answered.answer_files = [File("../a"), File("b")]
    done = rlm("resume", "t", "--files", "out")
    assert done.code == 1 and "../a is not written: its name leads out of the folder." in done.err
    assert there(tmp_path / "out") == {"b": b"x"}


def test_a_folder_for_an_answer_without_files_is_not_made_which_is_said(
    rlm: Rlm, fake: Fake, answered: FakeRunner, tmp_path: Path
) -> None:
    fake(Run("t", "answered", answer="x"))
    done = rlm("resume", "t", "--files", "out")
    assert done.code == 0 and "The answer comes with no files, so out is not made." in done.err
    assert not (tmp_path / "out").exists()
