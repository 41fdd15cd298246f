"""Parts of a workbook of OpenDocument that belong to no sheet: names, lists of choices, links, headers and footers."""

from collections.abc import Iterator

from ...draft import Draft
from ..office.drawing_text import one_line
from ..office.zip_package import Element, attribute, local
from ..sheets.sheet_text import SheetText
from .odf_cells import paragraphs
from .odf_package import OdfPackage

_HEADERS = ("header", "header-left", "header-first", "footer", "footer-left", "footer-first")
_UNREAD = frozenset(
    (
        *("automatic-styles", "styles", "font-face-decls", "scripts", "meta", "settings", "master-styles"),
        *("tracked-changes", "page-number", "page-count", "sheet-name", "binary-data", "object"),
        *("creator-initials", "initials", "sender-initials", "date-string", "ruby-text", "event-listeners"),
    )
)
"""Elements whose words are not for readers, or are counted by others."""


def hidden_tables(root: Element) -> set[str]:
    """Return the styles of sheets that are hidden."""
    found: set[str] = set()
    for style in root.iter("{*}style"):
        for one in style:
            if local(one) == "table-properties" and attribute(one, "display") == "false":
                found.add(attribute(style, "name"))
    return found


def page_texts(package: OdfPackage, draft: Draft, masters: set[str]) -> Iterator[str]:
    """Yield the headers and footers of printed pages, each once. `masters`: the pages in use."""
    if "styles.xml" not in package:
        return
    try:
        root = package.xml("styles.xml")
    except Exception as error:  # zipfile and lxml raise a dozen kinds
        draft.lose(f"styles.xml cannot be read (damaged: {type(error).__name__})")
        return
    seen: set[str] = set()
    for master in root.iter("{*}master-page"):
        if attribute(master, "name") not in masters:
            continue
        for one in master:
            words = " ".join(paragraphs(one)) if local(one) in _HEADERS else ""
            line = f"[{local(one).partition('-')[0]}: {words}]"
            if words and line not in seen:
                seen.add(line)
                yield line


class Rest:
    """Writes what stands beside the sheets."""

    def __init__(self, draft: Draft, text: SheetText) -> None:
        """Prepare a workbook whose sheets are written."""
        self._draft = draft
        self._text = text

    def write(self, root: Element) -> None:
        """Write names, lists of choices, links, and count what is not shown. Raises TooMuch."""
        for one in root.iter("{*}named-range", "{*}named-expression"):
            meaning = attribute(one, "cell-range-address") or attribute(one, "expression")
            self._text.note(f"[name {attribute(one, 'name')}: {meaning}]")
        for one in root.iter("{*}database-range"):
            if (name := attribute(one, "name")) and not name.startswith("__Anonymous"):
                self._text.note(f"[table {name}: {attribute(one, 'target-range-address')}]")
        for one in root.iter("{*}content-validation"):
            self._choices(one)
        changes = sum(1 for one in root.iter("{*}tracked-changes") for _ in one)
        self._draft.not_shown("tracked change", changes)
        self._draft.not_shown("pivot table", sum(1 for _ in root.iter("{*}data-pilot-table")))

    def _choices(self, one: Element) -> None:
        condition = attribute(one, "condition")
        begin = condition.find("cell-content-is-in-list(")
        if begin >= 0:
            choices = condition[begin:].partition("(")[2].rpartition(")")[0].replace('"', "").replace(";", ",")
            self._text.note(f"[choices: {choices}]")
        for child in one:
            if local(child) in ("help-message", "error-message"):
                words = [one_line(attribute(child, "title")), *paragraphs(child)]
                noun = "prompt" if local(child) == "help-message" else "error"
                if text := ": ".join(filter(None, words)):
                    self._text.note(f"[{noun}: {text}]")


def texts_of(root: Element) -> Iterator[str]:
    """Yield the texts of a part that people read, for the count of missing words."""
    stack: list[Element] = [root]
    while stack:
        one = stack.pop()
        name = local(one)
        if one.tail and not one.tail.isspace():
            yield one.tail
        if name in _UNREAD:
            continue
        if one.text and not one.text.isspace():
            yield one.text
        stack.extend(one)
