"""Workbooks of Excel in binary form, record by record, with sentences in the parts that are read."""

import struct
from random import Random

from . import Sample
from .parts import Words, relations, zipped

_FORMAT_KEY = 164


def record(kind: int, data: bytes = b"") -> bytes:
    """Return a record of BIFF 8."""
    return struct.pack("<HH", kind, len(data)) + data


def wide(words: str, length: str = "<H") -> bytes:
    """Return a text of BIFF 8 with two bytes a character."""
    return struct.pack(length, len(words)) + b"\x01" + words.encode("utf-16-le")


def xls(
    cells: bytes, *, name: str = "Data", state: int = 0, code: str = "0.00%", more: bytes = b"", before: bytes = b""
) -> bytes:
    """Return a workbook with one sheet, as a bare stream. Cells have style 0, or 1 for the format `code`.

    `before` and `more` are records of the workbook and of the sheet.
    """
    fonts = record(0x31, struct.pack("<HHHHHBBBB", 200, 0, 0x7FFF, 400, 0, 0, 0, 0, 0) + b"\x05\x00Arial") * 5
    styles = b"".join(record(0xE0, struct.pack("<HH", 0, key) + bytes(16)) for key in (0, _FORMAT_KEY))
    formats = record(0x41E, struct.pack("<H", _FORMAT_KEY) + wide(code))
    sheet_name = struct.pack("<B", len(name)) + b"\x01" + name.encode("utf-16-le")
    begin = record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 1997, 0, 6))
    end = record(0x0A)
    before = begin + fonts + formats + styles + before
    sheet = record(0x85, struct.pack("<IBB", 0, state, 0) + sheet_name)
    at = len(before) + len(sheet) + len(end)
    sheet = record(0x85, struct.pack("<IBB", at, state, 0) + sheet_name)
    body = record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 1997, 0, 6)) + cells + more + end
    return before + sheet + end + body


def label(row: int, column: int, words: str, style: int = 0) -> bytes:
    """Return a cell with a text."""
    return record(0x204, struct.pack("<HHH", row, column, style) + wide(words))


def number(row: int, column: int, value: float, style: int = 0) -> bytes:
    """Return a cell with a number."""
    return record(0x203, struct.pack("<HHHd", row, column, style, value))


def text_box(words: str, shape: int = 6) -> bytes:
    """Return a text box, or another shape: 25 is a comment."""
    kind = record(0x5D, struct.pack("<HHHH", 0x15, 0x12, shape, 1) + bytes(14))
    text = record(0x1B6, struct.pack("<HHHHHHI", 0, 0, 0, 0, 0, len(words), 0)[:18].ljust(18, b"\0"))
    return kind + text + record(0x3C, b"\x01" + words.encode("utf-16-le"))


def xlsb(words: str, name: str = "Data") -> dict[str, str | bytes]:
    """Return the parts of a workbook in the newer binary form, with one cell."""

    def one(kind: int, data: bytes = b"") -> bytes:
        number = bytes((kind,)) if kind < 128 else bytes((kind & 0x7F | 0x80, kind >> 7))
        size = bytes((len(data),)) if len(data) < 128 else bytes((len(data) & 0x7F | 0x80, len(data) >> 7))
        return number + size + data

    def text(value: str) -> bytes:
        return struct.pack("<I", len(value)) + value.encode("utf-16-le")

    book = one(131) + one(143) + one(156, struct.pack("<II", 0, 1) + text("r1") + text(name)) + one(144) + one(132)
    row = one(0, struct.pack("<IIHBBBI", 0, 0, 300, 0, 0, 0, 0))
    cell = one(6, struct.pack("<II", 0, 0) + text(words))
    sheet = one(129) + one(148, struct.pack("<IIII", 0, 0, 0, 0)) + one(145) + row + cell + one(146) + one(130)
    return {
        "_rels/.rels": relations(("officeDocument", "xl/workbook.bin")),
        "xl/workbook.bin": book,
        "xl/_rels/workbook.bin.rels": relations(("worksheet", "worksheets/sheet1.bin")),
        "xl/worksheets/sheet1.bin": sheet,
    }


def samples(random: Random) -> list[Sample]:
    """Return a workbook of each form."""
    old, new = Words(random), Words(random)
    choices = (old("list of choices") + "\0").encode("utf-16-le")
    prompts = b"".join(wide(words) for words in ("t", "e", old("prompt"), old("error message")))
    formula = b"\x17" + bytes((len(choices) // 2,)) + b"\x01" + choices
    cells = label(0, 0, old("cell")) + label(3, 2, old("other cell"))
    more = (
        record(0x14, wide("&L" + old("header")))
        + record(0x15, wide("&C" + old("footer")))
        + text_box(old("text box"))
        + record(0x1BE, struct.pack("<I", 3) + prompts + struct.pack("<HH", len(formula), 0) + formula)
        + record(0x809, struct.pack("<HHHHII", 0x600, 0x20, 0, 1997, 0, 6))
        + record(0x100D, b"\0\0" + _short(old("title of a chart")))
        + record(0x0A)
    )
    data = xls(cells, state=random.choice((0, 1, 2)), more=more)
    newer = zipped(xlsb(new("cell")))
    return [Sample("old.xls", data, old.planted), Sample("new.xlsb", newer, new.planted)]


def _short(words: str) -> bytes:
    return bytes((len(words),)) + b"\x01" + words.encode("utf-16-le")
