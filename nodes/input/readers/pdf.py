"""PDF pages as text, separated by form feeds (as in pdftotext)."""

import logging

from ..draft import Draft, GivenFile, Read, Unusable

# pypdf reports every oddity of a file; without a handler those lines would appear in the progress display.
logging.getLogger("pypdf").addHandler(logging.NullHandler())


def read(given: GivenFile) -> Read:
    """Yield the document. Raises ImportError without pypdf, Unusable for a protected file or one without any text."""
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    reader = PdfReader(given.file)
    if reader.is_encrypted:
        try:
            open_to_all = bool(reader.decrypt(""))
        except (DependencyError, NotImplementedError):
            open_to_all = False
        if not open_to_all:
            raise Unusable("password-protected", "Save a copy without the password.")
    draft = Draft("PDF")
    draft.meta["pages"] = len(reader.pages)
    if reader.metadata and isinstance(title := reader.metadata.title, str) and title.strip():
        draft.meta["title"] = title.strip()
    blank = True
    for number, page in enumerate(reader.pages):
        text = page.extract_text()
        blank = blank and not text.strip()
        draft.mark("pages")
        draft.write(f"\f{text}\n" if number else f"{text}\n")
    if blank:
        raise Unusable(
            "a PDF without text", "Its pages are probably images: run a text recognition (OCR) over it first."
        )
    yield draft
