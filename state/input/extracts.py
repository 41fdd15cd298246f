"""Texts that were extracted from documents, kept so that a second question over the same files starts at once.

A cache, in no run's way: each entry is two files in the home's folder `extracted`, which may be deleted at any time.
An entry that was not used for 30 days is freed by `rlm gc`; a damaged one is not found.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from ..fsync import make_folder
from ..home_size import HomeLimit

FOLDER = "extracted"
"""Its name in a home."""
KEPT_SECONDS = 30 * 24 * 3600
_PIECE = 1 << 20
_FACTS, _TEXT = ".facts", ".text"


class Extracts:
    """The cache of one home. Entries have keys in hex (`nodes/input/extract_cache.py` says of what)."""

    def __init__(self, folder: Path, limit: HomeLimit | None = None) -> None:
        """Use `folder`, which is made with the first entry. `limit`: nothing is kept that would come near it."""
        self.folder = folder
        self._limit = limit
        self._new: list[Path] = []

    def has(self, key: str) -> bool:
        """Return whether there is an entry, sound or not."""
        return self._place(key).with_suffix(_FACTS).exists()

    @contextmanager
    def find(self, key: str) -> Generator[tuple[BinaryIO, BinaryIO] | None]:
        """Yield the text and the facts of an entry, as they were kept; None when there is no sound entry."""
        with ExitStack() as opened:
            yield self._found(key, opened)

    def _found(self, key: str, opened: ExitStack) -> tuple[BinaryIO, BinaryIO] | None:
        place = self._place(key)
        with contextlib.suppress(OSError, ValueError):
            facts = opened.enter_context(place.with_suffix(_FACTS).open("rb"))
            text = opened.enter_context(place.with_suffix(_TEXT).open("rb"))
            if json.loads(facts.readline()) == _checksums(facts, text):
                os.utime(place.with_suffix(_FACTS))
                return text, _after_checksums(opened, facts)
        return None

    def keep(self, key: str, text: BinaryIO, facts: BinaryIO) -> None:
        """Keep an entry, whole or not at all. Does nothing where it cannot be written: the run does not need it.

        Nor where the home would then have no room for the text itself, which the run needs.
        """
        with contextlib.suppress(OSError):
            size = _end_of(text) + _end_of(facts)
            if self._limit and not self._limit.has_room(2 * size):
                return
            place = self._place(key)
            make_folder(place.parent)
            facts.seek(0)
            checksums = json.dumps(_checksums(facts, text)).encode() + b"\n"
            # The facts last: an entry without them is not found.
            _write(place.with_suffix(_TEXT), text)
            _write(place.with_suffix(_FACTS), facts, checksums)
            self._new += [place.with_suffix(_TEXT), place.with_suffix(_FACTS)]
            if self._limit:
                self._limit.size.wrote(size)

    def take_back(self) -> None:
        """Delete the entries that were kept here: for an input that is refused."""
        for path in self._new:
            with contextlib.suppress(OSError):
                size = path.stat().st_size
                path.unlink()
                if self._limit:
                    self._limit.size.wrote(-size)

    def old(self, now: float, seconds: float = KEPT_SECONDS) -> Iterator[tuple[Path, int]]:
        """Yield the files of entries that were not used for so long, and what dead processes left, with their sizes."""
        with contextlib.suppress(OSError):
            for path in sorted(self.folder.glob("??/*")):
                with contextlib.suppress(OSError):
                    if now - _used(path) >= seconds:
                        yield path, path.stat().st_size

    def _place(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]


def _used(path: Path) -> float:
    """Return when the entry of a file was last used, in seconds since the epoch."""
    facts = path.with_suffix(_FACTS)
    return (facts if path.suffix == _TEXT and facts.exists() else path).stat().st_mtime


def _checksums(facts: BinaryIO, text: BinaryIO) -> dict[str, str]:
    """Return the hashes of the rest of the facts, and of the text."""
    text.seek(0)
    return {"facts": _hash(facts), "text": _hash(text)}


def _end_of(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _hash(file: BinaryIO) -> str:
    hashed = hashlib.sha256()
    while piece := file.read(_PIECE):
        hashed.update(piece)
    return hashed.hexdigest()


def _after_checksums(opened: ExitStack, facts: BinaryIO) -> BinaryIO:
    """Return the facts without their first line."""
    facts.seek(0)
    facts.readline()
    rest = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    opened.callback(rest.close)
    shutil.copyfileobj(facts, rest)
    rest.seek(0)
    return rest


def _write(path: Path, content: BinaryIO, before: bytes = b"") -> None:
    content.seek(0)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(before)
            shutil.copyfileobj(content, file)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
