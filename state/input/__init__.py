"""The input that a user gives: an ordered list of sources, and each source as UTF-8 text."""

from .paths import expand
from .source import (
    FileSource,
    IngestStopped,
    Limits,
    Notes,
    Source,
    Sources,
    StreamSource,
    TextSource,
    from_text,
    from_texts,
)

__all__ = [
    "FileSource",
    "IngestStopped",
    "Limits",
    "Notes",
    "Source",
    "Sources",
    "StreamSource",
    "TextSource",
    "expand",
    "from_text",
    "from_texts",
]
