"""An extractor that keeps what readers make of files (`state/input/extracts.py`), for files that are equal.

The key is a hash of the file's bytes and name, of the readers and their versions, of the versions of the libraries that
they use, and of the options. What was read with passwords at hand is not kept, nor that a file gave nothing.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib import metadata

from ...state.call_keys import digest
from ...state.input.extracts import Extracts
from .draft import ReadOptions
from .extraction import Check, Extraction, Extractor, checked
from .formats import Format, formats

_PIECE = 1 << 20
_GENERATION = 1
"""Raised when the form of what the reader process writes changes."""


class CachingExtractor:
    """An extractor with a cache before it."""

    def __init__(self, extractor: Extractor, extracts: Extracts) -> None:
        self._extractor = extractor
        self._extracts = extracts

    @property
    def ahead(self) -> int:
        """The number of files to begin before the first of them is waited for."""
        return self._extractor.ahead

    def extract(
        self, descriptor: int, size: int, name: str, form: Format, options: ReadOptions, check: Check
    ) -> AbstractContextManager[Extraction]:
        """Begin to read the open file, unless it was read before (`extraction.Extractor`)."""
        if options.passwords:
            return self._extractor.extract(descriptor, size, name, form, options, check)
        key = _key(descriptor, name, form, options, check)
        if self._extracts.has(key):
            return self._found(key, lambda: self._extractor.extract(descriptor, size, name, form, options, check))
        return self._kept(key, self._extractor.extract(descriptor, size, name, form, options, check))

    @contextmanager
    def _found(self, key: str, read: Callable[[], AbstractContextManager[Extraction]]) -> Generator[Extraction]:
        with self._extracts.find(key) as found:
            if found:
                yield checked(*found)
                return
        with self._kept(key, read()) as extraction:
            yield extraction

    @contextmanager
    def _kept(self, key: str, reading: AbstractContextManager[Extraction]) -> Generator[Extraction]:
        with reading as extraction:
            if extraction.text and extraction.facts:
                self._extracts.keep(key, extraction.text, extraction.facts)
            yield extraction


def _key(descriptor: int, name: str, form: Format, options: ReadOptions, check: Check) -> str:
    hashed = hashlib.sha256()
    at = 0
    while piece := os.pread(descriptor, _PIECE, at):
        hashed.update(piece)
        at += len(piece)
        check()
    return digest("extract", hashed.hexdigest(), name, form.kind, options.encoding, _readers())


@cache
def _readers() -> str:
    """Return a digest of every reader and library: files inside a file may be of any format."""
    known = [[one.kind, one.reader, one.version, *map(_version, one.packages)] for one in formats()]
    return digest(_GENERATION, known, shutil.which("soffice"))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
