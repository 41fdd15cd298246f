"""Folders to read, made once by generators and kept in `bench/.results/input`."""

import random
import re
import string
from collections.abc import Iterator
from pathlib import Path

from tests.nodes.input.corpus import Sample, corpus
from tests.nodes.input.pdf_files import Pdf

WORD = re.compile(r"\w+")
_WORDS = 5_000
_LINE = 80
_PIECE = 8 << 20


def plain(path: Path, size: int) -> None:
    """Write a text of about `size` bytes: lines of words, one in a hundred not ASCII."""
    rng = random.Random(1)
    words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 10))) for _ in range(_WORDS)]
    words += ["größer", "naïve", "日本語"] * (_WORDS // 300)
    piece = "".join(f"{' '.join(rng.choices(words, k=_LINE // 7))}\n" for _ in range(_PIECE // _LINE)).encode()
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(piece)


def office(folder: Path, files: int) -> list[Sample]:
    """Write files of all formats with planted sentences, and return them."""
    samples = _numbered(files)
    for sample in samples:
        (folder / sample.name).write_bytes(sample.data)
    return samples


def _numbered(files: int) -> list[Sample]:
    return [
        Sample(f"{number:05}-{sample.name}", sample.data, sample.planted)
        for number, sample in enumerate(corpus(files))
        if "/" not in sample.name
    ]


def pdfs(folder: Path, files: int = 100, pages: int = 30) -> None:
    """Write PDFs of some pages of text."""
    rng = random.Random(2)
    words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 10))) for _ in range(_WORDS)]
    for number in range(files):
        document = Pdf(compressed=True)
        for _ in range(pages):
            document.text_page(" ".join(rng.choices(words, k=12)) for _ in range(40))
        (folder / f"report-{number:03}.pdf").write_bytes(document.bytes())


def mostly_unread(folder: Path, size: int, readable: float) -> None:
    """Write images of `size` bytes together, without using the disk for them, and texts of the share `readable`."""
    each = 10 << 20
    for number in range(int(size * (1 - readable)) // each):
        with (folder / f"photo-{number:05}.png").open("wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            file.truncate(each)
    for number in range(int(size * readable) // (1 << 20)):
        plain(folder / f"notes-{number:05}.txt", 1 << 20)


def words(sample: Sample) -> Iterator[str]:
    """Yield the planted words of a file, all of which a complete reader finds."""
    for planted in sample.planted:
        if not planted.loss:
            yield from WORD.findall(planted.sentence)
