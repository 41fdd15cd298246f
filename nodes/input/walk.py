"""Walks through a folder's regular files, in order, without leaving it.

Links are not followed: a target inside the folder is found under its own name, and one outside was not given. So
loops are harmless and no file comes twice.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ...state.errors import InputError
from .ignore import Ignored, above, enter
from .source import Check, Limits, Notes, Skipped, showable

_NEVER = (".git", ".rlm")
"""Folders (and the file that stands for one in a worktree) that are not a person's own files."""
SourceFilter = Callable[[str], bool]
Entry: TypeAlias = "os.DirEntry[str]"


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file: its absolute path, its path below the folder, its size in bytes."""

    path: str
    below: str
    size: int


@dataclass
class Walk:
    """The walk through all folders of one input, which share its limits."""

    limits: Limits
    notes: Notes
    skipped: Skipped
    check: Check
    exclude: frozenset[str] = frozenset()
    """Absolute paths of folders that are never entered: the run's own store."""
    looked_at: int = 0
    found: int = 0

    def files(
        self, root: Path, label: str, *, hidden: bool = False, wanted: SourceFilter | None = None
    ) -> Iterator[Found]:
        """Yield the files of `root` (absolute, no links), each folder's in the order of their names.

        `label` stands for `root` in notes; it is empty for the current folder. Left out: hidden names unless `hidden`,
        what .gitignore files leave out, links, and other files that are not regular. `wanted` selects files by their
        path below `root`. Raises InputError when `root` cannot be read, or at a limit.
        """
        top = f"{root}/" if root.name else "/"
        terms = _Terms(len(top), label, hidden, wanted)
        try:
            entries = self._entries(top, enter(top, above(str(root))), terms)
        except OSError as error:
            raise InputError(f"The folder {label or '.'} cannot be read: {error.strerror}.") from error
        # One iterator per level: no recursion, however deep it goes.
        levels = [entries]
        while levels:
            entry, rules = next(levels[-1], (None, None))
            if entry is None:
                levels.pop()
            elif not entry.is_dir(follow_symlinks=False):
                yield from self._file(entry, terms)
            elif len(levels) > self.limits.depth:
                self.skipped.add(terms.shown(entry), f"more than {self.limits.depth} folders deep")
            else:
                try:
                    levels.append(self._entries(f"{entry.path}/", enter(f"{entry.path}/", rules), terms))
                except OSError as error:
                    self.skipped.add(terms.shown(entry), str(error.strerror))

    def _entries(self, folder: str, rules: Ignored | None, terms: "_Terms") -> Iterator[tuple[Entry, Ignored | None]]:
        """Return one folder's entries that are not left out, sorted by name. Raises OSError, InputError."""
        kept: list[Entry] = []
        self.check()
        with os.scandir(folder) as entries:
            for entry in entries:
                self.looked_at += 1
                if self.looked_at > self.limits.entries:
                    raise too_many(f"more than {self.limits.entries:,} entries to look through")
                if self._left_out(entry, rules, terms):
                    continue
                kept.append(entry)
                # Counted here too, so that a huge folder is refused before it is held and sorted.
                if len(kept) > self.limits.files:
                    raise too_many(f"more than {self.limits.files:,} files")
        kept.sort(key=lambda entry: entry.name)
        return ((entry, rules) for entry in kept)

    def _left_out(self, entry: Entry, rules: Ignored | None, terms: "_Terms") -> bool:
        if entry.name in _NEVER:
            return True
        if entry.name.startswith(".") and not terms.hidden:
            if entry.name != ".gitignore":
                self.notes.count("hidden")
            return True
        folder = entry.is_dir(follow_symlinks=False)
        if folder and entry.path in self.exclude:
            return True
        if not folder and terms.wanted and not terms.wanted(entry.path[terms.top :]):
            return True
        if rules and rules.hides(f"{entry.path}/" if folder else entry.path):
            self.notes.count("by .gitignore")
            return True
        return False

    def _file(self, entry: Entry, terms: "_Terms") -> Iterator[Found]:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            self.skipped.add(terms.shown(entry), str(error.strerror))
            return
        if stat.S_ISREG(status.st_mode):
            self.found += 1
            if self.found > self.limits.files:
                raise too_many(f"more than {self.limits.files:,} files")
            yield Found(entry.path, entry.path[terms.top :], status.st_size)
        elif stat.S_ISLNK(status.st_mode):
            self.skipped.add(terms.shown(entry), "links are not followed")
        else:
            self.skipped.add(terms.shown(entry), kind_of(status.st_mode))


@dataclass(frozen=True, slots=True)
class _Terms:
    """The parameters of one walk of one folder."""

    top: int
    """Length of the folder's own path, up to the part below it."""
    label: str
    hidden: bool
    wanted: SourceFilter | None

    def shown(self, entry: Entry) -> str:
        return showable(below(self.label, entry.path[self.top :]))


def below(label: str, path: str) -> str:
    """Return the name of a file by its path below a folder, whose own name is `label` (empty: the current folder)."""
    return f"{label}{path}" if label in ("", "/") else f"{label}/{path}"


def kind_of(mode: int) -> str:
    """Return the name for a file that is not a regular one."""
    kinds = {
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFDIR: "a folder",
    }
    return kinds.get(stat.S_IFMT(mode), "no regular file")


def too_many(what: str) -> InputError:
    """Return the error for an exceeded limit, with a hint."""
    return InputError(
        f"The input has {what}.",
        hint="Name a smaller folder or a pattern like 'src/**/*.py', or list what is not needed in a .gitignore file.",
    )
