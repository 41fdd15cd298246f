"""The lines out: one JSON document for each question as it ends, on stdout or in the file of `-o`."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from ...state.errors import StoreError, UsageError
from ..cli.files import AnswerFile
from ..terminal.console import put
from ..terminal.escape import safe, safe_json

SAVED = "Each answer is saved: the same command again prints them all, and asks nothing twice."
_SUFFIXES = (".jsonl", ".ndjson")


class LinesOut:
    """Takes the lines, and keeps what could not be written. Creating the object raises UsageError for a bad `-o`."""

    def __init__(self, output: Path | None, questions: str) -> None:
        """`questions` is the file of the questions."""
        self._file = None if output is None or str(output) == "-" else _checked(output, questions)
        self._kept: IO[bytes] | None = None
        """The lines for the file, in a file without a name, until all of them are there."""
        self.problem: StoreError | None = None
        """The first error of writing; later lines are not written, but stay saved with their runs."""

    def __enter__(self) -> "LinesOut":
        return self

    def __exit__(self, *_: object) -> None:
        if self._kept is not None:
            self._kept.close()

    def put(self, document: Mapping[str, Any], aside: Callable[[], AbstractContextManager[None]]) -> None:
        """Write a document as a line. Within `aside()` nothing else is drawn on a terminal that stdout may be."""
        if self.problem:
            return
        line = safe_json(document, one_line=True)
        try:
            if self._file is None:
                with aside():
                    put(line)
            else:
                self._kept = self._kept or tempfile.TemporaryFile()  # noqa: SIM115
                self._kept.write(f"{line}\n".encode())
        except OSError as error:
            self.problem = StoreError(f"The answers could not be kept: {error.strerror}.", hint=SAVED)
        except StoreError as error:
            self.problem = StoreError(error.message, hint=SAVED)

    def finish(self, *, whole: bool) -> list[str]:
        """Write the file of `-o`, unless questions have no line yet (`whole`), and return lines to show."""
        if self._file is None or self._kept is None or self.problem:
            return []
        if not whole:
            return [f"{safe(str(self._file.path))} is not written: it is, once every question has ended."]
        kept = self._kept
        try:
            return self._file.write_by(lambda path: _copy(kept, path))
        except StoreError as error:
            self.problem = error
            return []


def _copy(kept: IO[bytes], path: Path) -> str:
    kept.seek(0)
    with path.open("wb") as file:
        shutil.copyfileobj(kept, file)
    return ""


def _checked(output: Path, questions: str) -> AnswerFile:
    shown = safe(str(output))
    if output.suffix.lower() not in _SUFFIXES:
        raise UsageError(
            f"-o {shown}: with --questions the answers are JSON Lines.", hint="Name a file that ends in .jsonl."
        )
    if questions != "-" and output.resolve() == Path(questions).resolve():
        raise UsageError(f"-o {shown}: that is the file of the questions.", hint="Name another file.")
    return AnswerFile(output, "The line of each question", SAVED)
