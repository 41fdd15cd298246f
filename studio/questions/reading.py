"""Read the file of `--questions`: JSON Lines, one question a line. Every bad line is reported at once.

Nothing has been stored or paid when a file is refused. The file may come from anybody, so its size is bounded and what
an error quotes of it is shortened and escaped.
"""

import asyncio
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from ...state.errors import UsageError
from ...state.wording import counted, megabytes
from ..terminal.escape import safe_line
from .fields import AskedQuestion, BadLine, question_on

MOST_BYTES = 64_000_000
"""Bytes of the largest file of questions."""
MOST_LINE = 16_000_000
"""Bytes of the longest line."""
MOST_QUESTIONS = 10_000
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class QuestionFile:
    """The questions of a file, in its order, and what is needed to speak about them."""

    name: str
    """The file as the user named it; `-` is standard input."""
    questions: tuple[AskedQuestion, ...]

    @property
    def shown(self) -> str:
        """Its name for a message, escaped."""
        return shown_name(self.name)


@dataclass
class Problems:
    """Problems of a file, by line."""

    file: str
    lines: int = 0
    """The number of lines that were read, without empty ones."""
    found: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def refuse(self, hint: str = "") -> None:
        """Raise QuestionsUnusable, which lists every problem, if there is any. Default of `hint`: a line's form."""
        if not self.found:
            return
        bad = len({line for line, _ in self.found})
        head = f"{shown_name(self.file)}: {bad:,} of {counted(self.lines, 'line')} cannot be used:"
        listed = [f"  line {line:,}: {problem}" for line, problem in sorted(self.found)]
        raise QuestionsUnusable(
            "\n".join([head, *listed]),
            hint=hint
            or 'Nothing was asked. A line is an object: {"id": "q1", "question": "…"}, with "paths" (a list) and '
            '"schema" (an object, or a file) if it needs them.',
        )


class QuestionsUnusable(UsageError):
    """The file of `--questions` has lines that cannot be used."""


def shown_name(name: str) -> str:
    """Return the name of a file of questions for a message, escaped."""
    return "Standard input" if name == "-" else safe_line(name, 200)


def read_questions(name: str, prefix: str = "") -> QuestionFile:
    """Return the questions of a file, or of standard input for `-`. `prefix` begins the names of their runs.

    Raises UsageError for a file that cannot be read, is too large or has no question, and QuestionsUnusable, which
    lists every line that cannot be used.
    """
    content = _content(name)
    if content.startswith(_UTF_16):
        raise UsageError(f"{shown_name(name)} is not UTF-8 text, but UTF-16.", hint="Save it as UTF-8.")
    problems = Problems(name)
    questions: list[AskedQuestion] = []
    first_line: dict[str, int] = {}
    schemas: dict[str, Any] = {}
    for number, line in _lines(content):
        problems.lines += 1
        if problems.lines > MOST_QUESTIONS:
            raise UsageError(
                f"{shown_name(name)} has more than {MOST_QUESTIONS:,} questions.", hint="Split it into several files."
            )
        try:
            asked = question_on(number, _object(line), prefix, schemas)
            if (earlier := first_line.setdefault(asked.id, number)) != number:
                raise BadLine(f"the id {safe_line(asked.id, 80)} is that of line {earlier:,}")
            questions.append(asked)
        except BadLine as bad:
            problems.found += [(number, problem) for problem in bad.problems]
    if not problems.lines:
        raise UsageError(f"{shown_name(name)} has no question.", hint='A line is {"id": "q1", "question": "…"}.')
    if problems.found:
        problems.found += asyncio.run(_unusable_schemas(questions))
    problems.refuse()
    return QuestionFile(name, tuple(questions))


def _content(name: str) -> bytes:
    try:
        if name == "-":
            content = _bounded(sys.stdin.buffer)
        else:
            with Path(name).open("rb") as file:
                content = _bounded(file)
    except OSError as error:
        raise UsageError(
            f"--questions {safe_line(name, 200)}: it cannot be read: {error.strerror}.",
            hint="Name a file of JSON Lines, or - for stdin.",
        ) from None
    if len(content) > MOST_BYTES:
        raise UsageError(
            f"{shown_name(name)} is larger than {megabytes(MOST_BYTES)}.", hint="Split it into several files."
        )
    return content


def _bounded(file: BinaryIO) -> bytes:
    return file.read(MOST_BYTES + 1)


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not empty, with their numbers. Their ends may be those of Windows."""
    for number, line in enumerate(io.BytesIO(content.removeprefix(_BOM)), start=1):
        if stripped := line.strip():
            yield number, stripped


def _object(line: bytes) -> dict[str, Any]:
    """Return the object on a line. Raises BadLine."""
    if len(line) > MOST_LINE:
        raise BadLine(f"it is longer than {megabytes(MOST_LINE)}")
    try:
        value = json.loads(line.decode(), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise BadLine(f"it is not UTF-8 text (byte {error.start + 1:,})") from None
    except json.JSONDecodeError as error:
        raise BadLine(f"it is not JSON: {error.msg} (column {error.colno:,})") from None
    except RecursionError:
        raise BadLine("it is nested too deeply") from None
    except ValueError as error:
        raise BadLine(f"it is not JSON: {safe_line(str(error), 120)}") from None
    if not isinstance(value, dict):
        raise BadLine("it is no object, such as {…}")
    return cast("dict[str, Any]", value)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise BadLine(f"{safe_line(json.dumps(twice, ensure_ascii=False), 60)} stands twice in an object")
    return found


def _no_constant(word: str) -> None:
    raise BadLine(f"it is not JSON: {word} is no number there")


async def _unusable_schemas(questions: list[AskedQuestion]) -> list[tuple[int, str]]:
    """Return the lines whose schemas cannot be used. A file without other problems has this checked by the engine."""
    # Imported here: it takes a while, and most files need it later at most.
    from ...nodes.models.schema_validation import check_schema
    from ...nodes.models.work_limit import SchemaInvalid, off_loop

    found: list[tuple[int, str]] = []
    for one in questions:
        try:
            if one.schema is not None:
                await off_loop(check_schema, dict(one.schema))
        except SchemaInvalid as error:
            found.append((one.line, f'its "schema" cannot be used: {safe_line(str(error), 200)}'))
    return found
