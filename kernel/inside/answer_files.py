"""The files in `answer_files/` of the scratch folder, which code leaves for the user.

They are sent with the final value. Links are not followed, and no device or pipe is opened: they are named as a
problem, and left out.
"""

import os
import stat
from collections.abc import Iterator
from typing import Any

from .answer_value import AnswerTooLarge
from .protocol import ANSWER_FILES, FILES_DEEP, MOST_FILE_BYTES, MOST_FILES

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PART = 4 << 20
_SHOWN = 3
_LONGEST_NAME = 255
_open, _close, _read, _fstat, _scandir = os.open, os.close, os.read, os.fstat, os.scandir


class AnswerFiles:
    """The files below `answer_files/`, in the order of their names. To be iterated once."""

    def __init__(self, scratch: str) -> None:
        self._root = f"{scratch.rstrip('/')}/{ANSWER_FILES}"
        self.found: list[dict[str, Any]] = []
        """The name and the size of each file that was sent."""
        self._left: list[str] = []
        self._bytes = 0

    def problem(self) -> str:
        """Return what was left out and why, in words; empty if nothing was."""
        more = len(self._left) - _SHOWN
        return "; ".join([*self._left[:_SHOWN], *([f"and {more:,} more files"] if more > 0 else [])])

    def __iter__(self) -> Iterator[bytes]:
        """Yield the contents of all files, one after the other, in parts. Raises AnswerTooLarge."""
        try:
            folder = _open(self._root, _FOLDER)
        except OSError:
            return
        yield from _joined(self._below(folder, ""))

    def _below(self, folder: int, above: str) -> Iterator[bytes]:
        """Yield the content of what is in a folder, and close it."""
        try:
            with _scandir(folder) as entries:
                names = sorted(entry.name for entry in entries)
            for name in names:
                yield from self._one(folder, name, f"{above}{name}")
        finally:
            _close(folder)

    def _one(self, folder: int, name: str, path: str) -> Iterator[bytes]:
        try:
            name.encode()
        except UnicodeEncodeError:
            self._leave(ascii(path), "has a name that is no text")
            return
        if not name.isprintable() or "\\" in name or len(name.encode()) > _LONGEST_NAME:
            self._leave(ascii(path), "has a name with characters that not every system knows")
            return
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                if path.count("/") + 1 >= FILES_DEEP:
                    self._leave(path, f"is deeper than {FILES_DEEP - 1} folders")
                    return
                deeper = _open(name, _FOLDER, dir_fd=folder)
                yield from self._below(deeper, f"{path}/")
                return
            opened = _open(name, _READ, dir_fd=folder) if stat.S_ISREG(mode) else -1
        except OSError as error:
            self._leave(path, f"cannot be read ({error.strerror})")
            return
        if opened < 0 or not stat.S_ISREG(_fstat(opened).st_mode):
            if opened >= 0:
                _close(opened)
            self._leave(path, "is a link" if stat.S_ISLNK(mode) else "is no ordinary file")
            return
        yield from self._content(opened, path)

    def _content(self, opened: int, path: str) -> Iterator[bytes]:
        if len(self.found) >= MOST_FILES:
            _close(opened)
            raise AnswerTooLarge(f"{ANSWER_FILES}/ has more than {MOST_FILES:,} files: put them into an archive")
        size = 0
        try:
            while part := _read(opened, _PART):
                size += len(part)
                self._bytes += len(part)
                if self._bytes > MOST_FILE_BYTES:
                    raise AnswerTooLarge(f"{ANSWER_FILES}/ has more than {MOST_FILE_BYTES >> 30} GB: leave less there")
                yield part
        finally:
            _close(opened)
        self.found.append({"name": path, "size": size})

    def _leave(self, path: str, why: str) -> None:
        self._left.append(f"{ANSWER_FILES}/{path} {why}: it is left out")


def _joined(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in few parts."""
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= _PART:
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)
