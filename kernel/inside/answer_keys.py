"""Names of fields and columns: the text of a key, and different texts for different keys."""

from enum import Enum
from typing import Any

from .answer_texts import NONE, numpy_plain, scalar_text

LARGEST_INT = 1 << 14_000
"""Python refuses to read an int of more than 4,300 digits."""


def key_text(key: Any) -> "str | None":
    """Return the text of a key, as JSON writes those that it knows; None when it has no usual one."""
    if isinstance(key, Enum):
        return key_text(key.value)
    if isinstance(key, str):
        return str.__str__(key)
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int):
        return str(int(key)) if -LARGEST_INT < key < LARGEST_INT else hex(key)
    if isinstance(key, float):
        return repr(float(key))
    if isinstance(key, tuple):
        texts = [key_text(part) for part in key]
        return None if None in texts else " / ".join(map(str, texts))
    if (text := scalar_text(key)) is not NONE:
        return "null" if text is None else str(text)
    if (own := numpy_plain(key)) is not NONE and not isinstance(own, list | dict):
        return key_text(own)
    return None


def unique(name: str, taken: Any) -> str:
    """Return the name, or with a number after it the first one that is not taken."""
    number = 2
    wanted = name
    while wanted in taken:
        wanted, number = f"{name} ({number})", number + 1
    return wanted
