"""`-o FILE`: written completely or not at all, and refused before anything is spent."""

import os
import stat
from pathlib import Path

import pytest

from durable_rlm.state.errors import StoreError, UsageError
from durable_rlm.studio.cli.files import AnswerFile
from durable_rlm.studio.terminal.escape import answer_text


def test_a_text_is_written_unchanged_and_a_value_as_json(tmp_path: Path) -> None:
    path = tmp_path / "answer"
    AnswerFile(path).write("Grüße\x1b")
    assert path.read_text() == "Grüße\x1b\n"
    AnswerFile(path).write({"a": ["ü", 1]})
    assert path.read_text() == '{\n  "a": [\n    "ü",\n    1\n  ]\n}\n'
    assert [one.name for one in tmp_path.iterdir()] == ["answer"]


def test_a_newline_at_the_end_is_not_doubled() -> None:
    assert (answer_text("a"), answer_text("a\n"), answer_text("")) == ("a\n", "a\n", "\n")


def test_a_folder_and_a_path_in_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder"):
        AnswerFile(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        AnswerFile(tmp_path / "nowhere" / "answer")
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_path_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        AnswerFile(Path("/proc/answer"))


def test_the_target_of_a_link_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    AnswerFile(link).write("new")
    assert link.is_symlink() and target.read_text() == "new\n" and stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_device_is_written_to_and_stays_a_device() -> None:
    AnswerFile(Path(os.devnull)).write("x")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_failed_write_leaves_the_old_answer_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answer"
    path.write_text("old")
    file = AnswerFile(path)

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        file.write("new")
    assert path.read_text() == "old" and [one.name for one in tmp_path.iterdir()] == ["answer"]
