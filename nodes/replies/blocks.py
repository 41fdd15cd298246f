"""Split a reply into its fenced sections and the prose around them.

A Markdown parser would be wrong here: code that prompts other models has fences inside its strings, and models forget
closing fences, put them at the end of a code line, or write text behind them. So a block ends at the closing fence that
leaves valid Python, wherever Markdown would have ended it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from .fences import MARKDOWN_TAGS, MAX_FENCES, QUOTING_TAGS, Fence, Kind, fences
from .python_source import SourceJudge

_MAX_CLOSERS = 256
_MAX_GUESSES = 32


@dataclass(frozen=True)
class Section:
    """A fenced block: its code without the fences, and what is known about it."""

    kind: Kind
    tag: str
    code: str
    parses: bool = False
    """True when the code is known to be Python. Always False for other languages."""
    closed: bool = True
    """True when an end was found; else the code extends to the end of the reply."""


@dataclass(frozen=True)
class Layout:
    """The parts of a reply."""

    sections: tuple[Section, ...]
    prose: tuple[str, ...]
    overflow: bool
    """True when it has more than MAX_FENCES fence lines, and was read up to there."""


@dataclass(frozen=True)
class Block:
    """A section, the end of its code, and the offset at which reading continues."""

    section: Section
    end: int
    resume: int


def lay_out(text: str, *, truncated: bool, judge: SourceJudge) -> Layout:
    """Split `text`, which must have no carriage returns (`read_reply` removes them) and no thoughts."""
    found = list(fences(text))
    overflow = len(found) == MAX_FENCES
    text = text[: found[-1].start] if overflow else text
    finder = BlockFinder(text, found, truncated=truncated, judge=judge)
    sections: list[Section] = []
    prose: list[str] = []
    at = 0
    for index, fence in enumerate(found):
        if at <= fence.fence < len(text) and (block := finder.block_at(index)):
            prose.append(text[at : fence.fence])
            sections.append(block.section)
            at = block.resume
    prose.append(text[at:])
    return Layout(tuple(sections), tuple(prose), overflow)


class BlockFinder:
    """Finds the blocks that the fences of a text open."""

    def __init__(self, text: str, found: list[Fence], *, truncated: bool, judge: SourceJudge) -> None:
        self.text = text
        self.fences = found
        self.truncated = truncated
        self.judge = judge

    def block_at(self, index: int) -> Block | None:
        """Return the block that a fence opens; None when it opens none."""
        fence = self.fences[index]
        first = fence.own_line or fence.in_list
        if not fence.opens or not (first or self.judge.affords(1)):
            return None
        block = self._block(index)
        return block if first or block.section.parses else None

    def _block(self, index: int) -> Block:
        opener = self.fences[index]
        if opener.one_line:
            kind: Kind = "python" if opener.kind == "python" else "bare"
            section = Section(kind, opener.tag, opener.code, self.judge.parses(opener.code))
            return Block(section, opener.end, opener.end)
        return self._other_block(index) if opener.kind == "other" else self._python_block(index)

    def _attempt(self, opener: Fence, end: int, resume: int, *, closed: bool = True) -> Block:
        code = _dedented(self.text[opener.end + 1 : end].removesuffix("\n"))
        if opener.code:
            code = f"{opener.code}\n{code}"
        if not closed:
            code = _without_partial_fence(code)
        return Block(Section(opener.kind, opener.tag, code, self.judge.parses(code), closed), end, resume)

    def _python_block(self, index: int) -> Block:
        """Return the block up to the first closing fence that leaves valid Python, else up to the likeliest one."""
        opener, following, whole = self.fences[index], self.fences[index + 1 :], len(self.text)
        closers = [fence for fence in following if fence.closes(opener)][:_MAX_CLOSERS]
        if not closers:
            likely = self._attempt(opener, whole, whole, closed=False)
        else:
            likely = self._attempt(opener, closers[0].start, closers[0].end)
            if likely.section.parses:
                return likely
            body = opener.end + 1
            outside = self.judge.first_outside_strings(self.text, body, [fence.start for fence in closers])
            if outside:
                likely = self._attempt(opener, closers[outside].start, closers[outside].end)
            elif outside is None and (self.truncated or self.judge.affords(whole - body)):
                # All of them are in a string that is still open: the block may extend to the end.
                rest = self._attempt(opener, whole, whole, closed=False)
                likely = rest if rest.section.parses or self.truncated else likely
        if not likely.section.parses:
            for end, resume in _guesses(opener, following, likely.end):
                guess = self._attempt(opener, end, resume)
                if guess.section.parses:
                    return guess
            if opener.kind == "bare" and (tagged := _next_tagged(following, likely.end)):
                # A stray fence, such as the closing one of a block that ended early.
                return self._attempt(opener, tagged.start, tagged.start)
        return likely

    def _other_block(self, index: int) -> Block:
        """Return a block that is never run, of which only the end matters.

        Markdown and plain text may quote tagged fences, which are counted; in any other language a Python fence means
        that the closing one was forgotten.
        """
        opener = self.fences[index]
        depth, end, resume = 0, len(self.text), len(self.text)
        for fence in self.fences[index + 1 :]:
            if not fence.own_line or fence.mark != opener.mark or fence.length < opener.length:
                continue
            if not fence.info:
                if depth == 0:
                    end, resume = fence.start, fence.end
                    break
                depth -= 1
            elif opener.tag in QUOTING_TAGS:
                depth += 1
            if fence.kind == "python" and resume == len(self.text) and opener.tag not in MARKDOWN_TAGS:
                end = resume = fence.start
                if opener.tag not in QUOTING_TAGS:
                    break
        return Block(Section("other", opener.tag, self.text[opener.end + 1 : end]), end, resume)


def _guesses(opener: Fence, following: Sequence[Fence], bound: int) -> Iterator[tuple[int, int]]:
    """Yield where a block may have been meant to end before `bound`: (end of its code, where to continue reading)."""
    alike = (fence for fence in following if fence.mark == opener.mark)
    for fence in islice(alike, _MAX_GUESSES):
        if fence.start >= bound:
            return
        if fence.own_line and fence.info and fence.length >= opener.length:
            # Text behind the closing fence; or the next block opens and this one was never closed.
            yield fence.start, fence.start if fence.only_tag else fence.end
        elif not fence.info:
            # `print(x)` and the fence on one line; or a closing fence that is too short.
            yield fence.fence, fence.end


def _next_tagged(following: Sequence[Fence], bound: int) -> Fence | None:
    """Return the next fence that opens a Python block, if it comes before `bound`."""
    tagged = (fence for fence in following if fence.own_line and fence.kind == "python")
    return next((fence for fence in tagged if fence.start < bound), None)


def _without_partial_fence(code: str) -> str:
    """Return the code of an unclosed block, without a closing fence of which only a part was written."""
    code = code.rstrip()
    last = code[code.rfind("\n") + 1 :].strip()
    return code[: -len(last)].rstrip() if last in ("`", "``") else code


def _dedented(code: str) -> str:
    """Return `code` shifted left until its first statement starts a line, as blocks in lists need; else unchanged."""
    for line in code.split("\n", 200)[:200]:
        statement = line.lstrip(" \t")
        if statement and not statement.startswith("#"):
            width = len(line) - len(statement)
            return re.sub(rf"^[ \t]{{1,{width}}}", "", code, flags=re.MULTILINE) if width else code
    return code
