"""The HTML that Outlook wraps into RTF (MS-OXRTFEX).

Such a file says `\\fromhtml1`. Tags are in `\\*\\htmltag`; between `\\htmlrtf` and `\\htmlrtf0` is what RTF needs.
"""

from dataclasses import dataclass, replace
from typing import Any

from ..charsets import codec_of_page
from .tokens import SIGNS, SYMBOLS, Token, codec_of_charset, symbol_text, tokens

_SKIPPED = frozenset(
    ["fonttbl", "colortbl", "stylesheet", "info", "pntext", "listtext", "generator", "mhtmltag", "pict"]
)
_ENDS = frozenset(["par", "line"])
_CHARACTERS = {"lquote": "&lsquo;", "rquote": "&rsquo;", "ldblquote": "&ldquo;", "rdblquote": "&rdquo;", "~": "&nbsp;"}


def is_wrapped_html(rtf: bytes) -> bool:
    """Return whether RTF only wraps HTML."""
    return b"\\fromhtml1" in rtf[:4_000]


@dataclass(frozen=True)
class _Group:
    skipped: bool = False
    twin: bool = False
    """True when its text is RTF's own form of what a tag says."""
    in_tag: bool = False
    uc: int = 1
    codec: str = ""
    fonts: bool = False


def wrapped_html(rtf: bytes) -> str:
    """Return the HTML."""
    return _Unwrapper().read(rtf)


class _Unwrapper:
    def __init__(self) -> None:
        self._group = _Group()
        self._stack: list[_Group] = []
        self._pieces: list[str] = []
        self._bytes = bytearray()
        self._codec = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._skip = 0
        self._first = False
        self._ignorable = False

    def read(self, rtf: bytes) -> str:
        for token in tokens(rtf):
            if token.kind == "open":
                self._flush()
                self._skip = 0
                self._stack.append(self._group)
                self._first, self._ignorable = True, False
            elif token.kind == "close":
                self._flush()
                self._skip = 0
                self._group = self._stack.pop() if self._stack else _Group()
            elif token.kind == "symbol" and token.name == "*":
                self._ignorable = True
            elif token.kind == "word":
                self._word(token)
                self._first = self._ignorable = False
            elif token.kind != "data":
                self._characters(token)
                self._first = self._ignorable = False
        self._flush()
        return "".join(self._pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _word(self, token: Token) -> None:
        name, number, group = token.name, token.number, self._group
        if self._skip and name != "u":
            self._skip = 0
        if (self._first or self._ignorable) and self._begins(name):
            return
        if name in ("htmlrtf", "uc", "f"):
            self._flush()
        if name == "htmlrtf":
            self._change(twin=number != 0)
        elif name == "uc":
            self._change(uc=max(0, min(number if number is not None else 1, 100)))
        elif name == "ansicpg":
            self._codec = codec_of_page(number or 0) or self._codec
        elif name == "f":
            self._font = number or 0
            self._change(codec=self._fonts.get(self._font, ""))
        elif name in ("fcharset", "cpg") and group.fonts:
            self._fonts[self._font] = (
                codec_of_charset(number or 0) if name == "fcharset" else codec_of_page(number or 0)
            )
        elif name == "u":
            self._flush()
            self._add(chr((number or 0) & 0xFFFF))
            self._skip = group.uc
        elif name in _ENDS:
            self._add("\r\n")
        elif name in SIGNS:
            self._add(_CHARACTERS.get(name, SIGNS[name]))

    def _begins(self, name: str) -> bool:
        """Begin a destination. Return whether the word is one."""
        if name == "htmltag" and not self._group.skipped:
            self._change(in_tag=True)
        elif name in _SKIPPED or self._ignorable:
            self._change(skipped=True, fonts=name == "fonttbl")
        else:
            return False
        return True

    def _characters(self, token: Token) -> None:
        data = token.data
        if token.kind == "symbol" and token.name not in "\\{}":
            if not self._skip:
                self._add("\r\n" if token.name in "\r\n" else _CHARACTERS.get(token.name, SIGNS.get(token.name, "")))
            self._skip = max(0, self._skip - 1)
            return
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        self._bytes += data[skipped:]

    def _add(self, text: str) -> None:
        self._flush()
        if not self._group.skipped and (self._group.in_tag or not self._group.twin):
            self._pieces.append(text)

    def _flush(self) -> None:
        if self._bytes:
            data, self._bytes = bytes(self._bytes), bytearray()
            codec = self._group.codec or self._codec
            self._add(symbol_text(data) if codec == SYMBOLS else data.decode(codec, "replace"))

    def _change(self, **changes: Any) -> None:
        self._group = replace(self._group, **changes)
