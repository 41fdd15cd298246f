"""OpenDocument texts (ODT, OTT, and FODT, which is one XML file) by their XML.

Headings with `#` in front, lists with their numbers, tables a line for each row; headers of page styles come first,
footers last, each once. `office_notation.py` describes the marks of changes, comments, notes and hidden words.
"""

from collections.abc import Callable

from .....state.wording import counted
from ...draft import Draft, GivenFile, Read, Unusable
from ..office.zip_package import Element, Package, parsed
from ..word.parts import embedded_file
from .odf_lists import OdfStyles, name, qualified
from .odf_parts import form_controls, opened, pieces_of_text, properties, tracked_changes
from .odf_text import OdfText

_LONGEST_TITLE = 200
_LARGEST_FLAT = 256 << 20
_MARGINS = {"style:header": "header", "style:footer": "footer"}
_PLACES = {"-left": " of left pages", "-first": " of the first page"}


class _Odt:
    """One document while it is read."""

    def __init__(self, draft: Draft, content: Element, styles: Element | None, package: Package | None) -> None:
        self._draft, self._content, self._styles, self._package = draft, content, styles, package
        self.files: list[tuple[str, bytes]] = []
        """Embedded files, by their paths."""
        self._read_objects: set[str] = set()
        known = OdfStyles()
        for root in (styles, content):
            if root is not None:
                known.add(root)
        changes, struck, self._remarks = tracked_changes(content)
        self._text = OdfText(known, changes)
        self._text.struck = struck
        self._text.controls = form_controls(content)
        self._text.embedded = self._object

    def read(self) -> None:
        """Write the whole document."""
        margins = self._margins()
        self._write(margins, "header")
        body = next(self._content.iter(qualified("office:body")), None)
        self._text.walk(body if body is not None else self._content, self._emit)
        for identity in list(self._text.struck):
            words = self._text.struck_words(identity)
            self._draft.write(f"{words}\n" if words else "")
        for words in self._text.controls.values():
            self._draft.write(f"{words}\n")
        for remark in self._remarks:
            self._draft.write(remark)
        self._left_objects()
        self._write(margins, "footer")
        self._losses()

    def _emit(self, text: str, level: int) -> None:
        title = " ".join(text.split())[:_LONGEST_TITLE]
        if level and title:
            self._draft.mark("sections", title, level=level)
            text = f"{'#' * level} {text}"
        self._draft.write(text)

    def _margins(self) -> list[tuple[str, str]]:
        found: dict[tuple[str, str], None] = {}
        for root in {id(one): one for one in (self._styles, self._content) if one is not None}.values():
            for page in root.iter(qualified("style:master-page")):
                for one in page:
                    short = name(one)
                    kind = next((noun for prefix, noun in _MARGINS.items() if short.startswith(prefix)), "")
                    if kind and (words := self._text.text(one).strip()):
                        place = next((said for end, said in _PLACES.items() if short.endswith(end)), "")
                        found.setdefault((kind, f"[{kind}{place}: {words}]\n"))
        return list(found)

    def _write(self, margins: list[tuple[str, str]], kind: str) -> None:
        for own, line in margins:
            if own == kind:
                self._draft.write(line)

    def _object(self, place: str) -> str:
        """Return the text of an embedded chart, formula or document; keep a file in another format for its reader."""
        folder = place.removeprefix("./").strip("/")
        if self._package is None or "://" in place:
            self._draft.not_shown("linked object")
            return f"[linked object: {place}]\n"
        if folder.lower() in self._read_objects:
            return ""
        self._read_objects.add(folder.lower())
        try:
            if f"{folder}/content.xml" in self._package:
                return _object_text(self._package.xml(f"{folder}/content.xml"))
            found = embedded_file(folder, self._package.read(folder))
        except Exception as error:  # one part must not cost the others
            self._draft.lose(f"{folder} cannot be read ({str(error)[:200]})")
            return ""
        if found is None:
            self._draft.not_shown("embedded object")
            return ""
        self.files.append(found)
        return f"[embedded file: {found[0]}]\n"

    def _left_objects(self) -> None:
        for part in self._package.names if self._package is not None else ():
            folder, _, base = part.rpartition("/")
            if base == "content.xml" and folder and folder.lower() not in self._read_objects:
                self._draft.write(self._object(folder))

    def _losses(self) -> None:
        for loss in self._text.losses:
            self._draft.lose(loss)
        self._draft.not_shown("image", self._text.images)
        parts = {id(one): one for one in (self._styles, self._content) if one is not None}.values()
        left = sum(pieces_of_text(one) for one in parts) - self._text.shown
        if left > 0:
            self._draft.lose(f"{counted(left, 'piece of text')} outside of paragraphs not shown")


def _object_text(root: Element) -> str:
    styles = OdfStyles()
    styles.add(root)
    inner = OdfText(styles)
    words = inner.text(root).strip()
    if not words:
        # A formula: its words stand in no paragraphs, and are repeated as a note for programs.
        words = " ".join(
            str(one.text).strip()
            for one in root.iter()
            if one.text and one.text.strip() and name(one) != "math:annotation"
        )
    noun = "chart" if next(root.iter(qualified("chart:chart")), None) is not None else "object"
    return f"[{noun}: {words}]\n" if words else ""


def read(given: GivenFile) -> Read:
    """Yield the document, then the files embedded in it."""
    draft = Draft("ODT")
    package: Package | None = None
    meta: Element | None = None
    styles: Element | None = None
    if given.file.read(2) == b"PK":
        given.file.seek(0)
        package = opened(given, "ODT")
        if "content.xml" not in package:
            raise Unusable("an OpenDocument file without content", "Templates of styles alone have none.")
        content = package.xml("content.xml")
        styles = _optional(package.xml, "styles.xml", package, draft)
        meta = _optional(package.xml, "meta.xml", package, draft)
    else:
        given.file.seek(0)
        content = meta = parsed(given.file.read(_LARGEST_FLAT), given.name)
        if not name(content).startswith("office:document"):
            raise ValueError("it is not an OpenDocument file")
    if meta is not None:
        for one in list(meta.iter(qualified("office:meta")))[:1]:
            draft.meta.update(properties(one))
    document = _Odt(draft, content, styles, package)
    document.read()
    yield draft
    for place, data in document.files:
        yield from given.nested(place, data, "")


def _optional(load: Callable[[str], Element], part: str, package: Package, draft: Draft) -> Element | None:
    if part not in package:
        return None
    try:
        return load(part)
    except Exception as error:  # one part must not cost the others
        draft.lose(f"{part} cannot be read ({str(error)[:200]})")
        return None
