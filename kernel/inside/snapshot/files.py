"""The files of a turn: what is below the scratch folder after a cell, saved like variables and written back.

Each file is a group of its own, of the name `file:PATH`, and its bytes are pieces like those of variables: equal
content is stored once, and a cell saves only what it changed. Names and contents are made by code and are treated as
hostile:

- Links are kept as links and never followed, neither when reading nor when writing: every folder of a path is opened by
  itself, without following links, beginning at the scratch folder.
- The number of files, their depth, and the bytes that a turn may save are limited; what exceeds them is named as lost.
- Devices, pipes and sockets are not opened, and are named as lost.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from json import dumps, loads
from typing import Any
from urllib.parse import unquote_to_bytes

from .chunks import Pieces, by_content, name_all

PREFIX = "file:"
MOST_BYTES = 100 << 20
"""Bytes that one turn may save."""
MOST_FILES = 10_000
"""Files, folders and links, at most."""
DEEPEST = 50
LONGEST_NAME = 2_000
"""Characters of a name of a group, at most."""
_SETTLED = 50_000_000
"""Nanoseconds after which a change of a file surely gives it another time of change."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
_PART = 1 << 20
_open, _close, _read, _write, _fstat, _lstat = os.open, os.close, os.read, os.write, os.fstat, os.stat
_scandir, _mkdir, _symlink, _readlink, _utime, _fchmod = (
    *(os.scandir, os.mkdir, os.symlink, os.readlink, os.utime),
    os.fchmod,
)
_fsencode, _now = os.fsencode, time.time_ns

Identity = tuple[int, ...]


class NotKept(Exception):
    """A file that cannot be saved, or not be written back; the text is the reason."""


@dataclass
class _Known:
    """A file, folder or link as it was saved."""

    identity: Identity
    group: dict[str, Any]
    settled: bool
    """False when it may have changed since without another time of change."""


@dataclass
class FileChanges:
    """The changes of a cell to the files."""

    groups: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    gone: list[str] = field(default_factory=list[str])
    found: dict[str, _Known] = field(default_factory=dict[str, _Known])
    """All files."""


