"""Sources from the paths that a user names: files, folders, patterns and `-` for standard input.

A pattern without `**` is expanded like in a shell. One with `**` walks through its folder and
leaves out what every walk does. A path that exists is never taken for a pattern.
"""

import glob
import os
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pathspec import GitIgnoreSpec

from ...state.errors import InputError
from ...state.wording import listed
from .readable import ReadableBytes
from .source import FileSource, Limits, Notes, Skipped, Source, Sources, StreamSource, showable, stopper
from .walk import Walk, below, kind_of, too_many

_MOST_SHOWN = 20
"""Missing paths that an error names."""


def expand(
    paths: Sequence[str | Path],
    *,
    hidden: bool = False,
    stdin: BinaryIO | None = None,
    limits: Limits | None = None,
    exclude: Collection[Path] = (),
    cancelled: Callable[[], bool] = lambda: False,
) -> Sources:
    """Return the sources that `paths` name, in their order, each file once; a folder's files are ordered by name.

    Names are paths that open from the current folder. `hidden`: hidden files of folders too. `stdin` is what `-` reads
    (standard input by default), `exclude` are folders that are never entered (the run's own store). Only .gitignore
    files are read, and the beginnings of large files where the limit of bytes is near. Of several paths, unusable files
    are skipped. Raises InputError: missing paths, all of them; a path alone that is unreadable or not a regular file; a
    pattern without a match; a limit exceeded. Raises IngestStopped once `cancelled()`, which is called per folder, is
    true.
    """
    limits = limits or Limits()
    notes = Notes()
    skipped = Skipped(notes)
    check = stopper(cancelled)
    walk = Walk(limits, notes, skipped, check, frozenset(str(folder.resolve()) for folder in exclude))
    given = _all_given([str(path) for path in paths], skipped)
    named = {str(one.path) for one in given if one.explicit and not one.folder}
    items: list[Source] = []
    seen: set[str] = set()
    readable = ReadableBytes(limits.bytes, check)
    for one in given:
        if one.path is None:
            if one.label not in seen:
                items.append(StreamSource(one.label, _standard_input(stdin)))
            seen.add(one.label)
            continue
        for source, size in _files(one, one.path, walk, named, hidden=hidden):
            if source.path in seen:
                continue
            seen.add(source.path)
            items.append(source)
            if not readable.add(source.path, size):
                raise too_many(f"more than {limits.bytes / (1 << 30):.3g} GiB")
            if len(items) > limits.files:
                raise too_many(f"more than {limits.files:,} files")
    several = len(items) > 1 or any(one.folder for one in given)
    if not items and paths:
        raise InputError(f"There is no file to read in {_listed(paths)}.", hint="; ".join(notes.lines(3)))
    return Sources(items, several=several, notes=notes, limits=limits, skipped=skipped.files)


@dataclass(frozen=True)
class _Given:
    """One thing to read: a file, a folder with an optional pattern, or standard input (no path)."""

    label: str
    shown: str
    """As the user wrote it."""
    path: Path | None = None
    """Absolute, without links."""
    size: int = 0
    folder: bool = False
    pattern: str = ""
    """Selects files of the folder."""
    explicit: bool = True


class _NotRegular(Exception):
    """A path that exists, but cannot be read.

    One of several is skipped, because a shell's pattern may have named it.
    """

    def __init__(self, error: InputError, reason: str) -> None:
        super().__init__(error.message)
        self.error = error
        """The error when it is the only one."""
        self.reason = reason


def _not_regular(text: str, reason: str, *, more: str = "", hint: str = "") -> _NotRegular:
    return _NotRegular(InputError(f"{showable(text)} {reason}{more}.", hint=hint), reason.removeprefix("is "))


def _all_given(paths: list[str], skipped: Skipped) -> list[_Given]:
    """Return everything that the paths name. Raises InputError for those that name nothing, all at once."""
    given: list[_Given] = []
    missing: list[InputError] = []
    for path in paths:
        try:
            given += _given(path, skipped)
        except _NotRegular as error:
            if len(set(paths)) == 1:
                raise error.error from None
            skipped.add(name_of(path), error.reason)
        except InputError as error:
            missing.append(error)
    if len(missing) == 1:
        raise missing[0]
    if missing:
        shown = " ".join(error.message for error in missing[:_MOST_SHOWN])
        more = f" And {len(missing) - _MOST_SHOWN:,} more." if len(missing) > _MOST_SHOWN else ""
        raise InputError(shown + more, hint=f"The current folder is {showable(str(Path.cwd()))}.")
    return given


