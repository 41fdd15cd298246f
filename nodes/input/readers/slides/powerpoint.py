"""Presentations of PowerPoint as text: PPTX, PPTM, PPSX, POTX, in both forms of the standard (Transitional and Strict).

One document, its slides in the order of the presentation: a line `## Slide 3: title`, the text of the shapes with the
cells of tables separated by tabs, then `Notes: …` and the comments. Text of masters and layouts that slides show
follows the last slide. Placeholders of masters, such as "Click to edit", are shown nowhere.
"""

from collections.abc import Iterator

from ...draft import Draft, GivenFile, Read
from ...formats import format_of
from ..office.drawing_text import Drawing, one_line, opened, parsed, related
from ..office.embedded import embedded_files
from ..office.office_parts import compare, count_media, properties
from ..office.zip_package import OLE, Element, Package, Related, attribute, local
from .powerpoint_comments import Comments

LARGEST_TEXT = 200 << 20
_MOST_SLIDES = 20_000
_TITLES = ("title", "ctrTitle")
_SHOWN_ONCE = ("ftr", "hdr")
"""Placeholders whose text on a master is not only a hint for authors."""
_OLD = "PowerPoint Document".encode("utf-16-le")


def read(given: GivenFile) -> Read:
    """Yield the presentation, then what is embedded in it. Raises Unusable for a protected file."""
    head = given.file.read(8)
    if head == OLE and _OLD in given.file.read(4 << 20):
        given.file.seek(0)
        old = format_of("old.ppt", b"")
        if old.reader:
            yield from old.load()(given)
            return
    given.file.seek(0)
    package = Package(given, "PPTX")
    draft = Draft("PPTX")
    _Reading(package, draft).read()
    properties(package, draft)
    count_media(package, draft)
    found = list(embedded_files(given, package, draft))
    compare(package, draft, _masters(package))
    yield draft
    yield from found


def _masters(package: Package) -> set[str]:
    """Return the parts whose words are mostly hints for authors; what slides show of them is written."""
    folders = ("/slidemasters/", "/slidelayouts/", "/notesmasters/", "/handoutmasters/")
    return {name.lower() for name in package.names if any(folder in f"/{name.lower()}" for folder in folders)}


