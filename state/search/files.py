"""The files of search indexes in a home's folder `search`: named by what they were made of, freed when unused."""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..call_keys import digest
from ..fsync import make_folder
from .build import FORM
from .errors import SearchUnavailable
from .words import Engine

FOLDER = "search"
"""Its name in a home."""
KEPT_SECONDS = 30 * 24 * 3600
_BUILDING_SECONDS = 3600.0
"""Seconds without a change after which no process builds a file any more."""
_PARTIAL = ".partial-"


def name_of(pack: str, index: str, start: int, end: int) -> str:
    """Return the name of the index of an input: this range of a pack, with this index of its documents (hashes)."""
    return digest("search", FORM, pack, index, start, end)


class IndexFiles:
    """The folder of indexes of one home."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which is made with the first index."""
        self.folder = folder

    def make(self) -> None:
        """Make the folder if it is missing. Raises SearchUnavailable when it cannot be made or others may write to it.

        An index in it could be theirs.
        """
        try:
            if not self.folder.is_symlink():
                make_folder(self.folder)
            facts = self.folder.lstat()
        except OSError as error:
            raise SearchUnavailable(f"No search index can be kept in {self.folder}: {error.strerror}.") from error
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
            raise SearchUnavailable(
                f"{self.folder} is a link, or others may write to it, so no search index is read from it.",
                hint="Delete it: the next search makes it again.",
            )

    def path(self, name: str, engine: Engine = "fts5") -> Path:
        """Return the path of the index with this name, built or not: a file, or a folder with tantivy."""
        return self.folder / f"{name}.{engine}"

    def partial(self, engine: Engine = "fts5") -> Path:
        """Make an empty file or folder in which an index is built. Raises OSError."""
        if engine == "tantivy":
            return Path(tempfile.mkdtemp(dir=self.folder, prefix=_PARTIAL))
        descriptor, path = tempfile.mkstemp(dir=self.folder, prefix=_PARTIAL)
        os.close(descriptor)
        return Path(path)

    def old(self, now: float, seconds: float = KEPT_SECONDS) -> Iterator[tuple[Path, int]]:
        """Yield the indexes that were not used for so long, and what dead processes left, with their sizes."""
        with contextlib.suppress(OSError):
            for path in sorted(self.folder.iterdir()):
                with contextlib.suppress(OSError):
                    facts = path.lstat()
                    least = _BUILDING_SECONDS if path.name.startswith(_PARTIAL) else seconds
                    if now - facts.st_mtime >= least:
                        yield path, facts.st_size + (_size(path) if stat.S_ISDIR(facts.st_mode) else 0)


def remove(path: Path) -> None:
    """Delete an index, if it is there. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _size(folder: Path) -> int:
    return sum(one.lstat().st_size for one in folder.iterdir())
