"""Workbooks of Excel in binary form as text, in the form of `sheet_text.py`.

XLS (BIFF 2 to 8) is read by xlrd, XLSB by calamine, which also reads the XLS files that xlrd cannot. calamine gives
values alone, which a loss says. Both may end their process on hostile files.
"""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

from ...draft import Draft, GivenFile, Read, Unusable
from ...formats import format_of
from ..office.drawing_text import Drawing, parsed
from ..office.embedded import embedded_files, opened_ole
from ..office.office_parts import compare, count_media, properties
from ..office.zip_package import OLE, READ_ONLY_PASSWORD, Package, unprotected
from .excel_records import Records
from .number_formats import number_format, plain
from .sheet_text import SheetText, TooMuch, cell_text, column_name, spans

_VALUES_ONLY = "comments, formulas, number formats and error values are not shown"
_STATES = {0: "visible", 1: "hidden", 2: "veryHidden"}
_MOST_MERGED = 2_000


def read_xlsb(given: GivenFile) -> Read:
    """Yield the workbook, then what is embedded in it. Raises Unusable for a protected file."""
    package = Package(given, "XLSB")
    given.file.seek(0)
    draft = Draft("XLSB")
    text = SheetText(draft)
    _by_calamine(unprotected(given, "XLSB"), draft, text)
    for name in package.names:
        if name.lower().startswith("xl/drawings/") and name.lower().endswith(".xml"):
            root = parsed(package, draft, name)
            for line in Drawing(package, draft, name, boxes=True).lines(root) if root is not None else ():
                text.note(line)
        elif name.lower().startswith("xl/pivotcache/") and "definition" in name.lower() and name.endswith(".bin"):
            draft.not_shown("set of stored data of pivot tables")
    properties(package, draft)
    count_media(package, draft)
    found = list(embedded_files(given, package, draft))
    compare(package, draft, set())
    yield draft
    yield from found


def read_xls(given: GivenFile) -> Read:
    """Yield the workbook. Raises Unusable for a protected file and for one that is no workbook."""
    head = given.file.read(512)
    given.file.seek(0)
    if other := _other_format(head):
        # Programs save such files as `.xls`, and Excel opens them.
        form = format_of(f"book{other}", head)
        yield from form.load()(given) if form.reader else given.nested(f"book{other}", given.file.read(), "")
        return
    data = given.file.read()
    draft = Draft("XLS")
    text = SheetText(draft)
    try:
        book, data = _opened(given, data)
    except (Unusable, MemoryError):
        raise
    except Exception as error:  # xlrd raises whatever its parser meets
        _by_calamine(io.BytesIO(data), draft, text, f" (xlrd: {type(error).__name__})")
        yield draft
        return
    _by_xlrd(book, draft, text)
    records = Records(_stream(data))
    for line in records.lines():
        text.note(line)
    for noun, number in records.losses.items():
        draft.not_shown(noun, number)
    if data.startswith(OLE):
        _around(data, draft)
    yield draft


def _other_format(head: bytes) -> str:
    """Return the suffix of what a file called `.xls` really is; an empty text for a workbook in binary form."""
    if head.startswith(b"PK\x03\x04"):
        return ".xlsx"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<html", b"<!doctype html", b"<table", b"<meta", b"<head", b"<style", b"<div")):
        return ".html"
    if start.startswith(b"<?xml") or start.startswith(b"mime-version:"):
        return ".xml" if start.startswith(b"<") else ".eml"
    if head[:1] in (b"\x09", b"\xd0") or b"\0" in head:
        return ""
    return ".tsv" if b"\t" in head else ".csv" if head else ""


