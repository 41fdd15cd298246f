"""The file of `--questions`: what its lines may be, and how all bad ones are reported at once."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.state.errors import UsageError
from durable_rlm.studio.questions import reading
from durable_rlm.studio.questions.reading import QuestionsUnusable, read_questions

GOOD = '{"id": "a", "question": "Q?"}'


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def of(content: str | bytes, prefix: str = "") -> Any:
        Path("q.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_questions("q.jsonl", prefix).questions

    return of


def refusal(read: Any, *lines: str | bytes, prefix: str = "") -> list[str]:
    """Return the lines of the refusal of a file, without the first one."""
    content = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    with pytest.raises(QuestionsUnusable) as refused:
        read(content, prefix)
    return [line.strip() for line in refused.value.message.split("\n")[1:]]


def test_a_line_has_an_id_a_question_and_maybe_an_input_and_a_schema_of_its_own(read: Any) -> None:
    Path("own.txt").write_text("own")
    Path("s.json").write_text('{"type": "number"}')
    first, second, third = read(
        '{"id": "a", "question": "Q?"}\n'
        '{"id": 7, "question": "R?", "paths": ["own.txt", "*.md"], "schema": {"type": "string"}}\n'
        '{"id": "c", "question": "S?", "paths": null, "schema": "s.json"}\n'
    )
    assert (first.id, first.question, first.paths, first.schema, first.line) == ("a", "Q?", None, None, 1)
    assert (second.id, second.given_id, second.paths) == ("7", 7, ("own.txt", "*.md"))
    assert (second.schema, third.schema) == ({"type": "string"}, {"type": "number"})
    assert third.paths is None


@pytest.mark.parametrize(
    "content",
    [f"{GOOD}\n", GOOD, f"\ufeff{GOOD}\n", f"{GOOD}\r\n\r\n", f"\n  \n\t{GOOD}  \n\n"],
    ids=["one line", "no newline at the end", "byte order mark", "lines of Windows", "empty lines"],
)
def test_the_form_of_the_file_may_differ(read: Any, content: str) -> None:
    assert [one.id for one in read(content)] == ["a"]


def test_line_numbers_count_empty_lines(read: Any) -> None:
    assert refusal(read, "", GOOD, "", "{}") == ["line 4: it has no id", "line 4: it has no question"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nonsense", "it is not JSON: Expecting value (column 1)"),
        ('{"id": "a", "question": "Q?"} x', "it is not JSON: Extra data (column 31)"),
        ("[1]", "it is no object, such as {…}"),
        ('"text"', "it is no object, such as {…}"),
        (b'{"id": "\xff"}', "it is not UTF-8 text (byte 9)"),
        ("[" * 100_000, "it is nested too deeply"),
        ('{"id": NaN}', "it is not JSON: NaN is no number there"),
        ('{"id": "a", "id": "b"}', '"id" stands twice in an object'),
        ('{"question": "Q?"}', "it has no id"),
        ('{"id": null, "question": "Q?"}', "it has no id"),
        ('{"id": " ", "question": "Q?"}', "its id is empty"),
        ('{"id": true, "question": "Q?"}', "its id is no text and no whole number"),
        ('{"id": 1.5, "question": "Q?"}', "its id is no text and no whole number"),
        ('{"id": "\\u0000", "question": "Q?"}', "its id has characters that no name can have"),
        ('{"id": "\\ud800", "question": "Q?"}', "its id has characters that no name can have"),
        ('{"id": "a"}', "it has no question"),
        ('{"id": "a", "question": " \\n"}', "its question is empty"),
        ('{"id": "a", "question": ["Q?"]}', "its question is no text"),
        ('{"id": "a", "question": "\\udc80"}', "its question has characters that UTF-8 does not have"),
        ('{"id": "a", "question": "Q?", "context": "x"}', "unknown field context"),
        ('{"id": "a", "question": "Q?", "\\u001b[2J": 1}', "unknown field \\x1b[2J"),
        ('{"id": "a", "question": "Q?", "paths": "x.txt"}', 'its "paths" are no list of texts'),
        ('{"id": "a", "question": "Q?", "paths": [1]}', 'its "paths" are no list of texts'),
        ('{"id": "a", "question": "Q?", "paths": []}', 'its "paths" are empty: leave them out for the shared input'),
        ('{"id": "a", "question": "Q?", "paths": ["gone"]}', "there is no file or folder gone"),
        ('{"id": "a", "question": "Q?", "paths": ["a\\u0000b"]}', "there is no file or folder a\\x00b"),
        ('{"id": "a", "question": "Q?", "paths": ["-"]}', "its input cannot be standard input; name files"),
        (
            '{"id": "a", "question": "Q?", "schema": "gone.json"}',
            'its "schema" cannot be used: cannot read the schema gone.json: No such file or directory',
        ),
        (
            '{"id": "a", "question": "Q?", "schema": [1]}',
            'its "schema" cannot be used: Input should be a valid dictionary',
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "bytes",
)
def test_a_line_that_cannot_be_used_is_named_with_the_reason(read: Any, line: str | bytes, problem: str) -> None:
    assert refusal(read, line) == [f"line 1: {problem}"]


def test_every_bad_line_is_listed_and_each_of_its_problems(read: Any) -> None:
    lines = [f'{{"id": {number}}}' for number in range(500)]
    assert len(refusal(read, *lines)) == 500
    assert refusal(read, GOOD, '{"id": 5, "question": "", "more": 1}', GOOD) == [
        "line 2: its question is empty",
        "line 2: unknown field more",
        "line 3: the id a is that of line 1",
    ]


def test_a_line_of_countless_unknown_fields_and_missing_paths_does_not_flood_the_terminal(read: Any) -> None:
    fields = {f"f{number}": 1 for number in range(3000)}
    line = json.dumps({"id": 1, "question": "Q?", "paths": [f"p{number}" for number in range(3000)], **fields})
    problems = refusal(read, line)
    assert len(problems) == 10
    assert "line 1: unknown field f0" in problems and "line 1: there is no file or folder p0" in problems


def test_a_number_and_a_text_are_the_same_id(read: Any) -> None:
    assert refusal(read, '{"id": 1, "question": "Q?"}', '{"id": "1", "question": "R?"}') == [
        "line 2: the id 1 is that of line 1"
    ]


def test_an_unusable_schema_is_listed_beside_other_problems(read: Any) -> None:
    problems = refusal(read, '{"id": 1, "question": "Q?", "schema": {"type": "nonsense"}}', "{}")
    assert problems[0].startswith('line 1: its "schema" cannot be used:') and len(problems) == 3


def test_the_prefix_counts_for_the_length_of_a_name(read: Any) -> None:
    line = json.dumps({"id": "a" * 490, "question": "Q?"})
    assert read(line)[0].id == "a" * 490
    assert "too long for the name of a run" in refusal(read, line, prefix="nightly-run-")[0]


def test_a_schema_file_of_many_lines_is_read_once(read: Any) -> None:
    Path("s.json").write_text('{"type": "number"}')
    lines = [json.dumps({"id": number, "question": "Q?", "schema": "s.json"}) for number in range(50)]
    schemas = [one.schema for one in read("\n".join(lines))]
    assert all(schema is schemas[0] for schema in schemas)


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"], ids=["empty", "blank", "only a mark"])
def test_a_file_without_a_question_is_refused(read: Any, content: bytes) -> None:
    with pytest.raises(UsageError, match="has no question"):
        read(content)


def test_utf_16_is_named(read: Any) -> None:
    with pytest.raises(UsageError, match="not UTF-8 text, but UTF-16"):
        read(GOOD.encode("utf-16"))


def test_a_file_that_cannot_be_read_is_refused(read: Any, tmp_path: Path) -> None:
    for name, why in ((str(tmp_path), "Is a directory"), ("gone.jsonl", "No such file")):
        with pytest.raises(UsageError, match=why):
            read_questions(name)


def test_size_lines_and_number_of_questions_are_bounded(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_QUESTIONS", 2)
    monkeypatch.setattr(reading, "MOST_LINE", 60)
    assert refusal(read, json.dumps({"id": "a", "question": "Q" * 100})) == ["line 1: it is longer than 60 bytes"]
    with pytest.raises(UsageError, match="more than 2 questions"):
        read("\n".join([GOOD] * 3))
    monkeypatch.setattr(reading, "MOST_BYTES", 20)
    with pytest.raises(UsageError, match="larger than 20 bytes"):
        read(GOOD)
    with pytest.raises(UsageError, match="larger than 20 bytes"):
        read_questions("/dev/zero")


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    file = read_questions("-")
    assert (file.shown, [one.id for one in file.questions]) == ("Standard input", ["a"])
