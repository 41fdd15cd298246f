"""Find the lines of a reply that have a code fence, and what each of them could mean.

Nothing is decided here: whether a fence opens a block, closes one or is part of a string depends on the code around it,
which `blocks` looks at.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

Kind = Literal["python", "bare", "other"]

MAX_FENCES = 1_000
"""Fence lines that are looked at in one reply; no sensible reply has more."""

MARKDOWN_TAGS = frozenset({"markdown", "md", "mdx"})
QUOTING_TAGS = MARKDOWN_TAGS | {"text", "txt", "plaintext", "plain", "output", "console", "log"}
"""Languages in which a tagged fence may be quoted text."""

_PYTHON_TAGS = frozenset(
    {"repl", "python", "py", "python3", "py3", "ipython", "ipython3", "python-repl", "python_repl", "tool_code"}
)
_BARE_TAGS = frozenset({"", "code"})

_FENCE = re.compile(r"^([^\n`~]*+)(`{3,}+|~{3,}+)([^\n]*)$", re.MULTILINE)
_LIST_MARKER = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s+")
_TAG = re.compile(r"\{?\s*\.?([\w+#-]{0,40})(?:[^\s\w][^\s]*)?")
_ATTRIBUTE = r"""[\w.#:-]++(?:=(?:"[^"]*"|'[^']*'|[^\s"'()]+))?"""
_ATTRIBUTES = re.compile(rf"{_ATTRIBUTE}(?:\s+{_ATTRIBUTE})*")


@dataclass(frozen=True, slots=True)
class Fence:
    """One line with a fence of three or more backticks or tildes. Positions are offsets into the reply."""

    start: int
    """Offset of the line."""
    fence: int
    """Offset of the fence itself."""
    end: int
    """Offset of the line's end, before its newline."""
    mark: str
    length: int
    own_line: bool
    """True when only white space is before the fence."""
    in_list: bool
    """True when only a list marker is before the fence."""
    info: str
    """The rest of the line after the fence, stripped."""
    tag: str
    """The language that the info names, in lower case."""

    @property
    def kind(self) -> Kind:
        """The kind of a block that this line opens, by its tag."""
        return "python" if self.tag in _PYTHON_TAGS else "bare" if self.tag in _BARE_TAGS else "other"

    @property
    def one_line(self) -> bool:
        """True when a block opens and closes on this line."""
        return self.info.endswith(self.mark * 3)

    @property
    def opens(self) -> bool:
        """True when a block can open here. In mid-line only a Python tag counts: models write `Look: ```repl`."""
        if self.own_line or self.in_list:
            return self.mark not in self.info or self.one_line
        return self.info.lower() in _PYTHON_TAGS

    @property
    def only_tag(self) -> bool:
        """True when what follows the fence is a tag, and not prose."""
        return " " not in self.info or self.kind == "python"

    @property
    def code(self) -> str:
        """Code on the opening line itself, behind the tag; attributes (`title="x"`) are not code."""
        info = self.info.rstrip(self.mark) if self.one_line else self.info
        if self.kind != "python":
            return info.strip() if self.one_line else ""
        found = _TAG.match(info)
        rest = info[found.end() :].strip() if found and not info.startswith("{") else ""
        if self.one_line or rest.startswith(("import ", "from ")) or not _ATTRIBUTES.fullmatch(rest[:200]):
            return rest
        return ""

    def closes(self, opener: "Fence") -> bool:
        """Return whether Markdown would end the block of `opener` here."""
        return self.mark == opener.mark and self.length >= opener.length and self.own_line and not self.info


def fences(text: str) -> Iterator[Fence]:
    """Yield the fence lines of `text` in order, at most MAX_FENCES."""
    for match in islice(_FENCE.finditer(text), MAX_FENCES):
        prefix, mark, info = match[1], match[2], match[3].strip()
        tag = _TAG.match(info)
        yield Fence(
            start=match.start(),
            fence=match.start(2),
            end=match.end(),
            mark=mark[0],
            length=len(mark),
            own_line=not prefix or prefix.isspace(),
            in_list=bool(_LIST_MARKER.fullmatch(prefix)),
            info=info,
            tag=tag[1].lower() if tag else "",
        )
