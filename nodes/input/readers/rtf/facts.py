"""Facts that RTF has beside its text: authors of changes, styles, properties, who wrote a comment."""

import re
from collections.abc import Callable

from ...draft import Draft
from .destinations import INFORMATION

_MOST_AUTHORS = 10_000
_MOST_PROPERTIES = 1_000
_LONGEST = 10_000
_HEADING = re.compile(r"(?:heading|überschrift|titre|título|titolo|kop|rubrik) (\d)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{2,}")
_SHOWN_PROPERTIES = frozenset(["wzDescription", "gtextUNICODE"])
"""Properties of shapes that hold words: the description, the text of WordArt."""


class Facts:
    """Gathers them from the texts of their groups."""

    def __init__(self, draft: Draft, note: Callable[[str], None]) -> None:
        """`note` writes a line behind the present paragraph."""
        self._draft = draft
        self._note = note
        self._authors: list[str] = []
        self._levels: dict[int, int] = {}
        self._last: dict[str, str] = {}
        """The last text of each role that belongs to a later one."""
        self._endings: dict[str, Callable[[str], None]] = {
            "authors": self._end_authors,
            "form text": lambda text: self._note(f"[form field: {text}]"),
            "property value": self._end_property,
            "shape value": self._end_shape,
            "unknown": self._end_unknown,
        }

    def end(self, role: str, text: str) -> None:
        """Take the text of a group that gathers `role`."""
        if not text:
            return
        if role.startswith("info:"):
            self._draft.meta.setdefault(INFORMATION[role[5:]], text[:_LONGEST])
        elif ending := self._endings.get(role):
            ending(text)
        else:
            self._last[role] = " ".join(text.split())[:_LONGEST]

    def end_style(self, number: int, text: str) -> None:
        """Take the name of a style."""
        if found := _HEADING.match(text.strip()):
            self._levels.setdefault(number, int(found[1]))

    def set_level(self, style: int, level: int) -> None:
        """Note that a style is a heading."""
        self._levels[style] = level

    def level(self, style: int) -> int:
        """Return a style's level as a heading; 0 for text."""
        return self._levels.get(style, 0)

    def author(self, number: int) -> str:
        """Return an author of changes."""
        return self._authors[number] if 0 <= number < len(self._authors) else ""

    def signature(self) -> str:
        """Return who wrote the comment that ends, and when: ` by Ann, 2026-06-01T10:30`."""
        initials = self._last.pop("atnid", "")
        who = self._last.pop("atnauthor", "") or initials
        when = packed_date(self._last.pop("atndate", ""))
        return (f" by {who}" if who else "") + (f", {when}" if when else "")

    def _end_authors(self, text: str) -> None:
        self._authors = [one.strip() for one in text.split(";")][:_MOST_AUTHORS]

    def _end_property(self, text: str) -> None:
        properties = self._draft.meta.setdefault("properties", {})
        if len(properties) < _MOST_PROPERTIES:
            properties[self._last.pop("property name", "")] = text[:_LONGEST]

    def _end_shape(self, text: str) -> None:
        if self._last.pop("shape name", "") in _SHOWN_PROPERTIES:
            self._note(f"[image: {' '.join(text.split())}]")

    def _end_unknown(self, text: str) -> None:
        if len(_WORD.findall(text[: 1 << 20])) >= 2:
            self._draft.not_shown("part of an unknown kind")


def packed_date(text: str) -> str:
    """Return a date that is packed into a number (DTTM) in ISO 8601; an empty text for none."""
    try:
        packed = int(text) & 0xFFFFFFFF
    except ValueError:
        return ""
    minute, hour, day, month = packed & 63, packed >> 6 & 31, packed >> 11 & 31, packed >> 16 & 15
    year = 1900 + (packed >> 20 & 511)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}" if packed and month and day else ""
