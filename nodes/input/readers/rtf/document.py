"""RTF as text: paragraphs, tables with tabs between cells, notes, comments, headers, hidden and changed words.

Groups are kept on a list, not by recursion, so that 200,000 of them inside each other are read like one. Destinations
that hold settings are skipped by name; an unknown one that holds words is shown or counted.
"""

import re
from collections.abc import Callable
from typing import Any

from ...draft import Draft, GivenFile, Read, Unusable
from ..charsets import codec_of_page
from .destinations import COUNTED, DESCENDED, INFORMATION, NOTES, RUNNING, SETTINGS
from .facts import Facts
from .group import Group, marks_of
from .text import Flow
from .tokens import SIGNS, SYMBOLS, Token, codec_of_charset, symbol_text, tokens

_LARGEST = 256 << 20
_LINK = re.compile(r'\s*HYPERLINK\s+(?:\\[a-z]\s+)*"?([^\s"\\]+)', re.IGNORECASE)
_SILENT_FIELDS = frozenset(["XE", "TC", "TA", "RD", "SET", "BOOKMARK", "PAGE", "NUMPAGES", "SECTION", ""])
_UNSEEN = frozenset(["skip", "picture"])
_OLD_TWIN = "twin of "
_MOST_FLOWS = 20
"""Notes inside of notes; the text of deeper ones stands where they are."""
_LINE_ENDS = frozenset(["par", "line", "sect", "page", "column", "softline", "softpage", "lbr"])


def read(given: GivenFile) -> Read:
    """Yield the document. Raises Unusable for one that is not RTF, or is too large."""
    if given.size > _LARGEST:
        raise Unusable(f"too large (over {_LARGEST >> 20} MiB)", "Save it as plain text first.")
    data = given.file.read(_LARGEST + 1)
    draft = Draft("RTF")
    write_rtf(data, draft)
    yield draft


def write_rtf(data: bytes, draft: Draft) -> None:
    """Write the text, the facts and the losses of RTF into a draft. Raises Unusable for what is not RTF."""
    if b"{\\rtf" not in data[:1_000]:
        raise Unusable("a damaged RTF", 'It does not begin with "{\\rtf".')
    reader = _Reader(draft)
    reader.read(data)
    reader.finish()


