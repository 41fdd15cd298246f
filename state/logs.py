"""The logs of detached runs: one file for each thread, in the home's folder `logs`.

A thread's name is any text, so a file's name is made of it. A log never grows beyond `MOST_BYTES`: its older half is
dropped in place, and a process that has the file open goes on reading and writing it.
"""

import contextlib
import errno
import hashlib
import os
import re
import stat
from collections.abc import Generator, Iterable
from pathlib import Path

from .errors import StoreError

FOLDER = "logs"
MOST_BYTES = 5_000_000
"""The size that a log never exceeds."""
KEPT_SECONDS = 30 * 86_400.0
"""Seconds for which the log of a list of questions is kept after the last line in it."""
_SUFFIX = ".log"
_LIST = "questions~"
_PLAIN = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,99}")
"""Names that a file can have as they are, also where names of files do not differ by case alone."""
_OTHER = re.compile(r"[^a-z0-9_.-]+")


def log_name(thread_id: str) -> str:
    """Return the name of the log of a thread: another one for each thread, and safe in any folder."""
    return f"{thread_id if _PLAIN.fullmatch(thread_id) else _with_digest(thread_id)}{_SUFFIX}"


def list_log_name(file: str) -> str:
    """Return the name of the log for a list of questions, by the absolute path of its file. No thread's has it."""
    return f"{_LIST}{_with_digest(file)}{_SUFFIX}"


def _with_digest(text: str) -> str:
    # No plain name has a tilde. The end of a path says more than its beginning.
    words = _OTHER.sub("-", text.lower())[-60:].strip("-.")
    return f"{words}~{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"


def log_path(home: Path, name: str) -> Path:
    """Return the path of the log called `name`."""
    return home / FOLDER / name


class LogFile:
    """A log that is open for appending. The home may be another user's work: nothing outside of its folder is opened.

    Raises StoreError when there is something else than a file of this user.
    """

    def __init__(self, home: Path, name: str) -> None:
        self.path = log_path(home, name)
        try:
            (home / FOLDER).mkdir(mode=0o700, exist_ok=True)
            with _folder(home) as folder:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                self._edited = os.open(name, flags, 0o600, dir_fd=folder)
                _check(self._edited, stat.S_IFREG, "it is not a file of yours", 0o600)
                self.descriptor = os.open(name, (flags | os.O_APPEND) & ~os.O_CREAT, dir_fd=folder)
                """The descriptor that appends."""
                if not os.path.sameopenfile(self._edited, self.descriptor):
                    raise OSError(errno.EAGAIN, "it was replaced just now")
        except OSError as error:
            raise StoreError(f"The log {self.path} cannot be written: {error.strerror}.") from error

    def append(self, data: bytes, dropped: bytes) -> None:
        """Append whole lines, at most half of `MOST_BYTES`. Raises OSError.

        Where they would not fit, the older half is dropped first and the line `dropped` is in its place.
        """
        if os.fstat(self._edited).st_size + len(data) > MOST_BYTES:
            self._drop_older_half(dropped, MOST_BYTES // 2 - len(dropped))
        while data:
            data = data[os.write(self.descriptor, data) :]

    def _drop_older_half(self, dropped: bytes, most: int) -> None:
        size = os.fstat(self._edited).st_size
        newer = os.pread(self._edited, most, size - most)
        kept = dropped + newer[newer.find(b"\n") + 1 :]
        written = 0
        while written < len(kept):
            written += os.pwrite(self._edited, kept[written:], written)
        os.ftruncate(self._edited, len(kept))


def remove_logs(home: Path, thread_ids: Iterable[str]) -> None:
    """Remove the logs of threads that were deleted. What cannot be removed stays."""
    remove_files(home, [log_name(thread_id) for thread_id in thread_ids])


def logs_to_free(home: Path, now: float) -> list[tuple[str, int]]:
    """Return names and sizes of the logs that nothing needs unless it is their thread.

    All but those of lists of questions that were written to lately. `now` is the time in seconds since 1970.
    """
    found: list[tuple[str, int]] = []
    with contextlib.suppress(OSError), _folder(home) as folder:
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 - the folder that is open, whatever its name is now
            if not name.endswith(_SUFFIX):
                continue
            with contextlib.suppress(OSError):
                about = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if not name.startswith(_LIST) or now - about.st_mtime > KEPT_SECONDS:
                    found.append((name, about.st_size))
    return found


def remove_files(home: Path, names: Iterable[str]) -> None:
    """Remove the logs called `names`. What cannot be removed stays."""
    with contextlib.suppress(OSError), _folder(home) as folder:
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)


@contextlib.contextmanager
def _folder(home: Path) -> Generator[int]:
    """Open the folder of the logs, which may not be a link to another one. Raises OSError."""
    folder = os.open(home / FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check(folder, stat.S_IFDIR, "its folder is not one of yours", 0o700)
        yield folder
    finally:
        os.close(folder)


def _check(descriptor: int, kind: int, otherwise: str, mode: int) -> None:
    """Raise OSError unless this is of that kind, of this user and has one name; let no other user read it."""
    about = os.fstat(descriptor)
    linked = kind == stat.S_IFREG and about.st_nlink != 1
    if stat.S_IFMT(about.st_mode) != kind or about.st_uid != os.geteuid() or linked:
        raise OSError(errno.EPERM, otherwise)
    if about.st_mode & 0o077:
        os.fchmod(descriptor, mode)
