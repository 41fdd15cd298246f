"""Presentations of OpenDocument (ODP) as text, in the form of `powerpoint.py`."""

from ...draft import Draft, GivenFile, Read
from ..office.drawing_text import one_line
from ..office.office_parts import Search
from ..office.zip_package import Element, attribute, local
from .odf_cells import Frames, comment_line
from .odf_package import OdfPackage, count_media, properties
from .open_document_names import texts_of

LARGEST_TEXT = 200 << 20
_MOST_SLIDES = 20_000


def read(given: GivenFile) -> Read:
    """Yield the presentation. Raises Unusable for a protected file."""
    package = OdfPackage(given, "ODP")
    draft = Draft("ODP")
    reading = _Reading(package, draft)
    reading.read()
    properties(package, draft)
    count_media(package, draft)
    reading.compare()
    yield draft


class _Reading:
    def __init__(self, package: OdfPackage, draft: Draft) -> None:
        self._package = package
        self._draft = draft
        self._root = package.xml("content.xml")
        self._frames = Frames(package, draft)
        self._hidden = _hidden_styles(self._root)
        self._declared = _declared(self._root)
        self._masters: dict[str, None] = {}

    def read(self) -> None:
        """Write all slides, then what masters show."""
        number = 0
        hidden: list[int] = []
        for body in self._root.iter("{*}presentation", "{*}drawing"):
            for page in body:
                if local(page) != "page":
                    continue
                number += 1
                if number > _MOST_SLIDES or self._draft.chars > LARGEST_TEXT:
                    self._draft.lose(f"the slides from number {number} on are not shown (too many)")
                    break
                if attribute(page, "style-name") in self._hidden:
                    hidden.append(number)
                try:
                    self._slide(number, page, number in hidden)
                except Exception as error:  # hostile files may raise anything
                    self._draft.lose(f"slide {number} cannot be read to its end ({type(error).__name__})")
        self._draft.meta["slides"] = number
        if hidden:
            self._draft.meta["hidden_slides"] = hidden
        self._write_masters()

    def compare(self) -> None:
        """Compare the words of the slides with the document's text, and note what is missing as a loss."""
        search = Search(self._draft)
        for words in texts_of(self._root):
            search.add("word of content.xml", words)
        search.report()

    def _write(self, line: str) -> None:
        self._draft.write(f"{line}\n")

    def _slide(self, number: int, page: Element, hidden: bool) -> None:
        if number > 1:
            self._write("")
        titles: list[str] = []
        lines: list[str] = []
        notes: list[str] = []
        for one in page:
            name = local(one)
            if name == "annotation":
                lines.append(comment_line(one))
            elif name == "notes":
                notes += self._notes(one)
            else:
                shown = list(self._frames.lines(one))
                if attribute(one, "class") == "title" and shown and not titles:
                    titles = shown
                else:
                    lines += shown
        lines += self._shown_declarations(page)
        title = one_line(" ".join(titles))
        self._draft.mark("slides", title)
        self._write(f"## Slide {number}{f': {title}' if title else ''}{' (hidden)' if hidden else ''}")
        for line in lines:
            self._write(line)
        if notes:
            self._write("Notes: " + "\n".join(notes))
        self._masters[attribute(page, "master-page-name")] = None

    def _notes(self, element: Element) -> list[str]:
        found: list[str] = []
        for one in element:
            if local(one) == "annotation":
                found.append(comment_line(one))
            elif attribute(one, "class") != "page-number":
                found += self._frames.lines(one)
        return found + self._shown_declarations(element)

    def _shown_declarations(self, page: Element) -> list[str]:
        """Return the header, the footer and the date that a slide takes from the presentation."""
        found: list[str] = []
        for noun in ("header", "footer", "date-time"):
            name = attribute(page, f"use-{noun}-name")
            if text := self._declared.get((f"{noun}-decl", name)):
                found.append(f"[{noun.replace('-time', '')}: {text}]")
        return found

    def _write_masters(self) -> None:
        """Write the text of masters in use that is no placeholder, each line once."""
        if "styles.xml" not in self._package:
            return
        try:
            root = self._package.xml("styles.xml")
        except Exception as error:  # zipfile and lxml raise a dozen kinds
            self._draft.lose(f"styles.xml cannot be read (damaged: {type(error).__name__})")
            return
        lines: dict[str, None] = {}
        for master in root.iter("{*}master-page"):
            if attribute(master, "name") in self._masters:
                for one in master:
                    if local(one) not in ("notes", "forms") and not attribute(one, "class"):
                        lines.update(dict.fromkeys(self._frames.lines(one)))
        if lines:
            self._write("")
        for line in lines:
            self._write(f"[on the master: {line}]")


def _hidden_styles(root: Element) -> set[str]:
    found: set[str] = set()
    for style in root.iter("{*}style"):
        for one in style:
            if local(one) == "drawing-page-properties" and attribute(one, "visibility") == "hidden":
                found.add(attribute(style, "name"))
    return found


def _declared(root: Element) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for one in root.iter("{*}header-decl", "{*}footer-decl", "{*}date-time-decl"):
        found[local(one), attribute(one, "name")] = one_line("".join(str(text) for text in one.itertext()))
    return found
