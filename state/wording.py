"""Numbers, sizes, times and lists as text, in one way for messages, prompts and displays."""

from collections.abc import Sequence


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 turn`, `2,000 turns`, `2 pieces of a variable`."""
    return f"{number:,} {plural(number, noun)}"


def plural(number: int, noun: str) -> str:
    """Return the noun as it stands behind a number: `turn`, `turns`, `pieces of a variable`."""
    head, of, rest = noun.partition(" of ")
    return f"{head}{'' if number == 1 else 's'}{of}{rest}"


def sentence(text: str) -> str:
    """Return `text` with a capital at its beginning and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def listed(items: Sequence[str], most: int, separator: str = ", ") -> str:
    """Return the first `most` items, and how many there are beside them: `a, b and 3 more`."""
    more = len(items) - most
    return separator.join(items[:most]) + (f" and {more:,} more" if more > 0 else "")


def megabytes(size: int) -> str:
    """Return a size in bytes as text: `812 bytes`, `40.1 KB`, `6.2 MB`, `82.1 GB`."""
    if size < 1_000:
        return counted(size, "byte")
    for unit, name in ((1_000_000_000, "GB"), (1_000_000, "MB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size / 1_000:,.1f} KB"


def duration(seconds: float) -> str:
    """Return seconds as text: `0.4 s`, `42 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
