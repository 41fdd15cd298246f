"""Finding the fenced sections of a reply: where each begins, where it ends, and what kind it is.

A Markdown parser would be wrong here: code that prompts other models carries fences inside its strings, and
models forget closing fences, put them at the end of a code line, or write text behind them. So a block ends
at the closing fence that leaves valid Python, wherever Markdown would have ended it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .python_source import SourceJudge

MAX_MARKS = 1_000
"""Lines with fences, or with thinking tags, that are looked at in one reply."""
_MAX_CLOSERS = 256
_MAX_GUESSES = 32

_FENCE = re.compile(r"^([^\n`~]*+)(`{3,}+|~{3,}+)([^\n]*)$", re.MULTILINE)
_THINKING = re.compile(r"^[ \t]*+<(/?)(think|thinking)>", re.MULTILINE)
_LIST_MARKER = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s+")
_TAG = re.compile(r"\{?\s*\.?([\w+#-]*)(?:[^\s}\w][^\s}]*)?\}?")
_ATTRIBUTES = re.compile(r"""\{.*\}|(?:[\w.#:-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"']+))?\s*)*""")

_PYTHON_TAGS = frozenset(
    {"repl", "python", "py", "python3", "py3", "ipython", "ipython3", "python-repl", "python_repl", "tool_code"}
)
_BARE_TAGS = frozenset({"", "code"})
_MARKDOWN_TAGS = frozenset({"markdown", "md", "mdx"})
_QUOTING_TAGS = _MARKDOWN_TAGS | {"text", "txt", "plaintext", "plain", "output", "console", "log"}

Kind = Literal["python", "bare", "other"]


@dataclass(frozen=True)
class Section:
    """A fenced block: its code without the fences, and what is known about it."""

    kind: Kind
    tag: str
    code: str
    parses: bool
    """Whether the code is known to be Python. Always False for other languages."""
    closed: bool = True
    """Whether an end was found; else the code goes to the end of the reply."""


@dataclass(frozen=True)
class Layout:
    """A reply taken apart: what is fenced, the prose around it, and whether there were thoughts."""

    sections: tuple[Section, ...]
    prose: tuple[str, ...]
    thought: bool
    open_thought: bool
    """A thinking section was never closed, so everything after its tag is thought."""
    overflow: bool
    """There were more than MAX_MARKS fence lines; the reply was read up to there."""


class _Mark(NamedTuple):
    start: int
    end: int
    prefix: str
    char: str
    length: int
    info: str

    @property
    def body(self) -> int:
        return self.end + 1

    @property
    def fence(self) -> int:
        return self.start + len(self.prefix)


class _Close(NamedTuple):
    end: int
    resume: int
    code: str
    parses: bool
    closed: bool = True


def lay_out(text: str, *, truncated: bool, judge: SourceJudge) -> Layout:
    """Take `text` apart. It has no carriage returns, NULs or lone surrogates (see `reading`).

    Thoughts (`<think>`, `<thinking>` at a line's start, outside a block) are left out. One that is never
    closed goes to the end; a lone closing tag makes everything before it a thought, because some servers
    put the opening tag into the prompt.
    """
    return _Scan(text, truncated, judge).run()


class _Scan:
    def __init__(self, text: str, truncated: bool, judge: SourceJudge) -> None:
        self.text = text
        self.truncated = truncated
        self.judge = judge
        self.marks = list(_fence_marks(text))
        self.sections: list[Section] = []
        self.prose: list[str] = []

    def run(self) -> Layout:
        thoughts = [match for match, _ in zip(_THINKING.finditer(self.text), range(MAX_MARKS), strict=False)]
        at, index, thought, open_thought = 0, 0, False, False
        while True:
            while index < len(self.marks) and self.marks[index].fence < at:
                index += 1
            thoughts = [tag for tag in thoughts if tag.start() >= at] if thoughts else thoughts
            mark = self.marks[index] if index < len(self.marks) else None
            if thoughts and (mark is None or thoughts[0].start() < mark.start):
                thought = True
                at, open_thought = self._skip_thought(at, thoughts[0])
            elif mark is None:
                break
            else:
                at = self._section(at, index, mark)
                index += 1
        self.prose.append(self.text[at:])
        overflow = len(self.marks) == MAX_MARKS
        return Layout(tuple(self.sections), tuple(self.prose), thought, open_thought, overflow)

    def _skip_thought(self, at: int, tag: re.Match[str]) -> tuple[int, bool]:
        if tag[1]:
            self.sections.clear()
            self.prose.clear()
            return tag.end(), False
        self.prose.append(self.text[at : tag.start()])
        closing = f"</{tag[2]}>"
        end = self.text.find(closing, tag.end())
        return (len(self.text), True) if end < 0 else (end + len(closing), False)

    def _section(self, at: int, index: int, mark: _Mark) -> int:
        """Read the section that `mark` opens, if it does, and say where reading goes on."""
        if not _opens(mark):
            return at
        self.prose.append(self.text[at : mark.fence])
        kind, tag, first_line, complete = _heading(mark)
        if complete:
            self.sections.append(Section(kind, tag, first_line, kind != "other" and self.judge.parses(first_line)))
            return mark.end
        close = self._close_other(index, tag) if kind == "other" else self._close_python(index, first_line)
        self.sections.append(Section(kind, tag, close.code, close.parses, close.closed))
        return close.resume

    def _close_python(self, index: int, first_line: str) -> _Close:
        """The end of a Python block: the first closing fence that leaves valid Python, else the likeliest."""
        opener, following = self.marks[index], self.marks[index + 1 :]

        def attempt(end: int, resume: int, *, closed: bool = True) -> _Close:
            code = _joined(first_line, _dedented(_without_last_newline(self.text[opener.body : end])))
            code = code if closed else _without_partial_fence(code)
            return _Close(end, resume, code, self.judge.parses(code), closed)

        closers = [mark for mark in following if _closes(mark, opener)][:_MAX_CLOSERS]
        first = attempt(closers[0].start, closers[0].end) if closers else None
        if first and first.parses:
            return first
        outside = self.judge.first_outside_strings(self.text, opener.body, [mark.start for mark in closers])
        likely = first
        if outside:
            likely = attempt(closers[outside].start, closers[outside].end)
        elif outside is None:
            # No closing fence, or all of them inside a string that is still open.
            rest = attempt(len(self.text), len(self.text), closed=False)
            likely = rest if rest.parses or self.truncated or first is None else first
        if likely is None or not likely.parses:
            bound = likely.end if likely else len(self.text)
            for end, resume in _guesses(opener, following, bound):
                guess = attempt(end, resume)
                if guess.parses:
                    return guess
        return likely or attempt(len(self.text), len(self.text), closed=False)

    def _close_other(self, index: int, tag: str) -> _Close:
        """The end of a block that is never run, so only where it stops matters.

        Markdown and plain text may quote tagged fences, which are counted; in any other language a Python
        fence means that the closing one was forgotten.
        """
        opener, text = self.marks[index], self.text
        depth, forgotten = 0, None
        for mark in self.marks[index + 1 :]:
            if mark.prefix.strip() or mark.char != opener.char or mark.length < opener.length:
                continue
            if not mark.info.strip():
                if depth == 0:
                    return _Close(mark.start, mark.end, text[opener.body : mark.start], False)
                depth -= 1
            elif tag in _QUOTING_TAGS:
                depth += 1
            if forgotten is None and _heading(mark)[0] == "python":
                forgotten = mark
                if tag not in _QUOTING_TAGS:
                    break
        if forgotten and tag not in _MARKDOWN_TAGS:
            return _Close(forgotten.start, forgotten.start, text[opener.body : forgotten.start], False)
        return _Close(len(text), len(text), text[opener.body :], False, closed=False)


def _fence_marks(text: str) -> Iterator[_Mark]:
    for match, _ in zip(_FENCE.finditer(text), range(MAX_MARKS), strict=False):
        fence = match[2]
        yield _Mark(match.start(), match.end(), match[1], fence[0], len(fence), match[3])


def _opens(mark: _Mark) -> bool:
    if not mark.prefix.strip() or _LIST_MARKER.fullmatch(mark.prefix):
        # Backticks behind a fence make it inline code, unless they close a block of one line.
        return mark.char not in mark.info or mark.info.rstrip().endswith(mark.char * 3)
    return mark.info.strip().lower() in _PYTHON_TAGS


def _closes(mark: _Mark, opener: _Mark) -> bool:
    return (
        mark.char == opener.char and mark.length >= opener.length and not mark.info.strip() and not mark.prefix.strip()
    )


def _guesses(opener: _Mark, following: Sequence[_Mark], bound: int) -> Iterator[tuple[int, int]]:
    """Where a block may have been meant to end before `bound`: (end of its code, where to read on)."""
    found = 0
    for mark in following:
        if mark.start >= bound or found == _MAX_GUESSES:
            return
        if mark.char != opener.char:
            continue
        found += 1
        blank_info, own_line = not mark.info.strip(), not mark.prefix.strip()
        if own_line and not blank_info and mark.length >= opener.length:
            # Text behind the closing fence; or a block that was never closed before the next one opened.
            yield mark.start, mark.start if _tag_only(mark.info) else mark.end
        elif blank_info:
            # `print(x)` + fence on one line; or a closing fence that is too short.
            yield mark.fence, mark.end


def _tag_only(info: str) -> bool:
    return " " not in info.strip() or _split_tag(info)[0] in _PYTHON_TAGS


def _split_tag(info: str) -> tuple[str, str]:
    found = _TAG.match(info.strip())
    return (found[1].lower(), info.strip()[found.end() :].strip()) if found else ("", "")


def _heading(mark: _Mark) -> tuple[Kind, str, str, bool]:
    """Kind, tag, the code on the opening line, and whether that line is the whole block."""
    info = mark.info.strip()
    complete = mark.char in info
    if complete:
        info = info.rstrip(mark.char)
    tag, rest = _split_tag(info)
    kind: Kind = "python" if tag in _PYTHON_TAGS else "bare" if tag in _BARE_TAGS else "other"
    if complete:
        return (kind, tag, rest, True) if kind == "python" else ("bare", "", info.strip(), True)
    if kind == "python" and rest and not _ATTRIBUTES.fullmatch(rest[:200]):
        return kind, tag, rest, False
    return kind, tag, "", False


def _joined(first_line: str, code: str) -> str:
    return f"{first_line}\n{code}" if first_line else code


def _without_last_newline(code: str) -> str:
    return code[:-1] if code.endswith("\n") else code


def _without_partial_fence(code: str) -> str:
    """The code of an unclosed block, without a closing fence of which only a part was written."""
    code = code.rstrip()
    last = code[code.rfind("\n") + 1 :].strip()
    return code[: -len(last)].rstrip() if last in ("`", "``") else code


def _dedented(code: str) -> str:
    """`code` shifted left until its first statement starts a line, as blocks in lists need; else unchanged."""
    for line in code.split("\n", 200)[:200]:
        statement = line.lstrip(" \t")
        if statement and not statement.startswith("#"):
            width = len(line) - len(statement)
            return re.sub(rf"^[ \t]{{1,{width}}}", "", code, flags=re.MULTILINE) if width else code
    return code
