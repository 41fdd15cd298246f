"""Escaping of untrusted text for a terminal: characters that move, hide, reorder or imitate are written as escapes.

Text from models and documents is assumed to be hostile: an escape sequence can retitle the window or overwrite a line,
a direction mark can make code read backwards, and characters of no width can hide words. Everything that a command
shows is escaped here, except an answer that goes into a pipe or a file.
"""

import json
import re
from typing import Any

from ...state.wording import counted

HOSTILE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and newline, DEL, C1: escape sequences and cursor movement
    "\u00ad\u034f\u061c\u070f\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0"  # no width, or blank letters
    "\u200b-\u200f\u2060-\u206f\ufeff\ufff0-\ufffb"  # no width, direction marks, annotations
    "\u2028-\u202e"  # line and paragraph separators, direction overrides
    "\ud800-\udfff"  # lone surrogates, which cannot be sent to a terminal
    "\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "]"
)
"""Characters that are never sent to a terminal unescaped."""


def safe(text: str) -> str:
    """Return `text` with hostile characters as `\\x1b`, `\\u202e`, `\\U000e0041`.

    Tabs and newlines are kept; CRLF becomes LF.
    """
    return HOSTILE.sub(escape, text.replace("\r\n", "\n"))


def safe_line(text: str, limit: int = 0) -> str:
    """Return `text` on one line, escaped: white space becomes single spaces, and a cut at `limit` shows as `…`."""
    # Only the beginning is processed: thousands of prompts of megabytes may have to be cut.
    part = text[: 8 * limit] if limit else text
    line = safe(" ".join(part.split()))
    if not limit or (len(line) <= limit and len(part) == len(text)):
        return line
    return f"{line[: limit - 1]}…"


def safe_lines(text: str, most: int, width: int = 200) -> str:
    """Return the first `most` lines of `text`, each at most `width` characters, and how many lines are left out."""
    beginning = text[: most * 4_000]
    lines = safe(beginning).rstrip().split("\n")
    shown = [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines[:most]]
    left = text.rstrip().count("\n") + 1 - most
    if left > 0:
        shown.append(f"… {counted(left, 'more line')}")
    elif len(beginning) < len(text):
        shown.append("…")
    return "\n".join(shown)


def safe_json(value: Any, *, one_line: bool = False) -> str:
    """Return `value` as JSON with hostile characters as `\\uXXXX`, which a parser reads as the same value."""
    text = json.dumps(value, ensure_ascii=False, indent=None if one_line else 2)
    # Outside of its strings JSON is ASCII and newlines, which stay as they are.
    return HOSTILE.sub(_json_escape, text)


def escape(found: re.Match[str]) -> str:
    """Return the matched character as `\\x1b`, `\\u202e` or `\\U000e0041`."""
    code = ord(found[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def short_id(thread_id: str) -> str:
    """Return a name that commands accept for the thread: the beginning of a UUID, any other name whole."""
    return thread_id[:8] if _UUID.fullmatch(thread_id) else safe_line(thread_id)


def answer_text(answer: Any) -> str:
    """Return an answer as text that ends in a newline: the model's text, or a typed value as indented JSON."""
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, indent=2)
    return text if text.endswith("\n") else f"{text}\n"


def sentence(text: str) -> str:
    """Return a message as a sentence with a full stop, safe to show. Its first letter stays: it may begin a name."""
    said = safe(text.strip())
    return said if not said or said[-1] in ".!?:" else f"{said}."
