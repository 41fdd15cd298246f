"""The place of a citation in its document: line, column, page, and words for a reader."""

from collections.abc import Iterable
from dataclasses import dataclass

from ...kernel.inside.context import Document, Documents
from ...kernel.inside.context_file import Pack
from ...kernel.inside.placed import Placed
from ...state.blobs.store import Blobs
from ...state.input.context import ContextRef, context_files

_LONGEST_NAME = 200


@dataclass(frozen=True)
class Place:
    """The place of a character."""

    line: int | None
    column: int | None
    page: int | None
    words: str


NOWHERE = Place(None, None, None, "")


class InputPlaces:
    """The places of a stored input. Reads files: for use in a thread."""

    def __init__(self, reference: ContextRef, blobs: Blobs) -> None:
        """Open the input. Raises StoredDataDamaged."""
        pack, index, start, end = context_files(reference, blobs)
        self._documents = Documents(str(pack), str(index)) if index else None
        self._known: dict[str, Placed] = {}
        if index is None:
            self._known[""] = one_text(str(pack), start, end, reference["chars"])

    def at(self, document: str, offset: int) -> Place:
        """Return the place of a character of a document. Places that cannot be read are left out."""
        try:
            return place_of(self._placed(document), offset)
        except (LookupError, ValueError):
            return Place(None, None, None, document)

    def _placed(self, name: str) -> Placed:
        known = self._known.get(name)
        if known is None:
            if self._documents is None:
                raise KeyError(name)
            known = self._known[name] = self._documents[name]
        return known


def one_text(pack: str, start: int, end: int, chars: int) -> Document:
    """Return a text without a name and an index as a document."""
    return Document(Pack.open(pack), "", start, end, chars, {}, b"")


def place_of(document: Placed, offset: int) -> Place:
    """Return the place of a character. Raises LookupError when the places are damaged, or outside of the text."""
    page = _page_of(document, offset)
    place = document.address_of(offset) or document.place_of(offset)
    return Place(document.line_of(offset), document.column_of(offset), page, in_words(document.name, place))


def _page_of(document: Placed, offset: int) -> int | None:
    """Return the number of the page in which a character is; None without pages, and before the first one."""
    try:
        return document.page_of(offset)
    except IndexError:
        raise
    except LookupError:
        return None


def in_words(name: str, place: str) -> str:
    """Return a document's name and a place in it as one text."""
    return " ".join(_shown([name, place]))


def _shown(parts: Iterable[str]) -> Iterable[str]:
    return (part if len(part) <= _LONGEST_NAME else f"{part[: _LONGEST_NAME - 1]}…" for part in parts if part)
