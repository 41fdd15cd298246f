"""Documents that are not text files (PDF, DOCX, XLSX, e-mail) as text, with their metadata.

Files are assumed to be hostile: sizes are capped before and while unpacking, and whatever error a
library raises for a broken file ends as "a damaged …". JSON, CSV, Markdown, HTML and source code are used
as they are, so that offsets in them stay true.
"""

import warnings
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any, BinaryIO

from ..errors import RlmError
from . import mail, office, pdf
from .source import Check, Unusable
from .text import Chunk, encoded

Meta = dict[str, Any]
Reader = Callable[[BinaryIO, Meta], Iterator[str]]
"""Yields a document's text in pieces and adds metadata on the way."""

LARGEST_TEXT = 256 << 20
"""Bytes of text from one document; it is held in memory until the document is known to be whole."""

_READERS: dict[str, tuple[str, Reader]] = {
    ".pdf": ("PDF", pdf.pages),
    ".docx": ("DOCX", office.paragraphs),
    ".docm": ("DOCX", office.paragraphs),
    ".xlsx": ("XLSX", office.rows),
    ".xlsm": ("XLSX", office.rows),
    ".eml": ("e-mail", mail.message),
}


def format_of(name: str, head: bytes) -> str:
    """Return the suffix whose reader a file needs, or `""` for a text file. A PDF is also known by its first bytes."""
    suffix = PurePath(name).suffix.lower()
    if suffix in _READERS:
        return suffix
    return ".pdf" if head.startswith(b"%PDF-") else ""


def extract(file: BinaryIO, suffix: str, check: Check) -> tuple[list[Chunk], Meta]:
    """Return a document's whole text and its metadata.

    Raises Unusable: damaged, password-protected, without text, too large, or its library is missing.
    """
    kind, reader = _READERS[suffix]
    meta: Meta = {}
    chunks: list[Chunk] = []
    size = 0
    try:
        # The libraries warn about oddities on stderr, which is used by the progress display.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for piece in reader(file, meta):
                check()
                data, _ = encoded(piece)
                chunks.append((data, len(piece)))
                size += len(data)
                if size > LARGEST_TEXT:
                    raise Unusable(
                        f"too large ({LARGEST_TEXT >> 20} MiB of text)", "Save it as plain text or CSV first."
                    )
    except (Unusable, RlmError, MemoryError):
        raise
    except ImportError as error:
        raise Unusable(f"of a kind ({kind}) that needs: pip install 'durable-rlm[documents]'") from error
    except Exception as error:  # a parser of hostile files may raise anything
        raise Unusable(f"a damaged {kind}", f"({type(error).__name__}: {str(error)[:200]})") from error
    return chunks, meta
