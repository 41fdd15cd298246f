"""The text of one part of a Word document, in one traversal without recursion."""

import re

from ..office.zip_package import Element, attribute, local
from .fields import Fields, form_value
from .names import CHANGES, Handler, WordFile, change_in, change_of, short
from .numbering import Counts, child, setting, switched, whole
from .output import Emit, OpenParagraph, Output
from .shapes import Shapes
from .signs import formula_begin, formula_end, symbol
from .tables import Tables

_MARKS = re.compile(r"\[\^e?\d+\]|\[comment \d+\]|\s+")
_LONGEST_TITLE = 200

_SKIPPED = frozenset(
    {
        *("w:pPr", "w:rPr", "w:tblPr", "w:tblGrid", "w:trPr", "w:tcPr", "w:sectPr", "w:sdtPr", "w:sdtEndPr"),
        *("w:tblPrEx", "w:customXmlPr", "w:smartTagPr", "w:ffData", "m:rPr", "m:ctrlPr", "m:fPr", "m:naryPr", "m:dPr"),
        *("m:radPr", "m:sSupPr", "m:sSubPr", "m:mPr", "m:accPr", "m:oMathParaPr"),
    }
)
_SIGNS = {
    **{"w:tab": "\t", "w:ptab": "\t", "w:br": "\n", "w:cr": "\n", "w:noBreakHyphen": "-"},
    **{"a:br": "\n", "a:tab": "\t"},
}