class _Reader:
    """The state of reading one file."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._group = Group()
        self._stack: list[Group] = []
        self._body = Flow()
        self._flows = [self._body]
        self._flow_owner: list[tuple[int, str]] = [(0, "")]
        """For each open flow, the group that began it and its role."""
        self._bytes = bytearray()
        """Characters that are not decoded yet: a character may be of several tokens."""
        self._high = 0
        """The first half of a character beyond U+FFFF."""
        self._skip = 0
        """Characters still to be skipped behind a `\\u`."""
        self._ignorable = False
        self._first = False
        """True when a group has just been opened."""
        self._codec = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._default_font = 0
        self._gathered: dict[str, list[str]] = {}
        self._running: dict[str, list[str]] = {}
        self._facts = Facts(draft, lambda note: self._flows[-1].waiting.append(note))
        self._style = 0
        self._notes: dict[str, int] = {}
        self._fields: list[tuple[int, str, int]] = []
        self._actions: dict[str, Callable[[int | None], None]] = {
            "uc": lambda number: self._set(uc=max(0, min(number if number is not None else 1, 100))),
            "ansicpg": self._code_page,
            "f": self._use_font,
            "deff": self._default,
            "fcharset": self._font_charset,
            "cpg": self._font_page,
            "plain": lambda _: self._plain(),
            "pard": lambda _: self._set(in_table=False, level=0),
            "v": lambda number: self._set(hidden=number != 0),
            "strike": lambda number: self._set(struck=number != 0),
            "striked": lambda number: self._set(struck=number != 0),
            "deleted": lambda number: self._set(change="-" if number != 0 else ""),
            "revised": lambda number: self._set(change="+" if number != 0 else ""),
            "revauth": lambda number: self._set(author=number or 0),
            "revauthdel": lambda number: self._set(author=number or 0),
            "revdttm": lambda number: self._set(when=number or 0),
            "revdttmdel": lambda number: self._set(when=number or 0),
            "intbl": lambda _: self._set(in_table=True),
            "outlinelevel": self._outline,
            "s": self._use_style,
            "mac": lambda _: self._code_page(10000),
            "pc": lambda _: self._code_page(437),
            "pca": lambda _: self._code_page(850),
            "cell": lambda _: self._cell(),
            "nestcell": lambda _: self._add(" "),
            "nestrow": lambda _: self._add(" "),
            "row": lambda _: self._row(),
            "u": self._unicode,
            "ftnalt": lambda _: self._gathered.__setitem__("ftnalt", ["1"]),
        }

    def read(self, data: bytes) -> None:
        for token in tokens(data):
            kind = token.kind
            if kind == "open":
                self._open()
            elif kind == "close":
                self._close()
            elif self._skip and kind != "data":
                self._skip_some(token)
            elif kind in ("text", "byte"):
                self._first = self._ignorable = False
                self._bytes += token.data
            elif kind == "symbol":
                self._symbol(token)
            elif kind == "word":
                self._word(token)

    def finish(self) -> None:
        """Write everything into the draft."""
        if len(self._stack):
            self._draft.lose("the file is cut off: its last groups have no end")
        while self._stack:
            self._close()
        self._flush()
        draft = self._draft
        for role, texts in self._running.items():
            for text in dict.fromkeys(texts):
                draft.write(f"[{role}: {text}]\n")
        lines = self._body.finished().split("\n")
        for number, line in enumerate(lines[:-1]):
            if level := self._body.levels.get(number):
                draft.mark("sections", line.strip()[:200], level=level)
            draft.write(f"{line}\n")
        draft.write(lines[-1])

    # Groups and destinations

    def _open(self) -> None:
        self._flush()
        self._skip = 0
        self._stack.append(self._group)
        if self._group.role == "style":
            self._style = 0
        self._first, self._ignorable = True, False

    def _close(self) -> None:
        self._flush()
        self._skip = 0
        self._first = self._ignorable = False
        if not self._stack:
            return
        depth = len(self._stack)
        ended = self._group
        self._group = self._stack.pop()
        if ended.role == "style":
            self._facts.end_style(self._style, "".join(self._gathered.pop("style", [])))
        elif ended.owner == depth and ended.role not in _UNSEEN and ended.role != "text":
            self._end_role(ended.role)
        while len(self._flows) > 1 and self._flow_owner[-1][0] == depth:
            flow, (_, role) = self._flows.pop(), self._flow_owner.pop()
            self._end_flow(role, flow)
        while self._fields and self._fields[-1][0] == depth:
            self._end_field()

    def _word(self, token: Token) -> None:
        name = token.name
        is_first, self._first = self._first, False
        ignorable, self._ignorable = self._ignorable, False
        if (is_first or ignorable) and self._stack and self._destination(name, ignorable=ignorable):
            return
        if action := self._actions.get(name):
            self._flush_for(name)
            action(token.number)
        elif name in SIGNS:
            self._add(SIGNS[name])
        elif name in _LINE_ENDS:
            self._end_line()

    def _destination(self, name: str, *, ignorable: bool) -> bool:
        """Begin a destination. Return whether the word is one."""
        if self._group.role == "skip":
            return True
        if name in NOTES or name in RUNNING:
            self._begin_flow(name)
        elif name in COUNTED:
            noun, role = COUNTED[name]
            self._draft.not_shown(noun)
            self._role(role)
        elif name in INFORMATION:
            self._role(f"info:{name}")
        elif name in SETTINGS:
            self._role(SETTINGS[name])
        elif name in DESCENDED:
            self._descend(name)
        elif ignorable and name not in self._actions:
            self._role("unknown" if self._group.role == "text" else "skip")
        else:
            return False
        return True

    def _role(self, role: str) -> None:
        self._flush()
        if role in _UNSEEN or not role:
            self._group = self._group._replace(role=role or self._group.role)
            return
        self._gathered[role] = []
        self._group = self._group._replace(role=role, owner=len(self._stack))

    def _descend(self, name: str) -> None:
        role = self._group.role
        if name == "field":
            self._fields.append((len(self._stack), "", len(self._flows[-1].pieces)))
        elif name in ("shptxt", "dptxbxtext"):
            self._begin_flow("text box")
        elif name == "upr":
            # The same text twice: for old programs, then in Unicode.
            self._set(role=f"{_OLD_TWIN}{role}")
        elif name == "ud":
            self._set(role=role.removeprefix(_OLD_TWIN))

    def _begin_flow(self, name: str) -> None:
        self._flush()
        if len(self._flows) >= _MOST_FLOWS:
            self._set(role="text")
            return
        self._flows.append(Flow())
        self._flow_owner.append((len(self._stack), name))
        self._gathered.pop("ftnalt", None)
        self._set(role="text", hidden=False, struck=False, change="", in_table=False)

    def _end_flow(self, name: str, flow: Flow) -> None:
        text = flow.inline()
        outer = self._flows[-1]
        if name in RUNNING:
            if text:
                self._running.setdefault(RUNNING[name], []).append(text)
        elif name == "footnote":
            kind = "e" if self._gathered.pop("ftnalt", None) else ""
            number = self._notes[kind] = self._notes.get(kind, 0) + 1
            outer.write(f"[^{kind}{number}]", marks_of(self._group, self._facts))
            outer.waiting.append(f"[^{kind}{number}]: {text}")
        elif name == "annotation":
            number = self._notes["comment"] = self._notes.get("comment", 0) + 1
            outer.write(f"[comment {number}]", marks_of(self._group, self._facts))
            outer.waiting.append(f"[comment {number}{self._facts.signature()}]: {text}")
        elif text:
            outer.waiting.append(f"[{name}: {text}]")

    def _end_role(self, role: str) -> None:
        text = "".join(self._gathered.pop(role, [])).strip()
        if role == "instruction":
            if self._fields:
                depth, _, at = self._fields[-1]
                self._fields[-1] = (depth, text, at)
        elif role == "fonts":
            self._set(codec="")
        else:
            self._facts.end(role, text)

    def _end_field(self) -> None:
        _, instruction, at = self._fields.pop()
        flow = self._flows[-1]
        shown = "".join(flow.pieces[at:])
        if link := _LINK.match(instruction):
            target = link[1]
            if "://" in target and target.partition("://")[2].rstrip("/") not in shown:
                flow.write(f" ({target[:300]})", marks_of(self._group, self._facts))
        elif not shown.strip() and [*instruction.upper().split(None, 1), ""][0] not in _SILENT_FIELDS:
            self._draft.not_shown("empty field")

    # Characters

    def _symbol(self, token: Token) -> None:
        if token.name == "*":
            self._ignorable = True
            return
        self._first = self._ignorable = False
        if token.name in "\r\n":
            self._end_line()
        elif token.name in "\\{}":
            self._bytes += token.data
        elif token.name in SIGNS:
            self._add(SIGNS[token.name])

    def _skip_some(self, token: Token) -> None:
        """Skip what stands for a character in programs without Unicode."""
        if token.kind == "text":
            self._bytes += token.data[self._skip :]
            self._skip = max(0, self._skip - len(token.data))
        elif token.kind == "word":
            # Some programs write no character for old ones.
            self._skip = 0
            self._word(token)
        else:
            self._skip -= 1

    def _unicode(self, number: int | None) -> None:
        self._flush(keep_half=True)
        unit = number or 0
        unit = unit & 0xFFFF if unit < 0x10000 or unit > 0x10FFFF else unit
        self._skip = self._group.uc
        if 0xD800 <= unit < 0xDC00:
            self._high = unit
        elif 0xDC00 <= unit < 0xE000 and self._high:
            self._add(chr(0x10000 + ((self._high - 0xD800) << 10) + unit - 0xDC00))
        elif unit:
            self._high = 0
            # Fonts of signs are in the private area, by their single bytes.
            self._add(symbol_text(bytes([unit - 0xF000])) if 0xF020 <= unit <= 0xF0FF else chr(unit))

    def _add(self, text: str) -> None:
        self._flush()
        self._high = 0
        self._emit(text)

    def _flush(self, *, keep_half: bool = False) -> None:
        if not keep_half:
            self._high = 0
        if self._bytes:
            data, self._bytes = bytes(self._bytes), bytearray()
            codec = self._group.codec or self._fonts.get(self._default_font, "") or self._codec
            self._emit(symbol_text(data) if codec == SYMBOLS else data.decode(codec, "replace"))

    def _flush_for(self, name: str) -> None:
        if name != "u":
            self._flush()

    def _emit(self, text: str) -> None:
        role = self._group.role
        if role == "text":
            self._flows[-1].write(text, marks_of(self._group, self._facts))
        elif role not in _UNSEEN and not role.startswith(_OLD_TWIN):
            self._gathered.setdefault(role, []).append(text)

    # Properties

    def _set(self, **changes: Any) -> None:
        self._group = self._group._replace(**changes)

    def _plain(self) -> None:
        self._set(hidden=False, struck=False, change="", author=-1, when=0, codec="")

    def _code_page(self, number: int | None) -> None:
        self._codec = codec_of_page(number or 0) or self._codec

    def _use_font(self, number: int | None) -> None:
        self._font = number or 0
        self._set(codec=self._fonts.get(self._font, "") or self._codec)

    def _default(self, number: int | None) -> None:
        self._default_font = number or 0

    def _font_charset(self, number: int | None) -> None:
        if codec := codec_of_charset(number or 0):
            self._fonts[self._font] = codec

    def _font_page(self, number: int | None) -> None:
        if codec := codec_of_page(number or 0):
            self._fonts[self._font] = codec

    def _outline(self, number: int | None) -> None:
        if number is None or not 0 <= number < 9:
            return
        if self._group.role == "style":
            self._facts.set_level(self._style, number + 1)
        self._set(level=number + 1)

    def _use_style(self, number: int | None) -> None:
        self._style = number or 0
        if self._group.role != "style":
            self._set(level=self._facts.level(self._style))

    def _end_line(self) -> None:
        self._flush()
        if self._group.role != "text":
            self._emit(" ")
        elif self._group.in_table and self._flows[-1].in_line:
            self._flows[-1].write(" ")
        else:
            self._flows[-1].end_line(self._group.level)

    def _cell(self) -> None:
        if self._group.role == "text":
            self._flows[-1].write("\t")

    def _row(self) -> None:
        if self._group.role == "text":
            self._flows[-1].end_row()
