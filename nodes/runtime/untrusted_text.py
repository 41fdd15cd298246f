"""Prepare untrusted text for a model: cut it, make it visible, and mark it as data.

Documents and the output of code may contain anything: control characters, fences that would end the block they are
shown in, instructions. None of it may look like the words of this program.
"""

import itertools
import re

_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_BACKTICKS = re.compile("`{3,}")
_LONGEST_FENCE = 32
_FOLD_UP_TO = 4_000_000


def visible(text: str) -> str:
    """Return `text` with control characters, direction marks and lone surrogates escaped, and line breaks as `\\n`."""
    return _INVISIBLE.sub(_escape, text.replace("\r\n", "\n"))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str, limit: int) -> str:
    """Return `text` on one visible line of at most `limit` characters; a cut shows as `…`."""
    line = " ".join(visible(text[: limit * 4]).split())
    return line if len(line) <= limit and len(text) <= limit * 4 else f"{line[: limit - 1]}…"


def shortened_line(text: str, limit: int) -> str:
    """Return head and tail of `text` on one line, visible, at most `limit` characters; a cut shows as ` … `."""
    return shortened(" ".join(text.split()), limit)


def shortened(text: str, limit: int) -> str:
    """Return head and tail of `text`, visible, at most `limit` characters, line breaks kept; a cut shows as ` … `."""
    shown = visible(text if len(text) <= 2 * limit else f"{text[:limit]}{text[-limit:]}").strip()
    if len(text) <= 2 * limit and len(shown) <= limit:
        return shown
    head = (limit - 3) * 2 // 3
    return f"{shown[:head]} … {shown[len(shown) - (limit - 3 - head) :]}"


def cut_output(text: str, limit: int = 20_000) -> str:
    """Return `text` as the model sees it: visible, runs of equal lines folded, and at most `limit` characters.

    A longer text keeps its head and its tail, where the errors are. A note between them gives the number of characters
    left out, and says that `history` in the REPL has them.
    """
    folded = _folded(text) if len(text) <= _FOLD_UP_TO else text
    if len(folded) <= limit and len(shown := visible(folded)) <= limit:
        return shown
    room = max(limit - 200, 0)
    head = visible(folded[: room * 3 // 5])[: room * 3 // 5]
    tail_length = room - len(head)
    tail = visible(folded[len(folded) - tail_length :])
    tail = tail[len(tail) - tail_length :]
    left_out = max(len(text) - len(head) - len(tail), 1)
    note = f"[… {left_out:,} of {len(text):,} characters of output left out here; `history` has all of it …]"
    return f"{head}\n{note}\n{tail}"[:limit] if limit >= 200 else head[:limit]


def _folded(text: str) -> str:
    """Replace four or more equal lines in a row by one and a count."""
    lines: list[str] = []
    for line, group in itertools.groupby(text.split("\n")):
        count = sum(1 for _ in group)
        lines += [line, f"[… the line above {count - 1:,} more times …]"] if count > 3 else [line] * count
    return "\n".join(lines)


def fenced(text: str, *, info: str = "text") -> str:
    """Return `text` in a fence longer than any run of backticks in it, so that nothing in it can close the fence."""
    body = _BACKTICKS.sub(lambda found: found[0][:_LONGEST_FENCE], text)
    longest = max((len(run) for run in _BACKTICKS.findall(body)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{info}\n{body}\n{fence}"


def quoted(text: str) -> str:
    """Return `text` with every line behind `| `: no line can open a fence, be a heading or speak for the program."""
    return "\n".join(f"| {line}" for line in visible(text).split("\n"))
