"""The text of OpenDocument's paragraphs, lists, tables and frames, for text documents, sheets and slides.

One traversal without recursion. Blocks (a paragraph, a row of a table) are handed over one by one; notes and comments
follow the outermost block that refers to them, in the notation of `office_notation.py`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ..office.office_notation import Change, Comment, Ranges
from ..office.zip_package import Element
from .odf_lists import UNWRITTEN, ListNumbers, OdfStyles, name, number_of, qualified, value

_BLANKS = re.compile("[ \t\r\n]+")
_MOST_REPEATS = 1_000
"""Repeated blanks, cells and rows that are written out; the rest is said."""
_BOXES = frozenset({"draw:text-box", "draw:custom-shape", "draw:rect", "draw:ellipse", "draw:circle", "draw:caption"})
_CELLS = ("table:table-cell", "table:covered-table-cell")
Emit = Callable[[str, int], None]
"""Takes a block, which ends with a line end, and its level: 1 to 10 for a heading, 0 for others."""


@dataclass
class _Paragraph:
    label: str
    boxes: list[str] = field(default_factory=list[str])
    """Text boxes that are anchored in it, written after it."""


class OdfText:
    """The texts of one file, in their order: numbers of lists, notes and comments run through all of them."""

    def __init__(self, styles: OdfStyles | None = None, changes: dict[str, Change] | None = None) -> None:
        """Begin. `changes`: the tracked changes by their ids (`tracked_changes`)."""
        self.styles = styles or OdfStyles()
        self.changes = changes or {}
        self.struck: dict[str, Element] = {}
        """The struck content of tracked changes, by their ids."""
        self.controls: dict[str, str] = {}
        """The texts of form controls by their ids."""
        self.images = 0
        """Pictures so far."""
        self.objects: list[str] = []
        """The places in the package of embedded objects so far."""
        self.embedded: Callable[[str], str] | None = None
        """Returns the text of an embedded object by its place, to be written after the paragraph."""
        self.losses: list[str] = []
        self.shown = self.unshown = 0
        """Pieces of text so far that were written, and that stood where no text is expected and were not."""
        self._numbers = ListNumbers(self.styles)
        self._ranges = Ranges()
        self._notes = {"footnote": 0, "endnote": 0}
        self._comments: dict[str, Comment] = {}
        self._urls: set[str] = set()
        self._after: list[str] = []
        self._waiting: list[str] = []
        self._later: dict[str, None] = {}
        """Comments whose places have not ended."""
        self._begin()
        self._starts = self._handlers_of_starts()
        self._ends = self._handlers_of_ends()

    def _handlers_of_starts(self) -> dict[str, Callable[[Element], object]]:
        return {
            "text:s": self._blanks,
            "text:tab": lambda element: self._write("\t"),
            "text:line-break": lambda element: self._write("\n"),
            "text:p": self._paragraph,
            "text:h": self._paragraph,
            "text:list": self._numbers.begin,
            "text:list-item": self._item,
            "text:note": self._note,
            "text:note-body": lambda element: self._push(quiet=True),
            "text:number": self._number,
            "text:section": lambda element: self._section(element, "hidden section"),
            "text:ruby-text": lambda element: self._write("("),
            "text:hidden-text": self._hidden_text,
            "text:hidden-paragraph": self._hidden_text,
            "office:annotation": self._comment,
            "office:annotation-end": lambda element: self._ranges.end(value(element, "office:name")),
            "text:change": self._struck,
            "text:change-start": lambda element: self._change(element, begins=True),
            "text:change-end": lambda element: self._change(element, begins=False),
            **dict.fromkeys(_CELLS, lambda element: self._push()),
            "table:table-row": lambda element: self._rows.append([]),
            "draw:image": self._image,
            **dict.fromkeys(("draw:object", "draw:object-ole"), self._object),
            "draw:control": self._control,
            **dict.fromkeys(("svg:title", "svg:desc"), self._described),
            "text:span": self._span,
            **dict.fromkeys(_BOXES, lambda element: self._push()),
        }

    def _handlers_of_ends(self) -> dict[str, Callable[[Element], object]]:
        return {
            "text:p": self._end_paragraph,
            "text:h": self._end_paragraph,
            "text:list": lambda element: self._numbers.end(),
            "text:note": lambda element: self._inside.pop(),
            "text:note-body": self._end_note,
            "text:section": lambda element: self._section(element, "end of hidden section"),
            "text:ruby-text": lambda element: self._write(")"),
            "text:a": self._end_link,
            "office:annotation": self._end_comment,
            **dict.fromkeys(_CELLS, self._end_cell),
            "table:table-row": self._end_row,
            "text:span": self._end_span,
            **dict.fromkeys(_BOXES, self._end_box),
        }

    def _begin(self) -> None:
        self._out: list[list[str]] = []
        self._paragraphs: list[_Paragraph] = []
        self._rows: list[list[str]] = []
        self._label = ""
        self._prefix = ""
        self._inside: list[str] = []
        """The keys of open comments and the marks of open notes."""
        self._quiet = 0
        """Open notes and comments, whose words belong to no commented place."""
        self._emit: Emit = lambda text, level: None

    def text(self, element: Element) -> str:
        """Return the text of an element, a line for each block, with the notes and comments that belong to it."""
        found: list[str] = []
        self.walk(element, lambda text, level: found.append(text))
        return "".join(found).removesuffix("\n")

    def walk(self, root: Element, emit: Emit) -> None:
        """Hand over each block of an element, and behind it the notes and comments that belong to it."""
        self._begin()
        self._emit = emit
        self._traverse(root)
        self._flush(last=True)

    def _traverse(self, root: Element) -> None:
        from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

        walker = etree.iterwalk(root, events=("start", "end"))
        for event, element in walker:
            short = name(element)
            if event == "start":
                if handler := self._starts.get(short):
                    handler(element)
                if element.tag in UNWRITTEN:
                    walker.skip_subtree()
                elif element.text:
                    self._words(element.text)
                continue
            if handler := self._ends.get(short):
                handler(element)
            if element.tail and element is not root:
                self._words(element.tail)

    # Words

    def _words(self, text: str) -> None:
        if self._paragraphs:
            self.shown += not text.isspace()
            words = _BLANKS.sub(" ", text)
            self._write(words if self._out[-1] else words.lstrip(" "))
        elif not text.isspace():
            self.unshown += 1

    def _write(self, text: str) -> None:
        if self._out:
            self._out[-1].append(text)
            if not self._quiet:
                self._ranges.add(text)

    def _mark(self, text: str) -> None:
        """Append a mark, which is not a word of a commented place."""
        if self._out:
            self._out[-1].append(text)
        else:
            self._block(f"{text}\n")

    def _push(self, quiet: bool = False) -> None:
        self._out.append([])
        self._quiet += quiet

    def _pop(self) -> str:
        return "".join(self._out.pop())

    def _block(self, text: str, level: int = 0) -> None:
        if self._out:
            self._out[-1].append(text)
            return
        self._emit(text, level)
        self._flush()

    def _flush(self, last: bool = False) -> None:
        """Hand over the notes, and the comments whose places have ended."""
        notes, self._after = self._after, []
        for note in notes:
            self._emit(note, 0)
        ended = list(self._later) if last else [one for one in self._ranges.take_ended() if one in self._later]
        coming, self._waiting = self._waiting, []
        for key in [*ended, *coming]:
            self._later.pop(key, None)
            if self._ranges.is_open(key) and not last:
                self._later[key] = None
            else:
                self._emit(self._comments[key].line(self._ranges.words(key)), 0)

    def _blanks(self, element: Element) -> None:
        wanted = number_of(element, "text:c", 1, 1 << 31)
        self._write(" " * self._capped(wanted, "blank"))

    def _capped(self, wanted: int, noun: str) -> int:
        if wanted > _MOST_REPEATS:
            self.losses.append(f"a {noun} that is repeated {wanted:,} times shown {_MOST_REPEATS:,} times")
        return min(wanted, _MOST_REPEATS)

    # Paragraphs

    def _paragraph(self, element: Element) -> None:
        if name(element) == "text:h":
            self._label = self._label or self._numbers.heading(_level(element), element)
        self._paragraphs.append(_Paragraph(self._label))
        self._label = ""
        self._push()
        if self._prefix:
            self._write(self._prefix)
            self._prefix = ""

    def _end_paragraph(self, element: Element) -> None:
        ended = self._paragraphs.pop()
        line = ended.label + self._pop()
        if value(element, "text:style-name") in self.styles.hidden and line.strip():
            line = f"[hidden: {line}]"
        self._block(f"{line}\n", _level(element) if name(element) == "text:h" else 0)
        for box in ended.boxes:
            self._block(box)

    def _item(self, element: Element) -> None:
        self._label = self._numbers.item(element)

    def _number(self, element: Element) -> None:
        """Take the number as the program that saved the file has shown it."""
        shown = str(element.text or "").strip()
        if not shown:
            return
        if name(element.getparent()) in ("text:h", "text:p"):
            self._paragraphs[-1].label = f"{shown} "
        else:
            self._label = f"{shown} "

    def _section(self, element: Element, words: str) -> None:
        if value(element, "text:display") == "none" or value(element, "text:is-hidden") == "true":
            self._block(f"[{words}]\n")

    def _span(self, element: Element) -> None:
        if value(element, "text:style-name") in self.styles.hidden:
            self._push()

    def _end_span(self, element: Element) -> None:
        if value(element, "text:style-name") in self.styles.hidden:
            words = self._pop()
            self._write(f"[hidden: {words}]" if words.strip() else words)

    def _hidden_text(self, element: Element) -> None:
        if words := value(element, "text:string-value"):
            self._write(f"[hidden: {words}]")

    def _end_link(self, element: Element) -> None:
        url = value(element, "xlink:href")
        shown = "".join(self._out[-1][-3:]) if self._out else ""
        if url and not url.startswith("#") and url not in self._urls and not shown.endswith(url):
            self._urls.add(url)
            self._write(f" <{url}>")

    # Notes, comments, changes

    def _note(self, element: Element) -> None:
        kind = "endnote" if value(element, "text:note-class") == "endnote" else "footnote"
        self._notes[kind] += 1
        mark = f"[^{'e' if kind == 'endnote' else ''}{self._notes[kind]}]"
        self._inside.append(mark)
        self._mark(mark)

    def _end_note(self, element: Element) -> None:
        self._quiet -= 1
        mark = self._inside[-1] if self._inside else "[note]"
        self._after.append(f"{mark}: {self._pop().strip()}\n")

    def _comment(self, element: Element) -> None:
        number = len(self._comments) + 1
        key = value(element, "office:name") or f" {number}"
        if key in self._comments:
            key = f" {number}"
        parent = value(element, "loext:parent-name") or value(element, "office:parent-name")
        label = f"comment {number}"
        if parent in self._comments:
            label += f", a reply to {self._comments[parent].label.partition(',')[0]},"
        self._mark(f"[comment {number}]")
        facts = {name(one): str(one.text or "") for one in element if name(one) in ("dc:creator", "dc:date")}
        self._comments[key] = Comment(
            label,
            facts.get("dc:creator", ""),
            facts.get("dc:date", ""),
            "",
            value(element, "loext:resolved") == "true",
        )
        self._waiting.append(key)
        self._inside.append(key)
        self._push(quiet=True)

    def _end_comment(self, element: Element) -> None:
        self._quiet -= 1
        key = self._inside.pop()
        self._comments[key].text = self._pop()
        if value(element, "office:name") == key:
            self._ranges.begin(key)

    def _change(self, element: Element, begins: bool) -> None:
        change = self.changes.get(value(element, "text:change-id"))
        if not change:
            return
        # Struck words, too, may stand in their place between two marks, as in flat files.
        if begins and not self._out:
            self._prefix += change.begin
        else:
            self._mark(change.begin if begins else change.end)

    def _struck(self, element: Element) -> None:
        if words := self.struck_words(value(element, "text:change-id")):
            self._mark(words)

    def struck_words(self, identity: str) -> str:
        """Return the words that a change struck, with their marks; empty where they were returned before."""
        change, content = self.changes.get(identity), self.struck.pop(identity, None)
        if change is None or content is None:
            return ""
        inner = OdfText(self.styles)
        words = inner.text(content).replace("\n", "¶")
        self.unshown += inner.unshown
        self.images += inner.images
        self.objects += inner.objects
        return f"{change.begin}{words}{change.end}" if words else ""

    # Frames and tables

    def _end_box(self, element: Element) -> None:
        words = self._pop().strip()
        if not words:
            return
        self._beside(f"[text box: {words}]\n")

    def _beside(self, block: str) -> None:
        if self._paragraphs:
            self._paragraphs[-1].boxes.append(block)
        else:
            self._block(block)

    def _image(self, element: Element) -> None:
        first = next((one for one in element.getparent() if not name(one).startswith("svg:")), None)
        # Others are the same picture in another format, or an object's.
        self.images += first is element

    def _object(self, element: Element) -> None:
        if not (place := value(element, "xlink:href")):
            return  # it stands here, as in flat files
        self.objects.append(place)
        if self.embedded and (text := self.embedded(place)):
            self._beside(text)

    def _described(self, element: Element) -> None:
        if words := str(element.text or "").strip():
            noun = "image" if element.getparent().find(qualified("draw:image")) is not None else "drawing"
            self._mark(f"[{noun}: {words}]")

    def _control(self, element: Element) -> None:
        if words := self.controls.pop(value(element, "draw:control"), ""):
            self._mark(words)

    def _end_cell(self, element: Element) -> None:
        words = self._pop()
        if not self._rows:
            self._block(words)
            return
        repeats = number_of(element, "table:number-columns-repeated", 1, 1 << 31)
        self._rows[-1] += [words] * (self._capped(repeats, "cell") if words.strip() else min(repeats, 64))

    def _end_row(self, element: Element) -> None:
        cells = self._rows.pop()
        if len(cells) == 1:
            # A frame around whole paragraphs, which stay lines.
            line = cells[0] if cells[0].endswith("\n") else f"{cells[0]}\n"
        else:
            line = "\t".join(" ".join(cell.split()) for cell in cells).rstrip("\t") + "\n"
        if value(element, "table:visibility", "visible") != "visible" and line.strip():
            line = f"[hidden: {line[:-1]}]\n"
        repeats = number_of(element, "table:number-rows-repeated", 1, 1 << 31)
        self._block(line * (self._capped(repeats, "row") if line.strip() else 1))


def _level(heading: Element) -> int:
    return max(1, number_of(heading, "text:outline-level", 1, 10))
