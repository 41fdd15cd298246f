""".gitignore files, as git reads them: the nearest file with an opinion decides.

A folder that is left out is never entered, so nothing below it can be brought back (gitignore(5)).
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

_LARGEST = 1 << 20
# Patterns become regular expressions that backtrack: many stars in one name take exponential time.
_MOST_STARS = 4


@dataclass(frozen=True)
class Ignored:
    """The rules of one .gitignore and, behind it, those of the folders above."""

    folder: str
    """Absolute, with a slash at its end."""
    spec: GitIgnoreSpec
    above: "Ignored | None"

    def hides(self, path: str) -> bool:
        """Whether the rules leave `path` out (absolute; a folder's path ends in a slash)."""
        rules: Ignored | None = self
        while rules:
            verdict = rules.spec.check_file(path[len(rules.folder) :]).include
            if verdict is not None:
                return verdict
            rules = rules.above
        return False


def enter(folder: str, above: Ignored | None) -> Ignored | None:
    """The rules inside `folder` (absolute, a slash at its end): its own .gitignore before those above."""
    try:
        # Like git, no .gitignore that is a link; and a pipe of that name must not make us wait.
        descriptor = os.open(f"{folder}.gitignore", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return above
    try:
        text = os.fsdecode(os.read(descriptor, _LARGEST))
    except OSError:
        return above
    finally:
        os.close(descriptor)
    lines = [line for line in text.removeprefix("\ufeff").splitlines() if _usable(line)]
    return Ignored(folder, GitIgnoreSpec.from_lines(lines), above) if lines else above


def above(folder: str) -> Ignored | None:
    """The rules that the repository around `folder` has for what is in it, from its top folder down.

    None outside a repository, and None when the rules leave `folder` itself out: naming it overrules them.
    """
    parents = list(Path(folder).parents)
    top = next((at for at, parent in enumerate(parents) if (parent / ".git").exists()), None)
    if top is None or (Path(folder) / ".git").exists():
        return None
    rules: Ignored | None = None
    steps = [*reversed(parents[: top + 1]), Path(folder)]
    for parent, inner in zip(steps, steps[1:], strict=False):
        rules = enter(f"{parent}/" if parent.name else "/", rules)
        if rules and rules.hides(f"{inner}/"):
            return None
    return rules


def _usable(line: str) -> bool:
    if not line.strip() or line.startswith("#"):
        return False
    if any(len(re.findall(r"\*+", part)) > _MOST_STARS for part in line.split("/")):
        return False
    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False  # git, too, passes over a line that is no pattern
    return True