def _opened(given: GivenFile, data: bytes) -> tuple[Any, bytes]:
    """Return the book and its file, decrypted if a password fits. Raises Unusable, and whatever xlrd raises."""
    import xlrd

    def book(content: bytes) -> Any:
        return xlrd.open_workbook(
            file_contents=content, formatting_info=True, ragged_rows=True, logfile=io.StringIO(), on_demand=False
        )

    try:
        return book(data), data
    except xlrd.biffh.XLRDError as error:
        if "encrypted" not in str(error):
            raise
        options = replace(given.options, passwords=(*given.options.passwords, READ_ONLY_PASSWORD))
        clear = unprotected(replace(given, file=io.BytesIO(data), options=options), "XLS").read()
        if clear == data:  # before 1993, a file without a container, which nothing decrypts
            raise Unusable("password-protected", "Save a copy without the password.") from error
    return book(clear), clear


def _stream(data: bytes) -> bytes:
    """Return the stream of the workbook in its file, which before 1995 is the file itself; empty for a damaged one."""
    if not data.startswith(OLE):
        return data
    try:
        with opened_ole(data) as ole:
            return next((ole.openstream(name).read() for name in ("Workbook", "Book") if ole.exists(name)), b"")
    except Exception:  # xlrd has read it, more patiently
        return b""


def _by_xlrd(book: Any, draft: Draft, text: SheetText) -> None:
    formats = [number_format(_code(book, xf), bool(book.datemode)) for xf in book.xf_list]
    for sheet in book.sheets():
        text.begin(sheet.name, _STATES.get(sheet.visibility, "hidden"))
        try:
            hidden = _rows(book, sheet, text, formats)
            text.ranges("hidden rows", spans(hidden))
            _sheet_parts(sheet, draft, text)
        except TooMuch as error:
            draft.lose(f"sheet {sheet.name} is cut: {error}")
            continue
        if hidden:
            draft.meta["hidden_rows"] = draft.meta.get("hidden_rows", 0) + len(hidden)
    text.end()
    for name in book.name_obj_list:
        if not name.builtin and not name.macro:
            text.note(f"[name {name.name}: {name.result.text if name.result else ''}]")
    if book.user_name:
        draft.meta["last_modified_by"] = book.user_name.strip()


def _code(book: Any, xf: Any) -> str:
    found = book.format_map.get(xf.format_key)
    # The numbers of formats that follow the settings of a computer; see `number_formats.py`.
    return {14: "yyyy-mm-dd", 22: "yyyy-mm-dd h:mm"}.get(xf.format_key) or (found.format_str if found else "")


def _rows(book: Any, sheet: Any, text: SheetText, formats: list[Any]) -> list[int]:
    """Write the rows of a sheet, and return the numbers of hidden ones."""
    import xlrd

    hidden: list[int] = []
    for row in range(sheet.nrows):
        cells: list[tuple[int, str]] = []
        for column, cell in enumerate(sheet.row(row), 1):
            if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK):
                continue
            wanted = formats[cell.xf_index] if cell.xf_index is not None and cell.xf_index < len(formats) else None
            match cell.ctype:
                case xlrd.XL_CELL_TEXT:
                    shown = wanted.text(cell.value) if wanted else cell.value
                case xlrd.XL_CELL_BOOLEAN:
                    shown = "TRUE" if cell.value else "FALSE"
                case xlrd.XL_CELL_ERROR:
                    shown = xlrd.error_text_from_code.get(cell.value, "#ERROR!")
                case _:
                    shown = wanted.number(cell.value) if wanted else plain(cell.value)
            if shown:
                cells.append((column, cell_text(str(shown))))
        facts = sheet.rowinfo_map.get(row)
        if cells and facts is not None and facts.hidden:
            hidden.append(row + 1)
        text.row(row + 1, cells)
    return hidden


def _sheet_parts(sheet: Any, draft: Draft, text: SheetText) -> None:
    columns = [column_name(at + 1) for at, facts in sorted(sheet.colinfo_map.items()) if facts.hidden and at < 256]
    text.ranges("hidden columns", columns)
    if columns:
        draft.meta["hidden_columns"] = draft.meta.get("hidden_columns", 0) + len(columns)
    merged = [
        f"{column_name(left + 1)}{top + 1}:{column_name(right)}{bottom}"
        for top, bottom, left, right in sheet.merged_cells
    ]
    text.ranges("merged cells", merged)
    for link in sheet.hyperlink_list:
        words = [str(one) for one in (link.url_or_path, link.textmark, link.quicktip) if one]
        text.note(f"[link on {column_name(link.fcolx + 1)}{link.frowx + 1}: {', '.join(words)}]")
    for (row, column), note in sorted(sheet.cell_note_map.items()):
        who = f" by {note.author.strip()}" if note.author.strip() else ""
        text.note(f"[comment on {column_name(column + 1)}{row + 1}{who}]: {cell_text(note.text)}")


