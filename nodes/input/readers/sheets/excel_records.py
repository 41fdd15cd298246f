"""Parts of a workbook in BIFF 8 that xlrd leaves out: text boxes, titles of charts, headers, lists of choices."""

import re
from collections.abc import Iterator

_OBJECT, _TEXT, _CONTINUE = 0x005D, 0x01B6, 0x003C
_HEADER, _FOOTER, _CHART_TEXT = 0x0014, 0x0015, 0x100D
_VALIDATION = 0x01BE
_SHEET = 0x0085
_OTHER_SHEETS = {b"\x01": "sheet of macros", b"\x02": "sheet of a chart", b"\x06": "module of macros"}
"""Kinds of sheets that xlrd leaves out."""
_TEXT_IN_FORMULA = b"\x17"
_COMMENT = 0x19
_PICTURE = 8
_CHART = 5


class Records:
    """The records of a workbook: each has a number, a length, and that many bytes."""

    def __init__(self, data: bytes) -> None:
        """Prepare the stream of a workbook."""
        self._data = bytes(data)
        self.losses: dict[str, int] = {}
        """Things that are counted and not shown, after `lines`."""

    def _records(self) -> Iterator[tuple[int, bytes]]:
        at = 0
        while at + 4 <= len(self._data):
            kind = int.from_bytes(self._data[at : at + 2], "little")
            size = int.from_bytes(self._data[at + 2 : at + 4], "little")
            yield kind, self._data[at + 4 : at + 4 + size]
            at += 4 + size

    def lines(self) -> Iterator[str]:
        """Yield a line for each text, once."""
        if self._data[:2] != b"\x09\x08" or self._data[4:6] != b"\x00\x06":
            # Before BIFF 8 texts have another form.
            self.losses["set of headers, text boxes and charts"] = 1
            return
        seen: set[str] = set()
        for line in self._found():
            if line not in seen:
                seen.add(line)
                yield line

    def _found(self) -> Iterator[str]:
        shape = 0
        length = 0
        for kind, data in self._records():
            if kind == _OBJECT:
                shape = int.from_bytes(data[4:6], "little")
                self._count({_PICTURE: "picture", _CHART: "chart"}.get(shape, ""))
            elif kind == _SHEET:
                self._count(_OTHER_SHEETS.get(data[5:6], ""))
            elif kind == _CONTINUE and length:
                if shape != _COMMENT and (text := _characters(data, length)):
                    yield f"[text box: {text}]"
            else:
                yield from _texts(kind, data)
            length = int.from_bytes(data[10:12], "little") if kind == _TEXT else 0

    def _count(self, noun: str) -> None:
        if noun:
            self.losses[noun] = self.losses.get(noun, 0) + 1


def _texts(kind: int, data: bytes) -> Iterator[str]:
    """Yield the texts of a record that stands for itself."""
    if kind in (_HEADER, _FOOTER) and len(data) > 3:
        noun = "header" if kind == _HEADER else "footer"
        if text := _without_codes(_characters(data[2:], int.from_bytes(data[:2], "little"))):
            yield f"[{noun}: {text}]"
    elif kind == _CHART_TEXT and len(data) > 4:
        yield f"[chart: {_characters(data[3:], data[2])}]"
    elif kind == _VALIDATION:
        yield from _choices(data)


def _characters(data: bytes, length: int) -> str:
    """Return a text that begins with a byte which tells whether its characters have one byte or two."""
    if data[:1] == b"\x00":
        text = data[1 : 1 + length].decode("latin-1")
    else:
        text = data[1 : 1 + 2 * length].decode("utf-16-le", "replace")
    return " ".join(text.split())


def _choices(data: bytes) -> Iterator[str]:
    """Yield the explanations of cells for which there is a list of choices, and the list if it stands here."""
    at = 4
    words: list[str] = []
    for _ in range(4):
        length = int.from_bytes(data[at : at + 2], "little")
        words.append(_characters(data[at + 2 :], length).strip("\0 "))
        at += 3 + length * (2 if data[at + 2 : at + 3] == b"\x01" else 1)
    for noun, title, text in (("prompt", words[0], words[2]), ("error", words[1], words[3])):
        if shown := ": ".join(filter(None, (title, text))):
            yield f"[{noun}: {shown}]"
    if data[at + 4 : at + 5] == _TEXT_IN_FORMULA:
        length = int.from_bytes(data[at + 5 : at + 6], "little")
        yield f"[choices: {_characters(data[at + 6 :], length).strip(chr(0)).replace(chr(0), ', ')}]"


def _without_codes(text: str) -> str:
    return " ".join(re.sub(r'&(?:"[^"]*"|\d{1,3}|[A-Z])', " ", text).split())
