"""Read code out of the root model's replies.

Only code that runs counts: an answer that is stated in prose, beside code or without any, finishes nothing. The paper's
authors found it brittle to tell final answers from intermediate text by their wording (arXiv 2512.24601, appendix on
what did not work), so finishing is always a call in executed code here.
"""

import re
from dataclasses import dataclass
from typing import Literal

from ...state.summaries import code_summary, prose_summary
from ...state.wording import counted
from .blocks import Layout, Section, lay_out
from .fences import MAX_FENCES
from .python_source import SourceJudge, does_something, looks_like_code
from .repetition import repeats_itself
from .tagged_code import tagged_code

Reason = Literal["empty", "prose", "answer-in-prose", "thinking", "cut", "endless"]
"""Why a reply had nothing to run, or had a part that is not run."""

NUDGES: dict[Reason, str] = {
    "empty": "Your reply was empty. Reply with Python in a ```repl block: it is what moves this task on.",
    "prose": (
        "Your reply had no code to run, and text outside code blocks is not acted upon. "
        "Write the next step as Python in a ```repl block."
    ),
    "answer-in-prose": (
        "Your reply states an answer in text, which finishes nothing: only code that runs does. If the answer is "
        'checked, put it in a ```repl block, as FINAL(value), or FINAL_VAR("name") for a variable; '
        "else go on working in a ```repl block."
    ),
    "thinking": (
        "Your reply was only a thinking section, and code in thoughts is not run. "
        "After it, write the next step as Python in a ```repl block."
    ),
    "cut": (
        "Your reply reached the output limit and was cut off, so what was incomplete was not run. "
        "Think less, and send a shorter ```repl block; build long texts in variables, over several turns."
    ),
    "endless": (
        "Your reply repeated itself without end and was cut off, so what was incomplete was not run. "
        "Do not take it up again: send a simpler step, as a short ```repl block."
    ),
}

