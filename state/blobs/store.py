"""Content-addressed files: bytes that are too large for the database, stored under their hash.

A blob is written beside its final place, fsynced, renamed, and its folder fsynced: it exists whole or
not at all (promise P1). It never changes afterwards, so readers may map it.

Its modification time is when a writer last needed it, like `touched` in rows. A writer needs a blob from `touch` or
`commit` on, and refers to it in a database commit soon after (an input's blobs: in its run's row). A blob that
nothing refers to and that was not touched lately may be deleted (`maintenance/gc.py`); a lock on the folder
serializes the two.
"""

import copy
import errno
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from ..errors import CHANGED, MISSING, StoredDataDamaged, StoreError
from ..failpoints import Failpoint, no_failpoint
from ..fsync import make_folder, sync_folder
from ..home_size import HomeLimit, HomeSize

HASH_LENGTH = 64
_CHUNK = 4 << 20
_PARTIAL = ".partial-"
_OWNER = ".home"
"""A file in the folder of blobs."""
_HEX = set("0123456789abcdef")


def owner_of(home_id: str | None) -> str:
    """Return what a folder of blobs says of the home with this id, which cannot be found from it."""
    return hashlib.sha256(f"blobs of {home_id}".encode()).hexdigest()


def content_hash(data: bytes) -> str:
    """Return the name of these bytes: SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


class Blobs:
    """The folder of blobs: `ab/cdef…`, folders 0700, files 0600."""

    def __init__(
        self,
        folder: Path,
        failpoint: Failpoint = no_failpoint,
        home_id: str | None = None,
        size: HomeSize | None = None,
    ) -> None:
        """Use `folder`, which is made with the first blob, for the home with this id.

        What is written is added to `size`, by default that of the folder around it.
        """
        self.folder = folder
        self.size = size or HomeSize(folder.parent)
        self.limit: HomeLimit | None = None
        """The limit within which blobs are written; None where they are written in any case."""
        self.what = ""
        """The name of the data in the error about it."""
        self._home_id = home_id
        self.failpoint = failpoint
        self._sound: set[str] = set()
        """Blobs whose bytes this process has written or checked."""

    def within(self, limit: HomeLimit, what: str) -> "Blobs":
        """Return the same blobs, whose writers raise HomeFull rather than exceed the limit. `what` is written."""
        limited = copy.copy(self)
        limited.limit, limited.what = limit, what
        return limited

    def make(self) -> None:
        """Make the folder if it is missing, and note in it which database it belongs to. Raises OSError."""
        new = not self.folder.exists()
        make_folder(self.folder)
        if new and self._home_id:
            with suppress(FileExistsError):
                descriptor = os.open(self.folder / _OWNER, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w") as file:
                    file.write(owner_of(self._home_id))

    def owner(self) -> str | None:
        """Return what the folder says of the home that it was made for; None when it says nothing."""
        try:
            return (self.folder / _OWNER).read_text(encoding="ascii", errors="replace")
        except OSError:
            return None

    def path(self, name: str) -> Path:
        """Return the path of the blob `name` (64 hex digits), stored or not. Raises ValueError for any other name."""
        if len(name) != HASH_LENGTH or not set(name) <= _HEX:
            raise ValueError(f"not a blob name: {name!r}")
        return self.folder / name[:2] / name[2:]

    def has(self, name: str) -> bool:
        """Return whether the blob is stored (its bytes are checked when read, not here)."""
        return self.path(name).is_file()

    def touch(self, name: str) -> bool:
        """Mark the blob as about to be referred to, so that it is not collected. Return False when it is not stored."""
        try:
            with locked(self.folder, fcntl.LOCK_SH):
                os.utime(self.path(name))
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _cannot_write(self.folder, error) from error
        return True

    def put(self, data: bytes) -> str:
        """Store `data` durably and return its hash. Storing it again costs a lookup and the syncing of two folders."""
        self.put_all([data])
        return content_hash(data)

    def put_all(self, bodies: Iterable[bytes]) -> None:
        """Store many bodies; each folder is synced once."""
        folders: set[Path] = set()
        for data in bodies:
            name = content_hash(data)
            folders.add(self.path(name).parent)
            if not self.touch(name):
                with self.writer() as writer:
                    writer.write(data)
                    writer.commit(synced=False)
        # Folders of existing blobs are synced too: their writer may have been killed before it synced.
        self._sync(folders)

    def open(self, name: str) -> BinaryIO:
        """Return the blob's file for reading. Raises OSError, also for a link or a pipe in its place."""
        descriptor = os.open(self.path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not an ordinary file")
        return os.fdopen(descriptor, "rb")

    def read(self, name: str) -> bytes:
        """Return the blob's bytes, checked. Raises StoredDataDamaged when missing or changed."""
        try:
            with self.open(name) as file:
                data = file.read()
        except OSError as error:
            fault = MISSING if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
            raise StoredDataDamaged(f"The stored blob {name[:12]}… {fault}.", hint="Run `rlm verify`.") from None
        if content_hash(data) != name:
            raise StoredDataDamaged(f"The stored blob {name[:12]}… {CHANGED}.", hint="Run `rlm verify`.")
        return data

    def chunks(self, name: str, size: int = _CHUNK) -> Iterator[bytes]:
        """Yield the blob's bytes, at most `size` at a time. Raises StoredDataDamaged, for a wrong hash at the end."""
        digest = hashlib.sha256()
        try:
            with self.open(name) as file:
                while chunk := file.read(size):
                    digest.update(chunk)
                    yield chunk
        except OSError as error:
            fault = MISSING if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
            raise StoredDataDamaged(f"The stored blob {name[:12]}… {fault}.", hint="Run `rlm verify`.") from None
        if digest.hexdigest() != name:
            raise StoredDataDamaged(f"The stored blob {name[:12]}… {CHANGED}.", hint="Run `rlm verify`.")

    def check(self, name: str, *, progress: Callable[[int], None] | None = None) -> None:
        """Read the blob in pieces and compare its hash. Raises StoredDataDamaged."""
        if fault := self.fault(name, progress=progress):
            raise StoredDataDamaged(f"The stored blob {name[:12]}… {fault}.", hint="Run `rlm verify`.")

    def check_once(self, name: str) -> None:
        """Check a blob that others will read, unless this process wrote or checked it. Raises StoredDataDamaged."""
        if name not in self._sound:
            self.check(name)
            self._sound.add(name)

    def fault(self, name: str, *, progress: Callable[[int], None] | None = None) -> str | None:
        """Return what is wrong with the blob (`is missing`, …) after reading it in pieces; None when it is whole."""
        digest = hashlib.sha256()
        try:
            with self.open(name) as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                    if progress:
                        progress(len(chunk))
        except FileNotFoundError:
            return MISSING
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        return None if digest.hexdigest() == name else CHANGED

    def stored(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the name and the stat of every stored blob. Other files are skipped."""
        for folder in _entries(self.folder):
            if len(folder.name) == 2 and folder.is_dir(follow_symlinks=False):
                for entry in _entries(Path(folder.path)):
                    name = folder.name + entry.name
                    if len(name) == HASH_LENGTH and set(name) <= _HEX and (facts := _facts(Path(entry.path))):
                        yield name, facts

    def remove(self, name: str, touched: int) -> bool:
        """Delete a blob unless its modification time (ns) is not `touched`; return whether it is gone.

        Raises StoreError.
        """
        path = self.path(name)
        try:
            with locked(self.folder, fcntl.LOCK_EX):
                if path.stat().st_mtime_ns != touched:
                    return False
                path.unlink()
        except FileNotFoundError:
            return True
        except OSError as error:
            raise _cannot_write(self.folder, error) from error
        return True

    def leftovers(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Yield the files of writers that died before they were done."""
        for entry in _entries(self.folder):
            path = Path(entry.path)
            if entry.name.startswith(_PARTIAL) and (facts := _facts(path)) and not _being_written(path):
                yield path, facts

    def _sync(self, folders: set[Path]) -> None:
        """Make names durable. Raises StoreError."""
        try:
            for folder in folders:
                sync_folder(folder)
            if folders:
                sync_folder(self.folder)
        except OSError as error:
            raise _cannot_write(self.folder, error) from error
        if folders:
            self.failpoint("blob-after")

    def writer(self) -> "BlobWriter":
        """Return a writer for a blob of unknown size; use it as a context manager and `commit()` it."""
        return BlobWriter(self)


class BlobWriter:
    """Writes a blob of any size in pieces. Nothing is stored unless `commit` ran."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._digest = hashlib.sha256()
        self.size = 0
        self._committed = False
        try:
            blobs.make()
            self._partial = blobs.folder / f"{_PARTIAL}{secrets.token_hex(8)}"
            descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            # Held while this process has the file open: an input may arrive slowly, and is no leftover meanwhile.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise _cannot_write(blobs.folder, error) from error
        self._file = os.fdopen(descriptor, "wb", buffering=1 << 20)

    def write(self, data: bytes) -> None:
        """Append `data`. Raises StoreError when the disk refuses, HomeFull when the limit on the home does."""
        if self._blobs.limit:
            self._blobs.limit.need(len(data), self._blobs.what)
        try:
            self._file.write(data)
        except OSError as error:
            raise _cannot_write(self._blobs.folder, error) from error
        self._blobs.size.wrote(len(data))
        self._digest.update(data)
        self.size += len(data)

    def commit(self, *, synced: bool = True) -> str:
        """Make the blob durable under its hash and return the hash. Without `synced`, the caller syncs its folders."""
        name = self._digest.hexdigest()
        target = self._blobs.path(name)
        self._blobs.failpoint("blob-before")
        try:
            self._file.flush()
            os.utime(self._file.fileno())
            os.fsync(self._file.fileno())
            self._file.close()
            target.parent.mkdir(mode=0o700, exist_ok=True)
            with locked(self._blobs.folder, fcntl.LOCK_SH):
                # An input that is read again replaces what it left before.
                replaced = target.stat().st_size if target.exists() else 0
                self._partial.replace(target)
        except OSError as error:
            raise _cannot_write(self._blobs.folder, error) from error
        self._committed = True
        self._blobs.size.wrote(-replaced)
        self._blobs.failpoint("blob-unsynced")
        self._blobs._sound.add(name)
        if synced:
            self._blobs._sync({target.parent})
        return name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        # The buffer is discarded, and flushing it may fail on a full disk.
        with suppress(OSError):
            self._file.close()
        self._partial.unlink(missing_ok=True)
        if not self._committed:
            self._blobs.size.wrote(-self.size)


@contextmanager
def locked(folder: Path, kind: int) -> Generator[None]:
    """Hold a lock on `folder` (`fcntl.LOCK_SH` or `LOCK_EX`), which also excludes other threads of this process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def _being_written(partial: Path) -> bool:
    try:
        with locked(partial, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return False
    except OSError:
        return True


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _facts(path: Path) -> os.stat_result | None:
    try:
        return path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def _cannot_write(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"Cannot write to {folder}: {error.strerror}.",
        hint="Free space or fix its permissions, or name another folder with --home.",
    )