class _Reading:
    def __init__(self, package: Package, draft: Draft) -> None:
        self._package = package
        self._draft = draft
        self._main = package.main
        self._root = package.xml(self._main)
        self._related = related(package, draft, self._main)
        self._comments = Comments(package, draft)
        self._layouts: dict[str, None] = {}
        """The layouts and masters that slides use, in order."""
        self._hidden: list[int] = []
        self._sections = self._section_names()

    def read(self) -> None:
        """Write all slides, then what masters show."""
        number = 0
        for number, (key, target) in enumerate(self._slides(), 1):
            if number > _MOST_SLIDES or self._draft.chars > LARGEST_TEXT:
                self._draft.lose(f"the slides from number {number} on are not shown (too many)")
                break
            try:
                self._slide(number, target, self._sections.get(key, ""))
            except Exception as error:  # hostile files may raise anything
                self._draft.lose(f"slide {number} cannot be read to its end ({type(error).__name__})")
                self._heading(number, "")
        self._draft.meta["slides"] = number
        if self._hidden:
            self._draft.meta["hidden_slides"] = self._hidden
        self._write_masters()

    def _write(self, line: str) -> None:
        self._draft.write(f"{line}\n")

    def _slides(self) -> Iterator[tuple[str, Related | None]]:
        """Yield the identity and the part of each slide in order; those that no list names come last."""
        listed: set[str] = set()
        for entries in self._root:
            for one in entries if local(entries) == "sldIdLst" else ():
                target = self._related.get(_relation(one))
                if target and target.target in listed:
                    self._draft.not_shown("duplicate of a slide")
                    continue
                listed.add(target.target if target else "")
                yield one.get("id", ""), target
        for target in self._related.values():
            if target.kind == "slide" and target.target not in listed:
                yield "", target

    def _section_names(self) -> dict[str, str]:
        """Return the names of sections by the identity of their first slides."""
        found: dict[str, str] = {}
        for section in self._root.iter("{*}section"):
            name = one_line(section.get("name", ""))
            first = next(section.iter("{*}sldId"), None)
            if name and first is not None:
                key = first.get("id", "")
                found[key] = f"{found[key]} / {name}" if key in found else name
            elif name:
                self._draft.meta.setdefault("empty_sections", []).append(name)
        return found

    def _slide(self, number: int, target: Related | None, section: str) -> None:
        """Write one slide. `section`: the name of the section that begins with it."""
        if number > 1:
            self._write("")
        root = opened(self._package, self._draft, target, "slide")
        if root is None or target is None:
            self._heading(number, "")
            return
        drawing = Drawing(self._package, self._draft, target.target)
        title, lines = self._shapes(drawing, root)
        hidden = root.get("show") in ("0", "false")
        if hidden:
            self._hidden.append(number)
        self._heading(number, title, " (hidden)" if hidden else "")
        if section:
            self._write(f"[section: {section}]")
            self._draft.meta.setdefault("sections", []).append(section)
        for line in lines:
            self._write(line)
        parts = related(self._package, self._draft, target.target)
        for one in parts.values():
            if one.kind == "notesSlide":
                self._notes(one)
            elif one.kind == "slideLayout":
                self._uses(one)
            elif one.kind == "comments":
                for line in self._comments.lines(one):
                    self._write(line)

    def _heading(self, number: int, title: str, state: str = "") -> None:
        """Begin a slide, unless it has begun."""
        if len(self._draft.places.get("slides", {"at": []})["at"]) < number:
            self._draft.mark("slides", title)
            self._write(f"## Slide {number}{f': {title}' if title else ''}{state}")

    def _shapes(self, drawing: Drawing, root: Element) -> tuple[str, list[str]]:
        """Return the title of a slide, and its other lines."""
        titles: list[str] = []
        lines: list[str] = []
        for tree in root.iter("{*}spTree"):
            for one in tree:
                kind = placeholder(one)
                shown = list(drawing.shape(one)) if kind != "sldNum" else []
                if kind in _TITLES and shown and not titles:
                    titles = [" ".join(shown)]
                else:
                    lines += shown
            break
        return one_line(titles[0]) if titles else "", lines

    def _notes(self, target: Related) -> None:
        root = opened(self._package, self._draft, target, "notes page")
        if root is None:
            return
        drawing = Drawing(self._package, self._draft, target.target)
        notes: list[str] = []
        for tree in root.iter("{*}spTree"):
            for one in tree:
                kind = placeholder(one)
                shown = list(drawing.shape(one))
                if kind in ("sldNum", "sldImg"):
                    continue
                if kind in ("hdr", "ftr", "dt"):
                    noun = {"hdr": "header", "ftr": "footer", "dt": "date"}[kind]
                    notes += [f"[{noun} of the notes: {' '.join(shown)}]"] if shown else []
                else:
                    notes = [*notes, *shown]
        if notes:
            self._write("Notes: " + "\n".join(notes))

    def _uses(self, layout: Related) -> None:
        if layout.target in self._layouts or layout.target not in self._package:
            return
        self._layouts[layout.target] = None
        for one in related(self._package, self._draft, layout.target).values():
            if one.kind == "slideMaster" and one.target in self._package:
                self._layouts[one.target] = None

    def _write_masters(self) -> None:
        """Write the text of masters and layouts in use that is no placeholder, each line once."""
        lines: dict[str, None] = {}
        for name in self._layouts:
            root = parsed(self._package, self._draft, name)
            for tree in root.iter("{*}spTree") if root is not None else ():
                drawing = Drawing(self._package, self._draft, name)
                for one in tree:
                    if placeholder(one) in ("", *_SHOWN_ONCE):
                        lines.update(dict.fromkeys(drawing.shape(one)))
        shown = set(self._draft.text.split("\n")) if lines else set[str]()
        if unseen := [line for line in lines if line not in shown]:
            self._write("")
            for line in unseen:
                self._write(f"[on the master: {line}]")


def _relation(one: Element) -> str:
    """Return the relationship of an entry, which also has a number called `id`."""
    for key, value in one.attrib.items():
        if str(key).endswith("}id"):
            return str(value)
    return attribute(one, "id")


def placeholder(shape: Element) -> str:
    """Return the kind of placeholder that a shape is, `obj` without one; an empty text for other shapes."""
    for facts in shape:
        if local(facts).startswith("nv"):
            for properties in facts:
                for one in properties if local(properties) == "nvPr" else ():
                    if local(one) == "ph":
                        return str(one.get("type", "obj"))
    return ""
