"""Texts that flags name as files."""

import sys
from pathlib import Path
from typing import NoReturn


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
