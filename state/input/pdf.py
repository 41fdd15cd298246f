"""PDF pages as text, a form feed between them (as pdftotext does)."""

import logging
from collections.abc import Iterator
from typing import Any, BinaryIO

from .source import Unusable

# It reports every oddity of a file; without a handler those lines would land in the progress display.
logging.getLogger("pypdf").addHandler(logging.NullHandler())


def pages(file: BinaryIO, meta: dict[str, Any]) -> Iterator[str]:
    """The text of each page. `meta` gains `pages` (their number) and, if it has one, `title`.

    Raises ImportError without pypdf, Unusable for a protected file or one without any text.
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    reader = PdfReader(file)
    if reader.is_encrypted:
        try:
            open_to_all = bool(reader.decrypt(""))
        except (DependencyError, NotImplementedError):
            open_to_all = False
        if not open_to_all:
            raise Unusable("password-protected", "Save a copy without the password.")
    meta["pages"] = len(reader.pages)
    if reader.metadata and isinstance(title := reader.metadata.title, str) and title.strip():
        meta["title"] = title.strip()
    blank = True
    for number, page in enumerate(reader.pages):
        text = page.extract_text()
        blank = blank and not text.strip()
        yield f"\f{text}\n" if number else f"{text}\n"
    if blank:
        raise Unusable(
            "a PDF without text", "Its pages are probably images: run a text recognition (OCR) over it first."
        )
