"""The results of a reader process for one file, checked: the file may have taken the reader process over."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from .draft import ReadOptions, Unusable
from .facts import NONSENSE, ExtractedDocument, SkippedInside, facts_of
from .formats import Format

Check = Callable[[], None]
_CONTINUED = bytes(range(0x80, 0xC0))
_PIECE = 4 << 20


@dataclass(frozen=True)
class Extraction:
    """The documents of one file, and their text."""

    found: list[ExtractedDocument | SkippedInside] = field(default_factory=list["ExtractedDocument | SkippedInside"])
    text: BinaryIO | None = None
    facts: BinaryIO | None = None
    """The facts as the reader process wrote them."""

    def chunks(self, document: ExtractedDocument) -> Iterator[tuple[bytes, int]]:
        """Yield a document's text in pieces, each with its number of characters. Raises OSError."""
        assert self.text is not None
        self.text.seek(document.start)
        left = document.end - document.start
        while left:
            data = self.text.read(min(left, _PIECE))
            if not data:
                raise OSError("the extracted text was cut short")
            left -= len(data)
            yield data, len(data.translate(None, _CONTINUED)) if not data.isascii() else len(data)


class Extractor(Protocol):
    """Reads files by the readers of their formats."""

    @property
    def ahead(self) -> int:
        """The number of files to begin (`extract`) before the first of them is waited for; 0: none."""
        ...

    def extract(
        self, descriptor: int, size: int, name: str, form: Format, options: ReadOptions, check: Check
    ) -> AbstractContextManager[Extraction]:
        """Begin to read the open file, if `ahead` is not 0. Entering what is returned gives the documents.

        Either raises Unusable when the file gives nothing, and what `check` raises.
        """
        ...


def checked(text: BinaryIO, facts: BinaryIO) -> Extraction:
    """Return what was written, if it can be believed. Raises Unusable.

    Ranges follow each other in the text and are valid UTF-8 with the stated number of characters. `facts.py` checks the
    rest.
    """
    try:
        size = text.seek(0, 2)
        extraction = Extraction(list(facts_of(facts)), text, facts)
        at = 0
        for one in extraction.found:
            if isinstance(one, ExtractedDocument):
                if not at == one.start <= one.end <= size:
                    raise ValueError("the ranges of the text leave gaps")
                at = one.end
                _check_text(extraction, one)
    except (*NONSENSE, OSError) as error:
        raise Unusable(f"damaged: its reader returned nonsense ({error})"[:500]) from error
    return extraction


def _check_text(extraction: Extraction, document: ExtractedDocument) -> None:
    chars = 0
    rest = b""
    for data, _ in extraction.chunks(document):
        whole = rest + data
        cut = _whole(whole)
        chars += len(whole[:cut].decode())
        rest = whole[cut:]
    if rest or chars != document.chars:
        raise ValueError("a text that is not as long as stated")


def _whole(data: bytes) -> int:
    """Return where the last whole character of `data` ends."""
    for back in range(1, min(4, len(data)) + 1):
        if data[-back] & 0xC0 != 0x80:
            need = 1 if data[-back] < 0x80 else 2 if data[-back] < 0xE0 else 3 if data[-back] < 0xF0 else 4
            return len(data) if need <= back else len(data) - back
    return len(data)
