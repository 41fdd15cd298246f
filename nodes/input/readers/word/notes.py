"""Footnotes, endnotes and comments of a Word document, listed after the paragraph that refers to them."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..office.office_notation import Comment, Ranges
from ..office.zip_package import Element, attribute, local

Words = Callable[[str, Element], str]
"""Returns the text of an element of a part."""


@dataclass
class _Comment:
    element: Element
    part: str
    parent: str = ""
    """The id of the comment that it replies to."""
    resolved: bool = False
    number: int = 0
    written: bool = False


class Notes:
    """The notes and comments of one document."""

    def __init__(self, ranges: Ranges, words: Words) -> None:
        """Begin without any."""
        self._ranges, self._words = ranges, words
        self._notes: dict[tuple[str, str], tuple[str, Element]] = {}
        self._marks: dict[tuple[str, str], str] = {}
        self._numbers = {"footnote": 0, "endnote": 0, "custom": 0}
        self._comments: dict[str, _Comment] = {}
        self._replies: dict[str, list[str]] = {}
        self._numbered = 0
        self._waiting: deque[tuple[str, str]] = deque()
        self._next: list[str] = []
        self._later: dict[str, None] = {}
        """Comments whose places have not ended."""

    def add_notes(self, kind: str, part: str, root: Element) -> None:
        """Take the notes of a part. `kind`: `footnote`, `endnote`."""
        for one in root:
            self._notes.setdefault((kind, attribute(one, "id")), (part, one))

    def add_comments(self, part: str, root: Element, extended: Element | None) -> None:
        """Take the comments of a part, and of another one that says which are replies and which are resolved."""
        paragraphs: dict[str, str] = {}
        for one in root:
            identity = attribute(one, "id")
            self._comments.setdefault(identity, _Comment(one, part))
            for paragraph in one.iter("{*}p"):
                if known := attribute(paragraph, "paraId"):
                    paragraphs[known] = identity
        for one in extended if extended is not None else ():
            comment = self._comments.get(paragraphs.get(attribute(one, "paraId"), ""))
            if comment is None:
                continue
            comment.resolved = attribute(one, "done") in ("1", "true")
            comment.parent = paragraphs.get(attribute(one, "paraIdParent"), "")
            if comment.parent:
                self._replies.setdefault(comment.parent, []).append(attribute(comment.element, "id"))

    def note(self, kind: str, identity: str, marked: bool) -> str:
        """Return the mark of a note, which is listed next. `marked`: the text has a mark of its own for it."""
        key = kind, identity
        if key not in self._marks:
            counter = "custom" if marked else kind
            self._numbers[counter] += 1
            letter = "c" if marked else "e" if kind == "endnote" else ""
            self._marks[key] = f"[^{letter}{self._numbers[counter]}]"
            if key in self._notes:
                self._waiting.append(key)
        return self._marks[key]

    def comment(self, identity: str) -> str:
        """Return the mark of a comment, which is listed next; empty for a reply and for one that does not exist."""
        comment = self._comments.get(identity)
        if comment is None or comment.parent in self._comments:
            return ""
        if not comment.number:
            self._numbered += 1
            comment.number = self._numbered
            self._next.append(identity)
        return f"[comment {comment.number}]"

    def listed(self, last: bool = False) -> Iterator[str]:
        """Yield the lines of the notes that were referred to, and of the comments whose places have ended."""
        while self._waiting:
            key = self._waiting.popleft()
            part, element = self._notes[key]
            yield f"{self._marks[key]}: {self._words(part, element).strip()}\n"
        ended = list(self._later) if last else [one for one in self._ranges.take_ended() if one in self._later]
        coming, self._next = self._next, []
        for identity in [*ended, *coming]:
            self._later.pop(identity, None)
            if self._ranges.is_open(identity) and not last:
                self._later[identity] = None
            else:
                yield from self._thread(identity)

    def _thread(self, identity: str) -> Iterator[str]:
        comment = self._comments[identity]
        yield self._line(comment, f"comment {comment.number}", self._ranges.words(identity))
        for reply in self._replies.get(identity, ()):
            if not self._comments[reply].written:
                yield self._line(self._comments[reply], f"reply to comment {comment.number}")

    def _line(self, comment: _Comment, label: str, place: str = "") -> str:
        comment.written = True
        element = comment.element
        who, when = attribute(element, "author"), attribute(element, "date")
        words = self._words(comment.part, element)
        return Comment(label, who, when, words, comment.resolved).line(place)

    def left(self) -> Iterator[str]:
        """Yield the lines of the notes and comments that nothing refers to."""
        yield from self.listed(last=True)
        for (kind, identity), (part, element) in self._notes.items():
            if (kind, identity) in self._marks:
                continue
            own = attribute(element, "type", "normal")
            if words := self._words(part, element).strip():
                yield f"[{kind} without a mark]: {words}\n" if own == "normal" else f"[{kind} {own}]: {words}\n"
        for nested in (False, True):
            for comment in self._comments.values():
                if not comment.written and (nested or comment.parent not in self._comments):
                    self._numbered += 1
                    comment.number = self._numbered
                    yield self._line(comment, f"comment {comment.number} without a place")
                    for reply in self._replies.get(attribute(comment.element, "id"), ()):
                        if not self._comments[reply].written:
                            yield self._line(self._comments[reply], f"reply to comment {comment.number}")
        yield from self.listed(last=True)


def is_comment(element: Element) -> bool:
    """Tell whether an element is a comment."""
    return local(element) == "comment"
