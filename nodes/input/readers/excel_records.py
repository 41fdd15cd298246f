"""What xlrd leaves out of a workbook in BIFF 8: text boxes, titles of charts, headers and footers, lists of choices."""

from collections.abc import Iterator

_BEGIN, _OBJECT, _TEXT, _CONTINUE = 0x0809, 0x005D, 0x01B6, 0x003C
_HEADER, _FOOTER, _CHART_TEXT, _SHEET = 0x0014, 0x0015, 0x100D, 0x0085
_VALIDATION = 0x01BE
_CHART = 0x0020
_COMMENT = 0x19
_PICTURE = 8
_CHART_OBJECT = 5


class Records:
    """The records of a workbook: each has a number, a length, and that many bytes."""

    def __init__(self, data: bytes) -> None:
        """Prepare the stream of a workbook."""
        self._data = bytes(data)
        self.losses: dict[str, int] = {}
        """What is counted and not shown, after `lines`."""

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
            return  # before BIFF 8, whose texts have another form
        seen: set[str] = set()
        for line in self._found():
            if line not in seen:
                seen.add(line)
                yield line

    def _found(self) -> Iterator[str]:
        shape = 0
        length = -1
        in_chart = False
        for kind, data in self._records():
            if kind == _BEGIN:
                in_chart = data[2:4] == _CHART.to_bytes(2, "little")
            elif kind == _OBJECT and len(data) >= 6:
                shape = int.from_bytes(data[4:6], "little")
                for noun, number in (("picture", _PICTURE), ("chart", _CHART_OBJECT)):
                    if shape == number:
                        self.losses[noun] = self.losses.get(noun, 0) + 1
            elif kind == _TEXT and len(data) >= 12:
                length = int.from_bytes(data[10:12], "little")
                continue
            elif kind == _CONTINUE and length > 0:
                text = _characters(data, length)
                if text and shape != _COMMENT:
                    yield f"[text box: {text}]"
            elif kind in (_HEADER, _FOOTER) and len(data) > 3 and not in_chart:
                text = _characters(data[2:], int.from_bytes(data[:2], "little"))
                yield f"[{'header' if kind == _HEADER else 'footer'}: {_without_codes(text)}]"
            elif kind == _CHART_TEXT and len(data) > 4:
                yield f"[chart: {_characters(data[3:], data[2])}]"
            elif kind == _VALIDATION:
                self.losses["list of choices"] = self.losses.get("list of choices", 0) + 1
            length = -1


def _characters(data: bytes, length: int) -> str:
    """Return a text that begins with a byte which tells whether its characters have one byte or two."""
    if data[:1] == b"\x00":
        text = data[1 : 1 + length].decode("latin-1")
    else:
        text = data[1 : 1 + 2 * length].decode("utf-16-le", "replace")
    return " ".join(text.split())


def _without_codes(text: str) -> str:
    import re

    return " ".join(re.sub(r'&(?:"[^"]*"|\d{1,3}|[A-Z])', " ", text).split())
