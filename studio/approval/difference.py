"""What is different in a cell from the one before it."""

import difflib
from collections.abc import Iterator

from rich.text import Text

from .hidden_characters import marked
from .quoted import plain

_STYLES = {"-": "red", "+": "green", "@": "cyan"}


def difference(before: str, now: str) -> Iterator[Text] | None:
    """The lines of a unified diff, safe and coloured; None when the two have no line in common."""
    # Not `splitlines`, which also splits at characters that are no newline to Python.
    old, new = (text.replace("\r\n", "\n").rstrip("\n").split("\n") for text in (before, now))
    if not {line for line in old if line.strip()} & {line for line in new if line.strip()}:
        return None
    found = list(difflib.unified_diff(old, new, lineterm="", n=3))
    # The first two name files.
    return (plain(marked(line, code=True), _STYLES.get(line[:1], "dim")) for line in found[2:])
