""".gitignore rules, as git applies them: the nearest file with a matching line decides, and in it the last such line.

A folder that is left out is never entered, so nothing below it can be re-included (gitignore(5)). For the
same reason a pattern is matched against each entry itself, never against the folders above it.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pathspec import GitIgnoreSpec

_LARGEST = 1 << 20
# Patterns become regular expressions that backtrack: many stars in one name take exponential time.
_MOST_STARS = 4

_Pattern = tuple[bool, Callable[[str], object], re.Pattern[str]]
"""True for leaving out, False for re-including; a quick search for a match in a path; and the full pattern."""


@dataclass(frozen=True)
class Ignored:
    """The rules of one .gitignore, followed by those of the folders above."""

    folder: str
    """Absolute, with a slash at its end."""
    patterns: tuple[_Pattern, ...]
    """In reverse order of the lines."""
    above: "Ignored | None"

    def hides(self, path: str) -> bool:
        """Return whether the rules leave `path` out (absolute; a folder's path ends in a slash)."""
        rules: Ignored | None = self
        while rules:
            below = path[len(rules.folder) :]
            for leaves_out, found, regex in rules.patterns:
                if found(below) and any(_is_itself(match, below) for match in regex.finditer(below)):
                    return leaves_out
            rules = rules.above
        return False


def enter(folder: str, above: Ignored | None) -> Ignored | None:
    """Return the rules inside `folder` (absolute, a slash at its end): its own .gitignore before those above."""
    try:
        # Like git, do not follow a .gitignore that is a link; and do not block on a pipe of that name.
        descriptor = os.open(f"{folder}.gitignore", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return above
    try:
        text = os.fsdecode(os.read(descriptor, _LARGEST))
    except OSError:
        return above
    finally:
        os.close(descriptor)
    patterns = [pattern for line in text.removeprefix("\ufeff").split("\n") if (pattern := _pattern(line.rstrip("\r")))]
    return Ignored(folder, tuple(reversed(patterns)), above) if patterns else above


def above(folder: str) -> Ignored | None:
    """Return the rules of the repository around `folder` that apply inside it, from the repository's top folder down.

    None outside a repository, and None when the rules leave `folder` itself out: naming it overrules them.
    """
    parents = list(Path(folder).parents)
    top = next((at for at, parent in enumerate(parents) if (parent / ".git").exists()), None)
    if top is None or (Path(folder) / ".git").exists():
        return None
    rules: Ignored | None = None
    for parent, inner in pairwise([*reversed(parents[: top + 1]), Path(folder)]):
        rules = enter(f"{parent}/" if parent.name else "/", rules)
        if rules and rules.hides(f"{inner}/"):
            return None
    return rules


def _pattern(line: str) -> _Pattern | None:
    if any(len(re.findall(r"\*+", part)) > _MOST_STARS for part in line.split("/")):
        return None
    if line.rstrip().endswith("/**/"):
        # pathspec reads `a/**/` as `a/`; git, as the folders inside `a`.
        line = f"{line.rstrip()}*/"
    try:
        compiled = list(GitIgnoreSpec.from_lines([line]).patterns)
    except (ValueError, re.error):
        return None  # git, too, passes over a line that is no pattern
    for pattern in compiled:
        if pattern.regex and pattern.include is not None:
            return pattern.include, pattern.regex.search, pattern.regex
    return None  # a comment


def _is_itself(match: re.Match[str], path: str) -> bool:
    """Return whether the pattern matches `path` itself, not a folder above it (which pathspec marks as `ps_d`)."""
    return match.groupdict().get("ps_d") is None or match.end("ps_d") == len(path)
