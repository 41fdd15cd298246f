"""The folder given with `--files`: the files that code has left beside its answer, written all or not at all.

Code chose their names and contents, so a name is checked before it becomes a path here, and no file is opened, shown or
made executable. The folder is new or empty, so that nothing is ever overwritten and no link is ever followed.
"""

import contextlib
import os
import secrets
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ...state.errors import StoreError, UsageError
from ...state.wording import counted, megabytes
from ..terminal.escape import HOSTILE, safe, safe_line

_LISTED = 20
_MOST_BYTES = 255
"""Bytes of a part of a path, on most systems."""
_MOST_DEEP = 20
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³")}
"""Names of devices, which Windows knows in every folder and with every suffix."""
_NO_NAME = set('<>:"|?*\\')
"""Characters that names cannot have everywhere."""


class AnswerFileSource(Protocol):
    """A file of an answer, as it is saved."""

    @property
    def name(self) -> str:
        """Its path as the code chose it."""
        ...

    @property
    def size(self) -> int:
        """Its bytes."""
        ...

    @property
    def hash(self) -> str:
        """The SHA-256 of its content."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """Yield its content, checked. Raises StoreError."""
        ...


class AnswerFolder:
    """The folder given with `--files`. Creating the object raises UsageError when it cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shown = safe(str(path))
        try:
            if path.is_dir() and not path.is_symlink():
                if any(path.iterdir()):
                    raise UsageError(
                        f"--files {shown}: that folder is not empty, and nothing in it is overwritten.",
                        hint="Name a new folder, or empty this one.",
                    )
            elif os.path.lexists(path):
                raise UsageError(f"--files {shown}: that is no folder.", hint="Name a new one.")
            if not path.parent.is_dir():
                raise UsageError(
                    f"--files {shown}: there is no folder {safe(str(path.parent))}.", hint="Make it first."
                )
            if not os.access(path.parent, os.W_OK | os.X_OK):
                raise PermissionError(0, "its folder may not be written to")
        except OSError as error:
            raise UsageError(
                f"--files {shown} cannot be written: {error.strerror}.", hint="Choose another place for the files."
            ) from error

    def write(self, files: Sequence[AnswerFileSource]) -> tuple[list[dict[str, Any]], list[str]]:
        """Make the folder with these files in it. Return what `--json` lists, and sentences about those left out.

        A file whose name cannot be one here is left out. Raises StoreError, with no folder made.
        """
        names = _Names()
        partial = self.path.with_name(f".{self.path.name[:100]}.{secrets.token_hex(4)}.partial")
        listed: list[dict[str, Any]] = []
        left_out: list[str] = []
        try:
            partial.mkdir()
            for file in files:
                why = names.refusal(file.name)
                path = None
                if why:
                    left_out.append(f"{safe_line(file.name, 80)} is not written: {why}.")
                else:
                    _write(partial.joinpath(*file.name.split("/")), file)
                    path = str(self.path / file.name)
                listed.append({"name": file.name, "size": file.size, "hash": file.hash, "path": path})
            # An empty folder of this name is replaced; one that has got a file in the meantime is not.
            partial.rename(self.path)
        except OSError as error:
            raise StoreError(
                f"The files could not be written to {self.path}: {error.strerror}.",
                hint="They are saved with the run.",
            ) from error
        finally:
            with contextlib.suppress(OSError):
                shutil.rmtree(partial)
        return listed, left_out


def _write(path: Path, file: AnswerFileSource) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as made:
        for piece in file.pieces():
            made.write(piece)
        made.flush()
        os.fsync(made.fileno())


class _Names:
    """The names taken so far, in the form in which file systems that tell no case apart see them."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def refusal(self, name: str) -> str:
        """Return why a name cannot be that of a file here; an empty text takes it."""
        parts = name.split("/")
        if name.startswith("/") or not all(parts) or any(part in (".", "..") for part in parts):
            return "its name leads out of the folder"
        if len(parts) > _MOST_DEEP or any(len(part.encode("utf-8", "replace")) > _MOST_BYTES for part in parts):
            return "its name is too long"
        if HOSTILE.search(name) or _NO_NAME.intersection(name) or "\n" in name or "\t" in name:
            return "its name has characters that names of files cannot have"
        if any(part.endswith((".", " ")) or part.partition(".")[0].rstrip().lower() in _RESERVED for part in parts):
            return "its name is reserved on some systems"
        folded = unicodedata.normalize("NFC", name).casefold()
        folders = {folded[:at] for at, character in enumerate(folded) if character == "/"}
        if folded in self._files | self._folders or folders & self._files:
            return "its name is that of another one"
        self._files.add(folded)
        self._folders |= folders
        return ""


def listing(files: Sequence[dict[str, Any]], folder: Path) -> list[str]:
    """Return lines that list written files, with size and SHA-256."""
    written = [file for file in files if file["path"]]
    lines = [f"{counted(len(written), 'file')} in {safe(str(folder))}:"] if written else []
    for file in written[:_LISTED]:
        lines.append(f"  {safe_line(file['name'])} · {megabytes(file['size'])} · sha256 {file['hash']}")
    more = len(written) - _LISTED
    return [*lines, f"  and {more:,} more, which --json lists"] if more > 0 else lines
