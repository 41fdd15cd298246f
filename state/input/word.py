"""DOCX as text: a line for a paragraph, a table's cells with tabs between them.

The XML is walked here, because python-docx's own paragraphs leave out what stands in content controls,
in tracked insertions and in text boxes.
"""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, cast

from .office import look_inside

_SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


def paragraphs(file: BinaryIO, meta: dict[str, Any]) -> Iterator[str]:
    """The text of each paragraph and table. `meta` gains `title`, if it has one.

    Raises ImportError without python-docx, Unusable for a protected or a huge file.
    """
    from docx import Document

    look_inside(file)
    document = Document(file)
    if title := document.core_properties.title.strip():
        meta["title"] = title
    for block in cast("Iterable[Any]", document.element.body):
        yield _text(block)


def _text(element: Any) -> str:
    name = _name(element)
    if name == "t":
        return str(element.text or "")
    if name in _SIGNS:
        # A `tab` outside a run is only the definition of a tab stop.
        return _SIGNS[name] if _name(element.getparent()) == "r" else ""
    if name == "Fallback":
        return ""  # repeats the text of the `Choice` beside it
    parts = [_text(child) for child in element]
    if name == "tc":
        return " ".join("".join(parts).split())
    if name == "tr":
        cells = [part for part, child in zip(parts, element, strict=True) if _name(child) in ("tc", "sdt")]
        return "\t".join(cells) + "\n"
    return "".join(parts) + ("\n" if name == "p" else "")


def _name(element: Any) -> str:
    """The element's name without its namespace; nothing for comments."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
