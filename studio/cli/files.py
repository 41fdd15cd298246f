"""The files of the command line: inputs that must be there, and the answer's file, written whole or not at all."""

import contextlib
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import Any, NoReturn

from ...state.errors import StoreError, UsageError
from ..terminal.escape import answer_text, safe


class AnswerFile:
    """The file given with `-o`. Creating the object raises UsageError when the file cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # A link stays a link: the file that it points to is replaced.
        self._target = path.resolve()
        self._check()

    def write(self, answer: Any) -> None:
        """Replace the file by the answer. Raises StoreError; the answer stays saved with the run."""
        data = answer_text(answer).encode("utf-8", "replace")
        try:
            if self._is_device():
                self._target.write_bytes(data)
            else:
                self._replace(data)
        except OSError as error:
            raise StoreError(
                f"The answer could not be written to {self.path}: {error.strerror}.",
                hint="It is saved with the run: `rlm resume` prints it again.",
            ) from error

    def _replace(self, data: bytes) -> None:
        partial = self._target.with_name(f".{self._target.name[:100]}.{secrets.token_hex(4)}.partial")
        try:
            with partial.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileNotFoundError):
                partial.chmod(stat.S_IMODE(self._target.stat().st_mode))
            partial.replace(self._target)
        finally:
            partial.unlink(missing_ok=True)

    def _is_device(self) -> bool:
        """Return whether the target is a device or a pipe (`/dev/null`), which must not be replaced by a file."""
        return self._target.exists() and not self._target.is_file()

    def _check(self) -> None:
        shown = safe(str(self.path))
        if self._target.is_dir():
            raise UsageError(f"-o {shown}: that is a folder.", hint="Name a file in it.")
        if not self._target.parent.is_dir():
            raise UsageError(f"-o {shown}: there is no folder {safe(str(self._target.parent))}.", hint="Make it first.")
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
