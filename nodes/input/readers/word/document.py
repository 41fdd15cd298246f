"""Word documents (DOCX, DOCM, DOTX, DOTM) as text, by their XML.

A line for each paragraph, headings with `#` in front, automatic numbers as Word counts them, a line for each row of a
table with tabs between its cells. Headers come first, footers last, each once. `office_notation.py` describes the
marks of changes, comments, notes and hidden words. Every part's pieces of text are counted and compared with what was
written; the difference is a loss.
"""

import posixpath
from collections import Counter
from dataclasses import dataclass, field

from .....state.wording import counted
from ...draft import Draft, GivenFile, Read, Skipped
from ..office.office_notation import Ranges
from ..office.zip_package import Element, Package, Related, attribute, local
from .names import COUNTED
from .notes import Notes
from .numbering import Counts, Numbering, Styles
from .output import Emit
from .parts import chart_text, content_types, embedded_file, paragraphs_text, properties
from .walk import Walker

_SILENT = frozenset(
    {
        *(
            "theme",
            "styles",
            "stylesWithEffects",
            "settings",
            "webSettings",
            "fontTable",
            "numbering",
            "glossaryDocument",
        ),
        *("customXml", "customXmlProps", "commentsIds", "commentsExtensible", "commentsExtended", "people"),
        *("chartStyle", "chartColorStyle", "diagramLayout", "diagramQuickStyle", "diagramColors", "diagramDrawing"),
        *("vbaProject", "wordVbaData", "keyMapCustomizations", "attachedToolbars", "recipientData", "documenttasks"),
        *("core-properties", "extended-properties", "custom-properties", "themeOverride", "classificationlabels"),
    }
)
"""Kinds of parts whose words are not words of the document, or repeat them."""


@dataclass
class _Chunk:
    """A document that was inserted as a file."""

    text: str
    draft: Draft