_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")
_CLAIM_LOOKED_AT = 20_000
_CALL_IN_PROSE = re.compile(r"\b(?:FINAL|FINAL_VAR|SUBMIT)[ \t]?\(")
_CLAIM = re.compile(
    r"\b(?:FINAL|FINAL_VAR|SUBMIT)[ \t]?\(|\\boxed\{"
    r"|(?i:\b(?:final|the|my) answer(?: is\b|:)|^[*#_ ]{0,8}answer[*_ ]{0,4}:)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Reading:
    """The code that a reply asks to run, and the notes for the model about the rest."""

    blocks: tuple[str, ...]
    """Code in the order in which it runs."""
    nudge: str | None = None
    """The message for the model when there is nothing to run, or when the last block was cut."""
    reason: Reason | None = None
    """Why there is a nudge."""
    notes: tuple[str, ...] = ()
    """Parts that were left out, for the observation: a few short sentences."""
    summary: str = ""
    """The first sentence of the text that is not run, else of the code."""


def read_reply(text: str, *, truncated: bool = False, thought: bool = False) -> Reading:
    """Return the runnable blocks of `text`, or a nudge. Never raises; the cost is linear in the length of `text`.

    `text` is without thoughts (`take_off_thoughts`). `thought`: the reply had some.

    `truncated`: the reply was cut by the token limit. A last block that then does not parse is half a block: it is not
    run, the complete ones before it are, and the reason is `cut`. When the end of the reply repeats itself, the reason
    is `endless`, and an unclosed block is never run. Without `truncated` such a block extends to the end of the reply.

    Blocks tagged for another language never run. A block without a tag runs when it is Python that does something;
    one that does not parse only when it is the sole block and has the shape of code, so that the model sees its
    syntax error. Without any block, code is looked for in XML elements and in JSON (`tagged_code`). NUL bytes and
    lone surrogates, which cannot be sent or stored as UTF-8, become U+FFFD.
    """
    clean = _UNSENDABLE.sub("\ufffd", text).replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    judge = SourceJudge()
    layout = lay_out(clean, truncated=truncated, judge=judge)
    sections = [section for section in layout.sections if section.code.strip()]
    blocks: list[str] = []
    bare_skipped, cut = 0, False
    endless = truncated and repeats_itself(clean)
    for number, section in enumerate(sections, start=1):
        match section.kind:
            case "other":
                pass
            case "python" | "bare" if truncated and number == len(sections) and _is_half(section, endless=endless):
                cut = True
            case "python":
                blocks.append(section.code)
            case "bare":
                if _runs(section, judge, alone=len(sections) == 1):
                    blocks.append(section.code)
                else:
                    bare_skipped += 1
    if not blocks and not truncated:
        blocks = tagged_code(clean, judge)
    reason: Reason | None = None
    if cut or (truncated and not blocks):
        reason = "endless" if endless else "cut"
    if not blocks and reason is None:
        reason = _nothing_to_run(clean, layout, thought=thought)
    notes = _notes(layout, sections, bare_skipped, has_code=bool(blocks))
    prose = next(filter(None, map(prose_summary, layout.prose)), "")
    summary = prose or code_summary("\n".join(blocks))
    return Reading(tuple(blocks), NUDGES[reason] if reason else None, reason, notes, summary)


def narrates_between_blocks(reply: str) -> bool:
    """Return whether a reply has text between its first and its last block of Python."""
    layout = lay_out(reply, truncated=False, judge=SourceJudge())
    python = [place for place, section in enumerate(layout.sections) if section.kind == "python"]
    if len(python) < 2:
        return False
    first, last = python[0], python[-1]
    return last - first >= len(python) or any(text.strip() for text in layout.prose[first + 1 : last + 1])


def nothing_to_run(reason: Reason) -> Reading:
    """Return the reading of a reply that has no text."""
    return Reading((), NUDGES[reason], reason)


def _is_half(section: Section, *, endless: bool) -> bool:
    # Code that repeats itself without end may parse wherever it is cut, but nobody meant it.
    if section.closed or (section.parses and not endless):
        return False
    return section.kind == "python" or looks_like_code(section.code)


def _runs(section: Section, judge: SourceJudge, *, alone: bool) -> bool:
    tree = judge.tree(section.code) if section.parses else None
    return (tree is not None and does_something(tree)) or (alone and looks_like_code(section.code))


def _nothing_to_run(clean: str, layout: Layout, *, thought: bool) -> Reason:
    if not clean.strip():
        return "thinking" if thought else "empty"
    return "answer-in-prose" if any(_CLAIM.search(text) for text in _ends(layout)) else "prose"


def _ends(layout: Layout) -> tuple[str, str]:
    """Return the beginning and the end of all text that is not run."""
    said = "\n".join((*layout.prose, *(section.code for section in layout.sections)))
    return said[:_CLAIM_LOOKED_AT], said[_CLAIM_LOOKED_AT:][-_CLAIM_LOOKED_AT:]


def _notes(layout: Layout, sections: list[Section], bare_skipped: int, *, has_code: bool) -> tuple[str, ...]:
    notes: list[str] = []
    if others := [section for section in sections if section.kind == "other"]:
        tags = ", ".join(dict.fromkeys(section.tag[:20] or "?" for section in others[:5]))
        notes.append(f"Not run, because tagged for another language ({tags}): {counted(len(others), 'block')}.")
    if bare_skipped:
        notes.append(f"Not run, because without a tag and not clearly Python: {counted(bare_skipped, 'block')}.")
    if has_code and any(_CALL_IN_PROSE.search(text[:_CLAIM_LOOKED_AT]) for text in layout.prose):
        notes.append("FINAL, FINAL_VAR or SUBMIT outside a code block was ignored: only code that runs can finish.")
    if layout.overflow:
        notes.append(f"The reply was read up to its {MAX_FENCES:,}th line with a code fence.")
    return tuple(notes)
