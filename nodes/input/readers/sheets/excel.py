"""Workbooks of Excel as text: XLSX, XLSM, XLTX, XLTM, in both forms of the standard (Transitional and Strict).

One document for a workbook, its sheets in the form of `sheet_text.py`. Values are shown as Excel shows them; a formula
that was saved without its value is shown as the formula. Comments, charts, text boxes and all else that belongs to a
sheet follows its rows; what belongs to the workbook follows the last sheet.
"""

from collections.abc import Iterator
from dataclasses import replace

from ...draft import Draft, GivenFile, Read, Unusable
from ...formats import format_of
from ..office.drawing_text import one_line, parsed, related
from ..office.embedded import embedded_files
from ..office.office_parts import compare, count_media, properties
from ..office.zip_package import OLE, READ_ONLY_PASSWORD, Element, Package, Related, attribute, local
from .excel_cells import Sheet, Workbook, number_formats, shared_strings
from .excel_parts import SheetParts
from .excel_rest import COUNTED, rest_of_workbook
from .sheet_text import SheetText, TooMuch

_MOST_SHEETS = 10_000
_SHEETS = ("worksheet", "chartsheet", "dialogsheet", "xlMacrosheet", "xlIntlMacrosheet")
_BINARY = "Workbook".encode("utf-16-le")
_PROTECTED = "EncryptedPackage".encode("utf-16-le")


def read(given: GivenFile) -> Read:
    """Yield the workbook, then what is embedded in it. Raises Unusable for a protected file."""
    if _is_old(given):
        yield from format_of("old.xls", b"").load()(given)
        return
    # Some programs protect files by this password against changes; Excel opens them without asking.
    options = replace(given.options, passwords=(*given.options.passwords, READ_ONLY_PASSWORD))
    package = Package(replace(given, options=options), "XLSX")
    draft = Draft("XLSX")
    main = package.main
    if main.lower().endswith(".bin"):
        given.file.seek(0)
        yield from format_of("binary.xlsb", b"").load()(given)
        return
    root = package.xml(main)
    book = Workbook(since_1904=_since_1904(root))
    reading = _Reading(package, draft, book, main, root)
    reading.read()
    properties(package, draft)
    count_media(package, draft)
    found = list(embedded_files(given, package, draft))
    compare(package, draft, reading.complete, reading.rest)
    yield draft
    yield from found


def _is_old(given: GivenFile) -> bool:
    """Return whether the file is a workbook of before 2007 with a newer suffix."""
    head = given.file.read(8)
    if head == OLE:
        head += given.file.read(4 << 20)
    given.file.seek(0)
    return head.startswith(OLE) and _BINARY in head and _PROTECTED not in head


def _since_1904(root: Element) -> bool:
    return any(one.get("date1904") in ("1", "true") for one in root.iter("{*}workbookPr"))


class _Reading:
    def __init__(self, package: Package, draft: Draft, book: Workbook, main: str, root: Element) -> None:
        self._package = package
        self._draft = draft
        self._book = book
        self._main = main
        self._root = root
        self._related = related(package, draft, main)
        self._text = SheetText(draft)
        self.complete = {main.lower()}
        """The names, in lower case, of the parts that are read cell by cell."""
        self.rest: list[tuple[str, Element]] = []
        """The sheets without their rows."""

    def read(self) -> None:
        """Write the whole workbook."""
        self._read_common()
        hidden = 0
        for name, state, target in self._sheets():
            self._text.begin(name, state)
            try:
                hidden += self._sheet(name, target)
            except TooMuch as error:
                self._draft.lose(f"sheet {name} is cut: {error}")
        self._text.end()
        self.complete |= {one.target.lower() for one in self._related.values() if one.kind in COUNTED}
        try:
            rest_of_workbook(self._package, self._draft, self._text, self._root, self._related)
        except TooMuch as error:
            self._draft.lose(f"names and links are cut: {error}")
        if hidden:
            self._draft.meta["hidden_rows"] = hidden
        if self._book.formulas:
            self._draft.meta["formulas"] = self._book.formulas
        if missing := self._book.without_value:
            verb = "formulas have" if missing > 1 else "formula has"
            self._draft.lose(f"{missing:,} {verb} no stored value; the formula is shown")

    def _read_common(self) -> None:
        """Read the texts and the number formats that all sheets share."""
        for one in self._related.values():
            if one.outside or one.target not in self._package:
                continue
            if one.kind == "sharedStrings":
                self.complete.add(one.target.lower())
                try:
                    self._book.strings = shared_strings(self._package, one.target)
                except Exception as error:  # zipfile and lxml raise a dozen kinds
                    self._draft.lose(f"the texts of cells cannot be read (damaged: {type(error).__name__})")
            elif one.kind == "styles":
                styles = parsed(self._package, self._draft, one.target)
                if styles is not None:
                    self._book.formats = number_formats(styles, self._book.since_1904)

    def _sheets(self) -> Iterator[tuple[str, str, Related]]:
        """Yield the name, the state and the part of each sheet, in the order of their tabs."""
        listed: set[str] = set()
        sheets = [one for one in self._root.iter("{*}sheet") if local(one.getparent()) == "sheets"]
        for one in sheets[:_MOST_SHEETS]:
            target = self._related.get(attribute(one, "id"), Related("", ""))
            listed.add(target.target)
            yield one_line(one.get("name", "")), one.get("state", "visible"), target
        if len(sheets) > _MOST_SHEETS:
            self._draft.not_shown("sheet", len(sheets) - _MOST_SHEETS)
        for one in self._related.values():
            # No tab leads to these.
            if one.kind in _SHEETS and one.target not in listed and one.target in self._package:
                listed.add(one.target)
                yield one.target.rpartition("/")[2].partition(".")[0], "unlisted", one

    def _sheet(self, name: str, target: Related) -> int:
        """Write one sheet, and return how many of its filled rows are hidden. Raises TooMuch."""
        if target.outside or target.target not in self._package:
            self._draft.lose(f"sheet {name} cannot be read (it is missing)")
            return 0
        if target.target.lower() in self.complete:
            self._draft.lose(f"sheet {name} is another one's copy and not shown")
            return 0
        self.complete.add(target.target.lower())
        sheet = Sheet(self._book, self._text, self._draft)
        root = None
        try:
            root = sheet.read(self._package, target.target)
            self.rest.append((target.target, root))
        except (TooMuch, MemoryError):
            raise
        except Unusable:
            raise
        except Exception as error:  # zipfile and lxml raise a dozen kinds; the rows so far are kept
            self._draft.lose(f"sheet {name} cannot be read to its end (damaged: {type(error).__name__})")
        SheetParts(self._package, self._draft, self._text, target.target).write(root, sheet.hidden)
        return len(sheet.hidden)