def _around(data: bytes, draft: Draft) -> None:
    """Note what stands beside the workbook in its file, and read its properties."""
    try:
        with opened_ole(data) as ole:
            folders = {path[0] for path in ole.listdir() if len(path) > 1}
            draft.not_shown("embedded object", sum(name.startswith("MBD") for name in folders))
            draft.not_shown("set of macros", "_VBA_PROJECT_CUR" in folders)
            draft.not_shown("set of stored data of pivot tables", "_SX_DB_CUR" in folders)
            facts = ole.get_metadata()
            for key, value in (
                ("title", facts.title),
                ("author", facts.author),
                ("subject", facts.subject),
                ("keywords", facts.keywords),
                ("description", facts.comments),
                ("company", facts.company),
            ):
                if value:
                    draft.meta[key] = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    except Exception as error:  # the workbook itself is read
        draft.lose(f"properties cannot be read (damaged: {type(error).__name__})")


def _by_calamine(file: Any, draft: Draft, text: SheetText, why: str = "") -> None:
    """Write the values of all sheets. Raises Unusable for a protected file, ValueError for a damaged one."""
    book = _careful(lambda: _calamine(file))
    draft.lose(f"{_VALUES_ONLY}{why}")
    for facts in book.sheets_metadata:
        state = str(facts.visible).rpartition(".")[2]
        text.begin(facts.name, {"Visible": "visible", "Hidden": "hidden", "VeryHidden": "veryHidden"}.get(state, state))
        if str(facts.typ).rpartition(".")[2] not in ("WorkSheet", "MacroSheet"):
            draft.not_shown("sheet that is a chart or a dialog")
            continue
        try:
            sheet = _careful(lambda name=facts.name: book.get_sheet_by_name(name))
            rows = _careful(lambda sheet=sheet: sheet.to_python(skip_empty_area=False))
            for number, row in enumerate(rows, 1):
                cells = [(at, shown) for at, value in enumerate(row, 1) if (shown := _value(value))]
                text.row(number, cells)
            ranges = sheet.merged_cell_ranges or []
            text.ranges("merged cells", [_range(first, last) for first, last in ranges[:_MOST_MERGED]])
        except TooMuch as error:
            draft.lose(f"sheet {facts.name} is cut: {error}")
        except ValueError as error:
            draft.lose(f"sheet {facts.name} cannot be read ({error})")


def _calamine(file: Any) -> Any:
    import python_calamine

    try:
        return python_calamine.CalamineWorkbook.from_filelike(file)
    except python_calamine.PasswordError as error:
        hint = "Give its password by --password env:NAME or file:PATH."
        raise Unusable("password-protected", hint) from error


def _careful(action: Callable[[], Any]) -> Any:
    """Return what `action` returns. Raises ValueError for errors of the library, some of which are no Exception."""
    try:
        return action()
    except Unusable:
        raise
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)):
            raise
        raise ValueError(f"damaged: {type(error).__name__}") from error


def _range(first: tuple[int, int], last: tuple[int, int]) -> str:
    return f"{column_name(first[1] + 1)}{first[0] + 1}:{column_name(last[1] + 1)}{last[0] + 1}"


def _value(value: object) -> str:
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float():
            return plain(float(value))
        case datetime():
            return value.isoformat(" ").removesuffix(" 00:00:00")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return number_format("[h]:mm:ss").number(value.total_seconds() / 86_400)
        case _:
            return cell_text(str(value)) if value is not None else ""