def name_of(path: str | Path) -> str:
    """Return the name of a path that a user wrote: a path that opens from the current folder, and can be shown.

    Absolute only where it lies outside of that folder; empty for the folder itself.
    """
    shown = Path(path)
    if shown.is_absolute() and (here := next(filter(shown.is_relative_to, _here()), None)):
        shown = shown.relative_to(here)
    name = str(shown)
    return "" if name == "." else showable(name)


def _here() -> Iterator[Path]:
    """Yield the current folder, by its real path and as the shell names it."""
    here = Path.cwd()
    yield here
    shell = Path(os.environ.get("PWD", ""))
    if shell.is_absolute() and shell.exists() and shell.samefile(here):
        yield shell


def _given(text: str, skipped: Skipped) -> Iterator[_Given]:
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
        yield from _matches(str(path), skipped)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a path"
        raise _not_regular(text, f"cannot be read: {reason}") from None
    else:
        yield _named(path, text, status)


def _named(path: Path, text: str, status: os.stat_result, *, explicit: bool = True) -> _Given:
    """Return the file or folder at an existing path. Raises _NotRegular when it is neither a file nor a folder."""
    real = path.resolve()
    if stat.S_ISDIR(status.st_mode):
        return _Given(name_of(path), text, real, folder=True, explicit=explicit)
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(
            text,
            f"is {kind_of(status.st_mode)}",
            more=", and only regular files are read",
            hint="To read a stream, pipe it in, and name - for the input.",
        )
    if not os.access(real, os.R_OK):
        raise _not_regular(text, "cannot be read: Permission denied")
    return _Given(name_of(path), text, real, status.st_size, explicit=explicit)


def _matches(pattern: str, skipped: Skipped) -> Iterator[_Given]:
    """Yield what a pattern matches. Raises InputError when that is nothing."""
    parts = PurePosixPath(pattern).parts
    fixed = next(at for at, part in enumerate(parts) if glob.has_magic(part))
    base = Path(*parts[:fixed])
    wanted = "/".join(parts[fixed:])
    if "**" in wanted:
        real = base.resolve()
        if not real.is_dir():
            raise InputError(f"There is no folder {base} for the pattern {pattern}.")
        yield _Given(name_of(base), pattern, real, folder=True, pattern=wanted)
        return
    found = False
    # glob has a shell's rules for hidden files, which Path.glob does not have.
    for match in sorted(glob.iglob(pattern)):  # noqa: PTH207
        path = Path(match)
        if not path.resolve().is_relative_to(base.resolve()):
            skipped.add(name_of(match), "a link that leads elsewhere")
            continue
        try:
            one = _named(path, match, path.stat(), explicit=False)
        except (_NotRegular, OSError) as error:
            skipped.add(name_of(match), error.reason if isinstance(error, _NotRegular) else "not readable")
            continue
        found = True
        yield one
    if not found:
        raise InputError(f"No file matches {showable(pattern)}.", hint="; ".join(skipped.notes.lines(3)))


def _files(one: _Given, path: Path, walk: Walk, named: set[str], *, hidden: bool) -> Iterator[tuple[FileSource, int]]:
    if not one.folder:
        yield FileSource(one.label, str(path), one.explicit, one.size), one.size
        return
    wanted = None
    if one.pattern:
        spec = GitIgnoreSpec.from_lines([f"/{one.pattern}"])
        wanted = spec.match_file
    hidden = hidden or any(part.startswith(".") for part in one.pattern.split("/"))
    found = False
    for file in walk.files(path, one.label, hidden=hidden, wanted=wanted):
        found = True
        yield FileSource(showable(below(one.label, file.below)), file.path, file.path in named, file.size), file.size
    if one.pattern and not found:
        raise InputError(f"No file matches {one.shown}.", hint="; ".join(walk.notes.lines(3)))


def _standard_input(given: BinaryIO | None) -> BinaryIO:
    if given is not None:
        return given
    # sys.stdin is `None` when Python was started with a closed standard input.
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise InputError("Standard input is closed, so `-` cannot be read.")
    return sys.stdin.buffer


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