class Files:
    """The files below one folder. Not thread-safe; called between cells."""

    def __init__(self, root: str) -> None:
        """`root` is the scratch folder, which is this kernel's own."""
        self._root = root
        self._known: dict[str, _Known] = {}
        self._given: set[bytes] = set()
        # A sandbox may have put folders of its own there, such as places of mounted ones.
        self._given = {path for path, _, _ in self._walk()}

    def look(self, fresh: Pieces) -> FileChanges:
        """Return what has changed since `keep` was called, and put pieces that may be new into `fresh`."""
        room = MOST_BYTES
        found: dict[str, _Known] = {}
        more = False
        for path, about, folder in self._walk():
            if len(found) >= MOST_FILES:
                more = True
                break
            name = name_of(path)
            if len(name) > LONGEST_NAME:
                more = True
                continue
            known = self._known.get(name)
            identity = _identity(about)
            again = known is not None and bool(known.group["lost"]) and about.st_size <= room
            if known is not None and known.settled and known.identity == identity and not again:
                found[name] = known
                continue
            before = _now()
            group, size = self._group(name, path, about, folder, room, fresh)
            # What is only read again, to be sure, is not saved again.
            room -= size if known is None or group != known.group else 0
            found[name] = _Known(identity, group, before - about.st_ctime_ns > _SETTLED)
        if more:
            why = f"more than {MOST_FILES:,} files, or names that are too long: not all were saved"
            found[PREFIX] = _Known((), _as_group(PREFIX, {}, [], why), settled=True)
        before = {name: known.group for name, known in self._known.items()}
        changed = [known.group for name, known in found.items() if before.get(name) != known.group]
        return FileChanges(changed, sorted(before.keys() - found.keys()), found)

    def keep(self, changes: FileChanges) -> None:
        """Count these changes as saved."""
        self._known = changes.found

    def _group(
        self, name: str, path: bytes, about: os.stat_result, folder: int, room: int, fresh: Pieces
    ) -> "tuple[dict[str, Any], int]":
        """Return the group of a file, and how many bytes were read for it."""
        form: dict[str, Any] = {"mode": stat.S_IMODE(about.st_mode) & 0o777, "time": about.st_mtime_ns}
        last = path.rpartition(b"/")[2]
        try:
            match stat.S_IFMT(about.st_mode):
                case stat.S_IFDIR:
                    return _as_group(name, {**form, "kind": "folder"}, []), 0
                case stat.S_IFLNK:
                    target = _readlink(last, dir_fd=folder)
                    return _as_group(name, {"kind": "link", "target": _escaped(target)}, []), 0
                case stat.S_IFREG:
                    body = _content(last, folder, about, room)
                    return _as_group(name, {**form, "kind": "file"}, name_all(by_content(body), fresh)), len(body)
                case other:
                    raise NotKept(f"it is {_KINDS.get(other, 'no file')}")
        except NotKept as why:
            return _as_group(name, {}, [], str(why)), 0
        except OSError as error:
            return _as_group(name, {}, [], f"it cannot be read: {error.strerror}"), 0

    def _walk(self) -> "Iterator[tuple[bytes, os.stat_result, int]]":
        """Yield the path of everything below the folder, its description, and a descriptor of the folder it is in."""
        todo = [b""]
        device = -1
        while todo:
            place = todo.pop()
            try:
                folder = _opened(self._root, place)
            except OSError:
                continue
            try:
                if not place:
                    device = _fstat(folder).st_dev
                with _scandir(folder) as entries:
                    for entry in entries:
                        own = _fsencode(entry.name)
                        path = place + b"/" + own if place else own
                        try:
                            about = _lstat(own, dir_fd=folder, follow_symlinks=False)
                        except OSError:
                            continue
                        if about.st_dev != device:
                            continue  # mounted there by the sandbox
                        if path not in self._given:
                            yield path, about, folder
                        if stat.S_ISDIR(about.st_mode) and path.count(b"/") < DEEPEST:
                            todo.append(path)
            finally:
                _close(folder)

    # -- writing back

    def restore(self, groups: "Sequence[dict[str, Any]]", piece: "Callable[[str], bytes]") -> dict[str, str]:
        """Write files into the folder, which has nothing of the run yet. Return why some could not be, by name."""
        lost: dict[str, str] = {}
        forms = {group["id"]: loads(group["form"])["file"] for group in groups}
        ordered = sorted(groups, key=lambda group: (forms[group["id"]].get("kind") == "link", group["id"]))
        room = MOST_FILES
        for group in ordered:
            name = group["id"]
            lost.update(group["lost"])
            if group["lost"]:
                self._known[name] = _Known((), group, settled=True)
                continue
            room -= 1
            try:
                if room < 0:
                    raise NotKept(f"more than {MOST_FILES:,} files")
                self._write(path_of(name), forms[name], [piece(one) for one in group["chunks"]])
                self._known[name] = _Known((), group, settled=False)
            except NotKept as why:
                lost[name] = str(why)
            except KeyError:
                lost[name] = "a stored piece of it is missing or damaged"
            except OSError as error:
                lost[name] = f"it cannot be written: {error.strerror}"
        for group in reversed(ordered):
            # After everything in it was written.
            if forms[group["id"]].get("kind") == "folder" and group["id"] not in lost:
                self._finish_folder(path_of(group["id"]), forms[group["id"]])
        return lost

    def _write(self, path: bytes, form: Mapping[str, Any], body: "Sequence[bytes]") -> None:
        folder_path, _, last = path.rpartition(b"/")
        folder = _opened(self._root, folder_path)
        try:
            match form.get("kind"):
                case "folder":
                    if path not in self._given:
                        _mkdir(last, 0o700, dir_fd=folder)
                case "link":
                    _symlink(unquote_to_bytes(form["target"]), last, dir_fd=folder)
                case "file":
                    made = _open(last, _WRITE, 0o600, dir_fd=folder)
                    try:
                        for part in body:
                            _all_written(made, part)
                        _fchmod(made, int(form["mode"]) & 0o777)
                        _utime(made, ns=(int(form["time"]), int(form["time"])))
                    finally:
                        _close(made)
                case _:
                    raise NotKept("it is no file")
        finally:
            _close(folder)

    def _finish_folder(self, path: bytes, form: Mapping[str, Any]) -> None:
        try:
            folder = _opened(self._root, path)
        except OSError:
            return
        try:
            _fchmod(folder, int(form["mode"]) & 0o777)
            _utime(folder, ns=(int(form["time"]), int(form["time"])))
        except OSError:
            return
        finally:
            _close(folder)

    def differing(self, groups: "Sequence[dict[str, Any]]") -> list[str]:
        """Return the names of saved files whose content is different here."""
        own = Files(self._root)
        own._given = self._given
        here = {group["id"]: group for group in own.look({}).groups}
        saved = {group["id"]: group for group in groups if not group["lost"]}
        return sorted(
            name
            for name in saved.keys() | {name for name, group in here.items() if not group["lost"]}
            if name not in saved or name not in here or not _alike(saved[name], here[name])
        )


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two files are the same but for their times."""
    mine, theirs = (loads(group["form"])["file"] for group in (one, other))
    return one["chunks"] == other["chunks"] and {**mine, "time": 0} == {**theirs, "time": 0}


def is_file(group: Mapping[str, Any]) -> bool:
    """Return whether a saved group is a file."""
    return group["id"].startswith(PREFIX)


def _identity(about: os.stat_result) -> Identity:
    return about.st_mode, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _as_group(name: str, form: Mapping[str, Any], chunks: "list[str]", why: str = "") -> dict[str, Any]:
    return {
        "id": name,
        "names": [name],
        "chunks": chunks,
        "lost": {name: why} if why else {},
        "about": [],
        "form": dumps({"touches": [], "needs": [], "parts": [], "texts": [], "file": form}, separators=(",", ":")),
    }


def _content(name: bytes, folder: int, about: os.stat_result, room: int) -> bytes:
    """Read a file. Raises NotKept when it is larger than `room`, or no longer the one that was described; OSError."""
    if about.st_size > room:
        raise NotKept(f"a turn may save {MOST_BYTES >> 20} MB of files, and this one has {about.st_size >> 20:,} MB")
    made = _open(name, _READ, dir_fd=folder)
    try:
        if not stat.S_ISREG(_fstat(made).st_mode):
            raise NotKept("it is no file any more")
        parts: list[bytes] = []
        size = 0
        while part := _read(made, _PART):
            size += len(part)
            if size > room:
                raise NotKept("it grows while it is read")
            parts.append(part)
    finally:
        _close(made)
    return b"".join(parts)


def _all_written(file: int, part: bytes) -> None:
    view = memoryview(part)
    while view:
        view = view[_write(file, view) :]


def _opened(root: str, place: bytes) -> int:
    """Open a folder below the root, one step after the other, none of which may be a link. Raises OSError."""
    folder = _open(root, _FOLDER)
    for step in place.split(b"/") if place else ():
        try:
            deeper = _open(step, _FOLDER, dir_fd=folder)
        finally:
            _close(folder)
        folder = deeper
    return folder


def name_of(path: bytes) -> str:
    """Return the name of a file's group: its path, with bytes that are no printable text as in a URL."""
    return PREFIX + _escaped(path)


def path_of(name: str) -> bytes:
    """Return the path that a group's name means. Raises NotKept for one that is not plainly below the folder."""
    path = unquote_to_bytes(name[len(PREFIX) :])
    steps = path.split(b"/")
    if not path or b"\0" in path or any(step in (b"", b".", b"..") for step in steps) or len(steps) > DEEPEST + 1:
        raise NotKept("its path is not one below the folder")
    return path


def _escaped(path: bytes) -> str:
    try:
        return "".join(one if one.isprintable() and one != "%" else _quoted(one) for one in path.decode())
    except UnicodeDecodeError:
        return "".join(chr(one) if 32 < one < 127 and one != 37 else f"%{one:02X}" for one in path)


def _quoted(one: str) -> str:
    return "".join(f"%{byte:02X}" for byte in one.encode())