@dataclass
class _Word:
    """One document while it is read (`word_names.WordFile`)."""

    given: GivenFile
    package: Package
    draft: Draft
    ranges: Ranges = field(default_factory=Ranges)
    images: int = 0
    hides: bool = False

    def __post_init__(self) -> None:
        self.main = self.package.main if "word/document.xml" not in self.package else _main(self.package)
        self.extra: list[Draft | Skipped] = []
        self._related: dict[str, dict[str, Related]] = {}
        self._urls: set[str] = set()
        self._read: set[str] = set()
        self._expected: Counter[str] = Counter()
        self._written: Counter[str] = Counter()
        self._stories: dict[str, Counts] = {}
        self._chunk: _Chunk | None = None
        self._types: dict[str, str] = {}
        self.styles = Styles(self._first("styles"))
        self.numbering = Numbering(self._first("numbering"), self.styles)
        self.notes = Notes(self.ranges, self._words)

    # Parts

    def part(self, name: str) -> Element | None:
        """Return the root of a part; None, and a loss, for a damaged one."""
        try:
            root = self.package.xml(name)
        except Exception as error:  # one part must not cost the others
            self.draft.lose(f"{name} cannot be read ({str(error)[:200]})")
            self._read.add(name.lower())
            return None
        self._read.add(name.lower())
        return root

    def _first(self, kind: str) -> Element | None:
        name = next(iter(self.targets(kind)), None)
        root = self.part(name) if name else None
        if root is not None and root.find(".//{*}vanish") is not None:
            self.hides = True
        return root

    def targets(self, kind: str) -> list[str]:
        """Return the parts of a kind that the main part refers to."""
        found = [one.target for one in self.related(self.main).values() if one.kind == kind and not one.outside]
        return [one for one in dict.fromkeys(found) if one in self.package]

    def related(self, part: str) -> dict[str, Related]:
        """Return the relationships of a part."""
        if part not in self._related:
            try:
                self._related[part] = self.package.related(part)
            except Exception as error:  # one part must not cost the others
                self._related[part] = {}
                self.draft.lose(f"the relationships of {part or 'the file'} cannot be read ({str(error)[:200]})")
        return self._related[part]

    def _target(self, part: str, identity: str) -> str:
        found = self.related(part).get(identity)
        return found.target if found and not found.outside and found.target in self.package else ""

    # Text

    def read(self, root: Element) -> None:
        """Write the whole document."""
        self.hides = self.hides or root.find(".//{*}vanish") is not None
        for kind in ("footnote", "endnote"):
            for name in self.targets(f"{kind}s"):
                if (notes := self.part(name)) is not None:
                    self._expect(name, notes)
                    self.notes.add_notes(kind, name, notes)
        for name in self.targets("comments"):
            if (comments := self.part(name)) is not None:
                self._expect(name, comments)
                self.notes.add_comments(name, comments, self._first("commentsExtended"))
        margins = self._margins(root)
        self._emit("".join(text for kind, text in margins if kind == "header"), 0, "")
        self._expect(self.main, root)
        self._walk(self.main, root, self._emit)
        for line in self.notes.left():
            self.draft.write(line)
        self.draft.write("".join(text for kind, text in margins if kind == "footer"))

    def _expect(self, part: str, root: Element) -> None:
        self._expected[part] += int(root.xpath(COUNTED))

    def _walk(self, part: str, root: Element, emit: Emit) -> None:
        walker = Walker(self, part, emit, self._stories.setdefault(part, Counts()))
        walker.walk(root)
        self._written[part] += walker.given

    def _words(self, part: str, element: Element) -> str:
        lines: list[str] = []

        def emit(text: str, level: int, title: str) -> None:
            lines.append(text)

        self._walk(part, element, emit)
        return "".join(lines)

    def _emit(self, text: str, level: int, title: str) -> None:
        if level:
            self.draft.mark("sections", title, level=level)
        if self._chunk and text is self._chunk.text:
            self._emit_chunk(self._chunk)
        else:
            self.draft.write(text)
        for line in self.notes.listed():
            self.draft.write(line)

    def _emit_chunk(self, chunk: _Chunk) -> None:
        """Write an inserted document with its sections."""
        sections = chunk.draft.places.get("sections", {})
        starts: list[int] = sections.get("at", [])
        at = 0
        for index, start in enumerate(starts):
            self.draft.write(chunk.text[at:start])
            self.draft.mark(
                "sections", sections.get("label", [""] * len(starts))[index], level=sections["level"][index]
            )
            at = start
        self.draft.write(chunk.text[at:])
        self._chunk = None

    def _margins(self, root: Element) -> list[tuple[str, str]]:
        """Return the headers and footers, each text once."""
        uses: dict[str, str] = {}
        for one in root.iter("{*}headerReference", "{*}footerReference"):
            if target := self._target(self.main, attribute(one, "id")):
                uses.setdefault(target, attribute(one, "type", "default"))
        found: dict[tuple[str, str], None] = {}
        places = {"first": " of the first page", "even": " of even pages"}
        for kind in ("header", "footer"):
            for name in self.targets(kind):
                if (margin := self.part(name)) is None:
                    continue
                self._expect(name, margin)
                if words := self._words(name, margin).strip():
                    place = places.get(uses.get(name, ""), "")
                    found.setdefault((kind, f"[{kind}{place}: {words}]\n"))
        return list(found)

    # What the traversal asks for

    def note(self, kind: str, identity: str, marked: bool) -> str:
        """Return the mark of a footnote or an endnote."""
        return self.notes.note(kind, identity, marked)

    def comment(self, identity: str) -> str:
        """Return the mark of a comment."""
        return self.notes.comment(identity)

    def first(self, url: str) -> bool:
        """Tell whether an address is met for the first time."""
        known = url in self._urls
        self._urls.add(url)
        return not known

    def missing(self, noun: str, number: int = 1) -> None:
        """Count things that are not shown."""
        self.draft.not_shown(noun, number)

    def graphic(self, part: str, identity: str) -> str:
        """Return the text of a chart or diagram as a block."""
        name = self._target(part, identity)
        found = self.related(part).get(identity)
        noun = "diagram" if found and found.kind == "diagramData" else "chart"
        root = self.part(name) if name else None
        if root is None:
            self.missing(noun)
            return ""
        words = paragraphs_text(root) if noun == "diagram" else chart_text(root)
        for one in self.related(name).values():
            if one.kind == "chartUserShapes" and one.target in self.package:
                shapes = self.part(one.target)
                words += f"\n{paragraphs_text(shapes)}" if shapes is not None else ""
        return f"[{noun}: {words}]\n" if words.strip() else ""

    def object(self, part: str, identity: str, noun: str) -> str:
        """Return the words that stand for an embedded file or a control."""
        found = self.related(part).get(identity)
        if noun == "control":
            root = self.part(found.target) if found and found.target in self.package else None
            values = {attribute(one, "name"): attribute(one, "value") for one in root} if root is not None else {}
            words = " ".join(filter(None, (values.get("Caption"), values.get("Value"))))
            if not words:
                self.missing("control")
            return f"[control: {words}]" if words else ""
        if found and found.outside:
            self.missing("linked file")
            return f"[linked file: {found.target}]"
        return f"[embedded file: {posixpath.basename(found.target)}]" if found else ""

    def chunk(self, part: str, identity: str) -> str:
        """Return the text of an inserted document."""
        name = self._target(part, identity)
        if not name:
            self.missing("inserted document")
            return ""
        self._read.add(name.lower())
        found = list(self.given.nested(name, self.package.read(name), self._type(name)))
        drafts = [one for one in found if isinstance(one, Draft)]
        self.extra += [one for one in found if not drafts or one is not drafts[0]]
        if not drafts:
            self.missing("inserted document")
            return ""
        for loss in drafts[0].all_losses():
            self.draft.lose(f"{name}: {loss}")
        text = drafts[0].text.rstrip("\n") + "\n"
        self._chunk = _Chunk(text, drafts[0])
        return text

    def _type(self, name: str) -> str:
        """Return the media type of a part; empty where none is declared."""
        try:
            types = self._types = self._types or content_types(self.package)
        except Exception:  # a name's suffix says as much, mostly
            return ""
        lower = f"/{name.lower()}"
        return types.get(lower) or types.get(posixpath.splitext(lower)[1], "")

    # What is left

    def embedded(self) -> list[tuple[str, bytes]]:
        """Return the files in the file, by their paths inside it; those that cannot be taken out are losses."""
        found: list[tuple[str, bytes]] = []
        folder = posixpath.dirname(self.main)
        for name in self.package.names:
            if "/embeddings/" not in f"/{name.lower()}" or name.endswith(("/", ".rels")):
                continue
            self._read.add(name.lower())
            try:
                one = embedded_file(name.removeprefix(f"{folder}/"), self.package.read(name))
            except Exception as error:  # one part must not cost the others
                self.draft.lose(f"{name} cannot be read ({str(error)[:200]})")
                continue
            if one is None:
                self.missing("embedded object")
            else:
                found.append(one)
        return found

    def compare(self) -> None:
        """Say as losses what is in the file and not in the text."""
        self.missing("image", self.images)
        for part, number in self._expected.items():
            if (left := number - self._written[part]) > 0:
                self.draft.lose(f"{counted(left, 'piece of text')} in {part} not shown")
        kinds = self._kinds()
        folder = posixpath.dirname(self.main)
        for name in self.package.names:
            lower = name.lower()
            if lower.endswith("vbaproject.bin"):
                self.draft.lose("macros not shown")
            inside = lower.startswith(f"{folder.lower()}/") and lower.endswith(".xml") and "/glossary/" not in lower
            if not inside or lower in self._read or kinds.get(lower, "") in _SILENT:
                continue
            root = self.part(name)
            if root is not None and (pieces := int(root.xpath(COUNTED))):
                self.draft.lose(f"{counted(pieces, 'piece of text')} in {name} not shown")

    def _kinds(self) -> dict[str, str]:
        """Return the kinds of all parts that others refer to."""
        kinds: dict[str, str] = {}
        for name in self.package.names:
            place, _, base = name.rpartition("_rels/")
            if base.endswith(".rels"):
                for one in self.related(f"{place}{base.removesuffix('.rels')}").values():
                    kinds[one.target.lower()] = one.kind
        return kinds


def _main(package: Package) -> str:
    try:
        return package.main
    except ValueError:
        return "word/document.xml"


def read(given: GivenFile) -> Read:
    """Yield the document, then the files embedded in it."""
    package = Package(given, "DOCX")
    draft = Draft("DOCX")
    word = _Word(given, package, draft)
    root = package.xml(word.main)
    if local(root) != "document":
        raise ValueError(f"its main part is a {local(root)}, not a Word document")
    try:
        draft.meta.update(properties(package))
    except Exception as error:  # the text is worth more than its properties
        draft.lose(f"the document's properties cannot be read ({str(error)[:200]})")
    word._read.add(word.main.lower())
    word.read(root)
    inner = word.embedded()
    word.compare()
    yield draft
    yield from word.extra
    for name, data in inner:
        yield from given.nested(name, data, "")
