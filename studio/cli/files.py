"""The files of the command line: inputs that must be there, and the answer's file, written whole or not at all."""

import contextlib
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ...state.errors import StoreError, UsageError
from ..terminal.escape import safe

if TYPE_CHECKING:
    from ..answer_files.tables import Table

_MOST_NAMES = 1_000
_SAVED = "It is saved with the run: `rlm resume` prints it again."


class AnswerFile:
    """The file given with `-o`, whose suffix decides the form (`answer_files`), for an answer or another value.

    Creating the object raises UsageError when the file cannot be written.
    """

    def __init__(self, path: Path, subject: str = "The answer", saved: str = _SAVED) -> None:
        """`subject` is what messages call the value, and `saved` the hint of an error: where it still is."""
        self.path = path
        self._subject = subject
        self._saved = saved
        # A link stays a link: the file that it points to is replaced.
        self._target = path.resolve()
        self._suffix = path.suffix.lower()
        self.written: Path | None = None
        """The file that was written: another one than `path` for an answer that is no table."""
        self._check()

    def is_data(self, answer: Any) -> bool:
        """Return whether an answer is written in a form for programs, in which no footnotes stand."""
        from ..answer_files.writers import actual_suffix

        return actual_suffix(self._suffix, answer) == ".json"

    def write(self, answer: Any) -> list[str]:
        """Replace the file by a JSON value, and return lines to show. Raises StoreError; the answer stays saved.

        A value that the file's form has no place for is written as JSON to a new file beside it.
        """
        # Imported here: only a run that has ended needs it.
        from ..answer_files.writers import actual_suffix, write_value

        suffix = actual_suffix(self._suffix, answer)
        if suffix == self._suffix:
            return self.write_by(lambda path: write_value(path, suffix, answer))
        beside = self._write(lambda path: write_value(path, suffix, answer), self._new_beside(suffix))[0]
        return [f"{self._subject} is no table, so it is in {safe(str(beside))} and not in {safe(str(self.path))}."]

    def write_table(self, table: "Table") -> list[str]:
        """Replace the file by a table, and return lines to show. Raises StoreError; the answer stays saved."""
        from ..answer_files.writers import write_table

        return self.write_by(lambda path: write_table(path, self._suffix, table))

    def write_by(self, write: Callable[[Path], str]) -> list[str]:
        """Replace the file by what `write` puts at a path, and return lines to show, one of them what `write` returns.

        Raises StoreError.
        """
        _, note = self._write(write, None)
        return [f"{self._subject} is in {safe(str(self.path))}.", *([safe(note)] if note else [])]

    def _write(self, write: Callable[[Path], str], beside: Path | None) -> tuple[Path, str]:
        """Write a partial file, and put it in its place: that of the given file, or a new file. Return what is said."""
        target = beside or self._target
        partial = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.partial")
        if self._is_device():
            partial = Path(tempfile.gettempdir()) / partial.name
        try:
            partial.touch(mode=0o600 if self._is_device() else 0o666, exist_ok=False)
            note = write(partial)
            if beside is None and self._is_device():
                with partial.open("rb") as source, self._target.open("wb") as device:
                    shutil.copyfileobj(source, device)
            else:
                _synced(partial)
                if beside is None:
                    with contextlib.suppress(FileNotFoundError):
                        partial.chmod(stat.S_IMODE(target.stat().st_mode))
                partial.replace(target)
        except BaseException as error:
            if beside is not None:
                # It was made for this answer alone, and is empty.
                beside.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise StoreError(
                    f"{self._subject} could not be written to {self.path}: {error.strerror or error}.",
                    hint=self._saved,
                ) from error
            raise
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        self.written = beside or self.path
        return target, note

    def _new_beside(self, suffix: str) -> Path:
        """Make an empty file beside the given one, with another suffix, and return its path. Raises StoreError.

        A file that exists is never taken: the user has not named it, and it may be the input.
        """
        for number in range(1, _MOST_NAMES):
            path = self.path.with_name(f"{self.path.stem}{f'-{number}' if number > 1 else ''}{suffix}")
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                continue
            except OSError as error:
                raise StoreError(
                    f"{self._subject} is no table, and {path} cannot be written: {error.strerror}.", hint=self._saved
                ) from error
            return path
        raise StoreError(f"{self._subject} is no table, and {self.path.stem}{suffix} exists.", hint=self._saved)

    def _is_device(self) -> bool:
        """Return whether the target is a device or a pipe (`/dev/null`), which must not be replaced by a file."""
        return self._target.exists() and not self._target.is_file()

    def _check(self) -> None:
        shown = safe(str(self.path))
        if self._target.is_dir():
            raise UsageError(f"-o {shown}: that is a folder.", hint="Name a file in it.")
        if not self._target.parent.is_dir():
            raise UsageError(f"-o {shown}: there is no folder {safe(str(self._target.parent))}.", hint="Make it first.")
        if self._suffix == ".parquet":
            from ..answer_files.parquet import check_parquet

            check_parquet()
        try:
            if self._target.exists() and not os.access(self._target, os.W_OK):
                raise PermissionError(0, "it may not be written")
            if not self._is_device():
                probe = self._target.with_name(f".{secrets.token_hex(6)}.probe")
                probe.touch(exist_ok=False)
                probe.unlink()
        except OSError as error:
            raise UsageError(
                f"-o {shown} cannot be written: {error.strerror}.", hint="Choose another place for the answer."
            ) from error


def _synced(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


class GivenFiles:
    """Reads them; standard input only once."""

    def __init__(self) -> None:
        self._stdin_taken = False

    def __call__(self, flag: str, path: str) -> str:
        """The text of a file, or of stdin for `-`. Raises UsageError."""
        try:
            if path != "-":
                return Path(path).read_text(encoding="utf-8-sig")
            if self._stdin_taken:
                _refuse(f"{flag} -: standard input is taken already.", "Give one of them as a file.")
            self._stdin_taken = True
            return sys.stdin.read()
        except OSError as error:
            _refuse(f"{flag} {path}: it cannot be read: {error.strerror}.", "Name a file, or - for stdin.")
        except UnicodeDecodeError:
            _refuse(f"{flag} {path}: that is not UTF-8 text.", "Save it as UTF-8.")


def _refuse(message: str, hint: str) -> NoReturn:
    from ...state.errors import UsageError

    raise UsageError(message, hint=hint)
