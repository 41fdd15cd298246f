"""The files of an answer are ordinary ones below one folder; everything else is left out and named."""

import os
from pathlib import Path

import pytest

from durable_rlm.kernel.inside import answer_files
from durable_rlm.kernel.inside.answer_files import AnswerFiles
from durable_rlm.kernel.inside.answer_value import AnswerTooLarge


def files_in(scratch: Path) -> tuple[dict[str, bytes], str]:
    files = AnswerFiles(str(scratch))
    body = b"".join(files)
    found: dict[str, bytes] = {}
    for one in files.found:
        found[one["name"]], body = body[: one["size"]], body[one["size"] :]
    assert not body
    return found, files.problem()


def test_files_come_with_their_paths_and_contents(tmp_path: Path) -> None:
    assert files_in(tmp_path) == ({}, "")
    for name, content in (("b", b"2"), ("a/é.txt", b"1"), ("a/empty", b"")):
        path = tmp_path / "answer_files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "other").write_bytes(b"not for the user")
    assert files_in(tmp_path) == ({"a/empty": b"", "a/é.txt": b"1", "b": b"2"}, "")


def test_links_pipes_odd_names_and_deep_files_are_left_out_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "answer_files"
    (folder / Path(*"1234567")).mkdir(parents=True)
    (folder / Path(*"1234567") / "kept").write_bytes(b"k")
    (folder / Path(*"1234567") / "deep").mkdir()
    (tmp_path / "secret").write_bytes(b"s")
    (folder / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    (folder / "a\nb").write_bytes(b"x")
    found, problem = files_in(tmp_path)
    assert found == {"1/2/3/4/5/6/7/kept": b"k"}
    assert "1/2/3/4/5/6/7/deep is deeper" in problem and "link is a link" in problem and "1 more files" in problem


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").write_bytes(b"a")
    (tmp_path / "answer_files").symlink_to(tmp_path / "elsewhere")
    assert files_in(tmp_path) == ({}, "")


def test_too_many_files_and_bytes_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "answer_files").mkdir()
    for name in "abc":
        (tmp_path / "answer_files" / name).write_bytes(b"x" * 10)
    monkeypatch.setattr(answer_files, "MOST_FILE_BYTES", 25)
    with pytest.raises(AnswerTooLarge, match="leave less"):
        files_in(tmp_path)
    monkeypatch.setattr(answer_files, "MOST_FILES", 1)
    with pytest.raises(AnswerTooLarge, match="more than 1 files"):
        files_in(tmp_path)
