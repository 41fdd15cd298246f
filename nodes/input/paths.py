"""Sources from the paths that a user names: files, folders, patterns and `-` for standard input.

A pattern without `**` is expanded like in a shell. One with `**` walks through its folder and
leaves out what every walk does. A path that exists is never taken for a pattern.
"""

import glob
import os
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pathspec import GitIgnoreSpec

from ...state.errors import InputError
from ...state.wording import listed
from .source import FileSource, Limits, Notes, Source, Sources, StreamSource, showable, stopper
from .walk import Walk, kind_of, too_many


def expand(
    paths: Sequence[str | Path],
    *,
    stdin: BinaryIO | None = None,
    limits: Limits | None = None,
    exclude: Collection[Path] = (),
    hidden: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> Sources:
    """Return the sources that `paths` name, in their order, each file once; a folder's files are ordered by name.

    `stdin` is what `-` reads (standard input by default), `exclude` are folders that are never entered (the
    run's own store). Only .gitignore files are read yet. Raises InputError: a path that is missing, unreadable or not
    a regular file; a pattern without a match; a limit exceeded. Raises IngestStopped once `cancelled()`, which is
    called per folder, is true.
    """
    limits = limits or Limits()
    notes = Notes()
    walk = Walk(limits, notes, stopper(cancelled), hidden, frozenset(str(folder.resolve()) for folder in exclude))
    given = _unambiguous([one for path in paths for one in _given(str(path), notes)])
    named = {str(one.path) for one in given if one.explicit and not one.folder}
    items: list[Source] = []
    seen: set[str] = set()
    total = 0
    for one in given:
        if one.path is None:
            if one.label not in seen:
                items.append(StreamSource(one.label, _standard_input(stdin)))
            seen.add(one.label)
            continue
        for source, size in _files(one, one.path, walk, named):
            if source.path in seen:
                continue
            seen.add(source.path)
            items.append(source)
            total += size
            if total > limits.bytes:
                raise too_many(f"more than {limits.bytes / (1 << 30):.3g} GiB")
            if len(items) > limits.files:
                raise too_many(f"more than {limits.files:,} files")
    several = any(one.folder for one in given)
    if not items and paths:
        raise InputError(f"There is no file to read in {_listed(paths)}.", hint="; ".join(notes.lines(3)))
    return Sources(items, several=several, notes=notes, limits=limits)


@dataclass(frozen=True)
class _Given:
    """One thing to read: a file, a folder with an optional pattern, or standard input (no path)."""

    label: str
    shown: str
    """As the user wrote it; distinguishes two of the same label."""
    path: Path | None = None
    """Absolute, without links."""
    size: int = 0
    folder: bool = False
    pattern: str = ""
    """Selects files of the folder."""
    explicit: bool = True


def _given(text: str, notes: Notes) -> Iterator[_Given]:
    if text == "-":
        yield _Given("stdin", "stdin")
        return
    path = Path(text).expanduser() if text.startswith("~/") else Path(text)
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise InputError(f"{showable(text)} is a link to nothing.") from None
        if not glob.has_magic(text) or "://" in text:
            raise InputError(f"There is no file or folder {showable(text)}.", hint=_hint(text, path)) from None
        yield from _matches(str(path), notes)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a path"
        raise InputError(f"{showable(text)} cannot be read: {reason}.") from None
    else:
        yield _named(path, text, status)


def _named(path: Path, text: str, status: os.stat_result, *, explicit: bool = True) -> _Given:
    """Return the file or folder at an existing path. Raises InputError when it is neither a file nor a folder."""
    real = path.resolve()
    label = path.name if path.name not in ("", "..") else real.name or "root"
    if stat.S_ISDIR(status.st_mode):
        return _Given(showable(label), text, real, folder=True, explicit=explicit)
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            f"{showable(text)} is {kind_of(status.st_mode)}, and only regular files are read.",
            hint="To read a stream, pipe it in, and name - for the input.",
        )
    if not os.access(real, os.R_OK):
        raise InputError(f"{showable(text)} cannot be read: Permission denied.")
    return _Given(showable(label), text, real, status.st_size, explicit=explicit)


def _matches(pattern: str, notes: Notes) -> Iterator[_Given]:
    """Yield what a pattern matches. Raises InputError when that is nothing."""
    parts = PurePosixPath(pattern).parts
    fixed = next(at for at, part in enumerate(parts) if glob.has_magic(part))
    base = Path(*parts[:fixed])
    below = "/".join(parts[fixed:])
    if "**" in below:
        real = base.resolve()
        if not real.is_dir():
            raise InputError(f"There is no folder {base} for the pattern {pattern}.")
        label = base.name if base.name not in ("", "..") else real.name or "root"
        yield _Given(showable(label), pattern, real, folder=True, pattern=below)
        return
    found = False
    # glob has a shell's rules for hidden files, which Path.glob does not have.
    for match in sorted(glob.iglob(pattern)):  # noqa: PTH207
        path = Path(match)
        if not path.resolve().is_relative_to(base.resolve()):
            notes.add("skipped (a link that leads elsewhere)", showable(match))
            continue
        try:
            one = _named(path, match, path.stat(), explicit=False)
        except (InputError, OSError):
            notes.add("skipped (no readable regular file)", showable(match))
            continue
        found = True
        yield one
    if not found:
        raise InputError(f"No file matches {showable(pattern)}.", hint="; ".join(notes.lines(3)))


def _files(one: _Given, path: Path, walk: Walk, named: set[str]) -> Iterator[tuple[FileSource, int]]:
    if not one.folder:
        yield FileSource(one.label, str(path), one.explicit, one.size), one.size
        return
    wanted = None
    if one.pattern:
        spec = GitIgnoreSpec.from_lines([f"/{one.pattern}"])
        wanted = spec.match_file
    hidden = any(part.startswith(".") for part in one.pattern.split("/"))
    found = False
    for file in walk.files(path, one.label, hidden=hidden or walk.hidden, wanted=wanted):
        found = True
        yield FileSource(showable(f"{one.label}/{file.below}"), file.path, file.path in named, file.size), file.size
    if one.pattern and not found:
        raise InputError(f"No file matches {one.shown}.", hint="; ".join(walk.notes.lines(3)))


def _standard_input(given: BinaryIO | None) -> BinaryIO:
    if given is not None:
        return given
    # sys.stdin is `None` when Python was started with a closed standard input.
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise InputError("Standard input is closed, so `-` cannot be read.")
    return sys.stdin.buffer


def _unambiguous(given: list[_Given]) -> list[_Given]:
    """Replace the labels of different things that share one by the paths that the user wrote."""
    paths: dict[str, set[Path | None]] = {}
    for one in given:
        paths.setdefault(one.label, set()).add(one.path)
    return [one if len(paths[one.label]) == 1 else _as_written(one) for one in given]


def _as_written(one: _Given) -> _Given:
    written = one.shown if not one.pattern else one.shown.removesuffix(one.pattern)
    parts = [part for part in PurePosixPath(written).parts if part not in ("/", "..", "~")]
    label = showable("/".join(parts)) or one.label
    return replace(one, label=label)


def _hint(text: str, path: Path) -> str:
    if "://" in text:
        return "Nothing is fetched from the network: download it first."
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 - names only, of a folder that may be large
    except OSError:
        return f"There is no folder {path.parent} either; the current folder is {Path.cwd()}."
    close = get_close_matches(path.name, names[:10_000], n=1)
    return f"Did you mean {path.parent / close[0]}?" if close else f"The current folder is {Path.cwd()}."


def _listed(paths: Sequence[str | Path]) -> str:
    return listed([showable(str(path)) for path in paths], 3)
