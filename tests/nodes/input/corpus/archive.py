"""Archives with sentences in files of several formats and at several depths."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from random import Random

from . import Planted, Sample, sentence


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a ZIP archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    """Return a tar archive."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def _files(random: Random, depth: int, planted: list[Planted]) -> dict[str, bytes]:
    def plant(part: str, loss: str = "") -> str:
        words = sentence(random, part)
        planted.append(Planted(words, part, loss))
        return words

    files = {
        "notes.txt": plant("text").encode(),
        "folder/deep/näme.md": plant("folder").encode(),
        "table.csv": f"a,b\n1,{plant('table')}\n".encode(),
        "page.html": f"<p>{plant('page')}</p>".encode(),
        "latin.txt": (plant("latin") + " é\n").encode("latin-1"),
        ".hidden/file.txt": plant("hidden", "hidden").encode(),
        "old.log.gz": gzip.compress(plant("log").encode()),
        "image.png": b"\x89PNG\r\n\x1a\n\0",
        "run.ipynb": f'{{"cells": [{{"cell_type": "raw", "source": "{plant("notebook")}"}}]}}'.encode(),
    }
    if depth:
        files["inner.zip"] = zipped(_files(random, depth - 1, planted))
        files["inner.tar.xz"] = lzma.compress(tarred(_files(random, depth - 1, planted)))
    return files


_KINDS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "bundle.zip": zipped,
    "stored.zip": lambda files: zipped(files, zipfile.ZIP_STORED),
    "bundle.tar": tarred,
    "bundle.tgz": lambda files: gzip.compress(tarred(files)),
    "bundle.tar.bz2": lambda files: bz2.compress(tarred(files)),
    "bundle.dat": lambda files: lzma.compress(tarred(files)),
    "cut.zip": lambda files: zipped(files)[:-30],
}


def samples(random: Random) -> list[Sample]:
    """Make an archive of each kind, and compressed files."""
    made: list[Sample] = []
    for name, pack in _KINDS.items():
        planted: list[Planted] = []
        made.append(Sample(name, pack(_files(random, 1, planted)), planted))
    for name, compress in (("a.log.gz", gzip.compress), ("a.txt.bz2", bz2.compress), ("a.html.xz", lzma.compress)):
        words = sentence(random, "compressed")
        made.append(Sample(name, compress(words.encode()), [Planted(words, "compressed")]))
    return made
