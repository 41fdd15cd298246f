"""An extractor that keeps what readers make of files (`state/input/extracts.py`), for files that are equal.

The key is a hash of the file's bytes and name, of the readers and their versions, of the versions of the libraries that
they use, and of the options. What was read with passwords at hand is not kept, nor that a file gave nothing.
"""

import hashlib
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from importlib import metadata

from ...state.call_keys import digest
from ...state.input.extracts import Extracts
from .draft import ReadOptions
from .extraction import Check, Extraction, Extractor, checked
from .formats import Format, formats

_PIECE = 1 << 20
_GENERATION = 1
"""Raised when the form of what the worker writes changes."""


class CachingExtractor:
    """An extractor with a cache before it."""

    def __init__(self, extractor: Extractor, extracts: Extracts) -> None:
        self._extractor = extractor
        self._extracts = extracts

    @contextmanager
    def extract(
        self, descriptor: int, size: int, name: str, form: Format, options: ReadOptions, check: Check
    ) -> Generator[Extraction]:
        """Read the open file, or take what was made of it before (`extraction.Extractor`)."""
        key = "" if options.passwords else _key(descriptor, name, form, options, check)
        with self._extracts.find(key) as found:
            if key and found:
                yield checked(*found)
                return
        with self._extractor.extract(descriptor, size, name, form, options, check) as extraction:
            if key and extraction.text and extraction.facts:
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
