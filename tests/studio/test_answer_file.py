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


RECORDS = [{"a": 1, "b": "=x"}, {"a": 2, "c": None}]
WRITTEN = {
    "t.csv": "a,b,c\n1,'=x,\n2,,\n",
    "t.TSV": "a\tb\tc\n1\t'=x\t\n2\t\t\n",
    "t.jsonl": '{"a": 1, "b": "=x"}\n{"a": 2, "c": null}\n',
    "t.md": "| a | b | c |\n| ---: | --- | --- |\n| 1 | =x |  |\n| 2 |  |  |\n",
    "t.txt": answer_text(RECORDS),
    "t.json": answer_text(RECORDS),
    "t": answer_text(RECORDS),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_suffix_decides_the_form_of_a_table(tmp_path: Path, name: str) -> None:
    said = AnswerFile(tmp_path / name).write(RECORDS)
    assert (tmp_path / name).read_text() == WRITTEN[name] and said == [f"The answer is in {tmp_path / name}."]


@pytest.mark.parametrize(
    ("name", "answer", "text"),
    [
        ("a.json", "a text", '"a text"\n'),
        ("a.json", '{"a": 1}', '{"a": 1}\n'),
        ("a.txt", "a text", "a text\n"),
        ("a.md", "# A *text*", "# A *text*\n"),
        ("a.md", {"a": 1}, '```json\n{\n  "a": 1\n}\n```\n'),
        ("a.jsonl", [1, "b"], '1\n"b"\n'),
        ("a.csv", [], ""),
    ],
)
def test_the_suffix_decides_the_form_of_a_value(tmp_path: Path, name: str, answer: object, text: str) -> None:
    AnswerFile(tmp_path / name).write(answer)
    assert (tmp_path / name).read_text() == text


@pytest.mark.parametrize("suffix", ["csv", "tsv", "xlsx", "parquet", "jsonl"])
def test_an_answer_that_is_no_table_is_written_as_json_beside_it(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "x.json").write_text("the input")
    (said,) = AnswerFile(tmp_path / f"x.{suffix}").write("no table")
    assert f"is in {tmp_path / 'x-2.json'}" in said
    found = {one.name: one.read_text() for one in tmp_path.iterdir()}
    assert found == {"x.json": "the input", "x-2.json": '"no table"\n'}


def test_a_table_goes_into_a_pipe_whole(tmp_path: Path) -> None:
    pipe = tmp_path / "t.csv"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    AnswerFile(pipe).write([{"a": 1}])
    assert os.read(reader, 100) == b"a\r\n1\r\n"
    os.close(reader)
    assert [one.name for one in tmp_path.iterdir()] == ["t.csv"]