class Walker:
    """One traversal of a part, or of an element of one."""

    def __init__(self, file: WordFile, part: str, emit: Emit, counts: Counts | None = None) -> None:
        """Begin. `emit` is called with each finished block; `counts` are the numbers of lists reached so far."""
        self._file, self._part = file, part
        self.out = Output(emit, file.ranges)
        self._fields = Fields()
        self._tables = Tables(self.out)
        self._shapes = Shapes(file, part, self.out, counts or Counts())
        self._starts_of_links: list[int] = []
        self._ruby = ""
        self.shown = 0
        """Pieces of text that are written, or counted as not shown."""
        self._starts = {**self._handlers_of_starts(), **self._tables.starts, **self._shapes.starts}
        self._ends = {**self._handlers_of_ends(), **self._tables.ends, **self._shapes.ends}

    def _handlers_of_starts(self) -> dict[str, Handler]:
        out, file = self.out, self._file
        return {
            "w:p": self._paragraph,
            "w:r": self._run,
            "w:t": self._words,
            "w:delText": self._words,
            "m:t": self._words,
            "a:t": self._words,
            "w:sym": lambda element: self._text(symbol(element)),
            "w:instrText": self._instruction,
            "w:delInstrText": self._instruction,
            "w:fldChar": self._field,
            "w:fldSimple": lambda element: self._starts_of_links.append(out.length),
            "w:hyperlink": lambda element: self._starts_of_links.append(out.length),
            "w:footnoteReference": self._note,
            "w:endnoteReference": self._note,
            "w:commentRangeStart": lambda element: file.ranges.begin(attribute(element, "id")),
            "w:commentRangeEnd": lambda element: file.ranges.end(attribute(element, "id")),
            "w:commentReference": lambda element: out.mark(file.comment(attribute(element, "id"))),
            "w:rt": lambda element: out.push(),
            "w:altChunk": lambda element: self._chunk(attribute(element, "id")),
            "w:subDoc": lambda element: file.missing("linked document"),
            "w:contentPart": lambda element: file.missing("drawing in ink"),
            **{name: lambda element: out.push() for name in CHANGES},
            **{name: lambda element, sign=sign: self._text(sign) for name, sign in _SIGNS.items()},
        }

    def _handlers_of_ends(self) -> dict[str, Handler]:
        return {
            "w:p": self._end_paragraph,
            "a:p": lambda element: self.out.block("\n"),
            "w:r": self._end_run,
            "w:fldSimple": self._end_simple_field,
            "w:hyperlink": self._end_link,
            "w:rt": self._end_ruby_text,
            "w:ruby": self._end_ruby,
            **dict.fromkeys(CHANGES, self._end_change),
        }

    def walk(self, root: Element) -> None:
        """Hand over the blocks of an element."""
        from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

        walker = etree.iterwalk(root, events=("start", "end"))
        starts, ends = self._starts, self._ends
        for event, element in walker:
            name = short(element)
            if event == "start":
                if name in _SKIPPED or element in self._shapes.rejected:
                    walker.skip_subtree()
                elif handler := starts.get(name):
                    handler(element)
                elif name.startswith("m:"):
                    self._text(formula_begin(element))
            elif name in ends:
                ends[name](element)
            elif name.startswith("m:") and name not in _SKIPPED:
                self._text(formula_end(element))
        for one in self._fields.unfinished():
            self._file.missing("piece of text in a field", one.swallowed)

    @property
    def given(self) -> int:
        """The pieces of text that are written, or counted as not shown."""
        return self.shown + self._shapes.set_aside

    # Words

    def _text(self, text: str) -> None:
        if (field := self._fields.instruction) is not None:
            field.add(text)
        elif text:
            self.out.write(text)

    def _words(self, element: Element) -> None:
        text = element.text
        if not text:
            return
        if not text.isspace():
            self.shown += 1
            if self._fields.instruction is not None:
                self._fields.words()
        if "\n" in text or "\t" in text:
            text = text.replace("\n", " ").replace("\t", " ")
        self._text(text)

    def _run(self, element: Element) -> None:
        if self._file.hides and self._hidden(element):
            self.out.push()

    def _end_run(self, element: Element) -> None:
        if self._file.hides and self._hidden(element):
            self.out.marked("[hidden: ", self.out.pop(), "]")

    def _hidden(self, run: Element) -> bool:
        properties = child(run, "rPr")
        own = switched(properties, "vanish")
        if own is None:
            own = self._file.styles[setting(properties, "rStyle") or ""].hidden
        return self.out.paragraphs[-1].hidden if own is None and self.out.paragraphs else bool(own)

    # Paragraphs

    def _paragraph(self, element: Element) -> None:
        styles = self._file.styles
        properties = element[0] if len(element) and local(element[0]) == "pPr" else None
        style, outline, direct, mark = styles.default, None, None, None
        for one in properties if properties is not None else ():
            match local(one):
                case "pStyle":
                    style = attribute(one, "val")
                case "outlineLvl":
                    outline = whole(attribute(one, "val"), 9)
                case "numPr":
                    direct = one
                case "rPr":
                    mark = one
                case _:
                    pass
        resolved = styles[style]
        outline = resolved.outline if outline is None else outline
        level = outline + 1 if outline is not None and 0 <= outline < 9 else 0
        label = ""
        if (direct is not None or resolved.numbering) and not self._vanishes(element, mark):
            label = self._file.numbering.label(direct, resolved, self._shapes.counts[-1])
        change = change_in(mark)
        end = (change.begin, change.end) if change else None
        self.out.paragraphs.append(OpenParagraph(label, level, end, bool(resolved.hidden)))
        self.out.push()

    def _vanishes(self, element: Element, mark: Element | None) -> bool:
        """Tell whether a paragraph is hidden with its end: Word does not count it."""
        if not self._file.hides or not switched(mark, "vanish") or switched(mark, "specVanish"):
            return False
        return all(switched(one, "rPr", "vanish") for one in element if short(one) == "w:r")

    def _end_paragraph(self, element: Element) -> None:
        ended = self.out.paragraphs.pop()
        if ended.end:
            self.out.marked(ended.end[0], "¶", ended.end[1])
        words = ended.label + self.out.pop()
        self.out.ranges.add(" ")
        title = ""
        if ended.level and words.strip():
            title = " ".join(_MARKS.sub(" ", words).split())[:_LONGEST_TITLE]
            words = f"{'#' * ended.level} {words}"
        self.out.block(f"{words}\n", ended.level if title else 0, title)
        for box in ended.boxes:
            self.out.block(box)

    # Fields, links, notes, changes

    def _instruction(self, element: Element) -> None:
        if (field := self._fields.instruction) is not None:
            field.add(element.text or "")

    def _field(self, element: Element) -> None:
        match attribute(element, "fldCharType"):
            case "begin":
                self._fields.begin(element)
            case "separate":
                self._fields.separate()
            case "end" if (ended := self._fields.end()) is not None:
                self._text(ended.value)
                self._file.missing("piece of text in a field", 0 if ended.in_result else ended.swallowed)
                self._file.missing("number of a field", ended.uncounted)
                self._address(ended.target)
            case _:
                pass

    def _end_simple_field(self, element: Element) -> None:
        if not self.out.since(self._starts_of_links.pop()):
            self._text(form_value(child(element, "ffData")))

    def _end_link(self, element: Element) -> None:
        words = self.out.since(self._starts_of_links.pop())
        found = self._file.related(self._part).get(attribute(element, "id"))
        if found and found.outside and found.target not in words:
            self._address(found.target)

    def _address(self, url: str) -> None:
        if url and not url.startswith("#") and self._file.first(url):
            self._text(f" <{url}>")

    def _chunk(self, identity: str) -> None:
        if text := self._file.chunk(self._part, identity):
            self.out.block(text)

    def _note(self, element: Element) -> None:
        marked = attribute(element, "customMarkFollows") in ("1", "true", "on")
        kind = local(element).removesuffix("Reference")
        self.out.mark(self._file.note(kind, attribute(element, "id"), marked))

    def _end_change(self, element: Element) -> None:
        change = change_of(element)
        self.out.marked(change.begin, self.out.pop(), change.end)

    def _end_ruby_text(self, element: Element) -> None:
        self._ruby = self.out.pop()

    def _end_ruby(self, element: Element) -> None:
        self.out.block(f"({self._ruby})" if self._ruby else "")
        self._ruby = ""
