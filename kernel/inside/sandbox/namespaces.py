"""Namespaces: a view of the machine with almost nothing in it.

There are two layers. `enter_outer` is called once by the fork server and does what bubblewrap does: it makes a root
that has the Python environment and nothing else, with no network and no other process. `enter_own` is called by each
kernel in there: it makes a process table, a scratch folder and limits of its own, and hides the files that other
kernels may be given.
"""

import os
import signal
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..protocol import DEVICES, SCRATCH
from . import syscalls
from .syscalls import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_REC, mount

_SAME = ("/tmp", "/dev/shm")
LINKED = ("bin", "lib", "lib32", "lib64", "sbin")
"""Folders that are links into /usr on most systems."""
_PLAIN = MS_NOSUID | MS_NODEV
_BUILDING = "/tmp"


@dataclass(frozen=True)
class View:
    """The machine's files that the fork server sees, read-only and at their own paths."""

    visible: Sequence[str]
    """Files and folders that kernels see too."""
    inputs: Sequence[str]
    """Folders whose files are given to kernels one by one."""
    hidden: Sequence[str] = ()
    """Folders that kernels see empty, wherever they are."""


def enter_outer(view: View) -> None:
    """Replace this process's view of the machine with `view`. Return in a child, the first of its own process table.

    It must be called before there are threads. Raises OSError.
    """
    uid, gid = os.getuid(), os.getgid()
    apart = syscalls.NEWNS | syscalls.NEWPID | syscalls.NEWNET | syscalls.NEWIPC | syscalls.NEWUTS | syscalls.NEWCGROUP
    try:
        syscalls.unshare(apart)
    except PermissionError:
        syscalls.unshare(apart | syscalls.NEWUSER)
        syscalls.map_user(uid, gid)
    child = os.fork()
    if child:
        _stand_for(child)
    syscalls.die_with_parent()
    mount("none", "/", None, MS_PRIVATE | MS_REC)
    _build(view)
    syscalls.pivot_root(_BUILDING)
    syscalls.read_only("/")


def _stand_for(child: int) -> None:
    """Wait for the child that does the work, and exit with its status."""
    syscalls.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, status = os.waitpid(child, 0)
    os._exit(min(abs(os.waitstatus_to_exitcode(status)), 255))


def _build(view: View) -> None:
    """Build a new root at `_BUILDING`. Bound files keep their paths, so that paths are the same on both sides."""
    # From the working folder, files under the new mount would stay in reach.
    os.chdir("/")
    # Kernels may run as another user than the one that builds this root.
    os.umask(0o022)
    held = {path: os.open(path, os.O_PATH) for path in (*view.visible, *view.inputs) if os.path.lexists(path)}
    mount("tmpfs", _BUILDING, "tmpfs", _PLAIN, "mode=755,size=1m")
    for name in ("usr", *LINKED):
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{_BUILDING}/{name}")
        elif os.path.isdir(f"/{name}"):
            _bind(f"/{name}", f"{_BUILDING}/{name}")
    _bind_held(held, sorted(view.visible), _BUILDING)
    for path in view.hidden:
        if os.path.isdir(_BUILDING + path):
            mount("tmpfs", _BUILDING + path, "tmpfs", _PLAIN, "mode=755,size=1m")
    _bind_held(held, sorted(view.inputs), _BUILDING)
    os.makedirs(f"{_BUILDING}/dev/shm")
    for name in DEVICES:
        _bind(f"/dev/{name}", f"{_BUILDING}/dev/{name}", folder=False)
    for name in ("proc", "tmp", SCRATCH.strip("/")):
        os.makedirs(f"{_BUILDING}/{name}", exist_ok=True)
    mount("proc", f"{_BUILDING}/proc", "proc", _PLAIN | MS_NOEXEC)


def _bind_held(held: "dict[str, int]", paths: Sequence[str], root: str = "") -> None:
    for path in paths:
        if (descriptor := held.pop(path, None)) is not None:
            _bind(f"/proc/self/fd/{descriptor}", root + path, folder=stat.S_ISDIR(os.fstat(descriptor).st_mode))
            os.close(descriptor)


def _bind(source: str, target: str, *, folder: bool = True) -> None:
    if folder:
        os.makedirs(target, exist_ok=True)
    elif not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    mount(source, target, None, MS_BIND | MS_REC)


class OwnProcesses:
    """A forker of children that are each the first process of their own process table.

    Raises OSError where this process is not allowed to do that: it needs its capabilities.
    """

    def __init__(self) -> None:
        self._here = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def fork(self) -> int:
        """Fork as os.fork does. Raises OSError."""
        syscalls.unshare(syscalls.NEWPID)
        try:
            child = os.fork()
        except OSError:
            syscalls.setns(self._here, syscalls.NEWPID)
            raise
        if child:
            syscalls.setns(self._here, syscalls.NEWPID)
        return child


def enter_own(view: View, uid: "int | None", scratch_bytes: int, scratch_files: int) -> None:
    """Leave the mounts, process table and user that kernels share. A kernel forked by `OwnProcesses` calls this.

    `uid`: the user to become when the fork server is real root, for whom limits do not count. Raises OSError.
    """
    os.umask(0o022)
    syscalls.unshare(syscalls.NEWNS | syscalls.NEWIPC)
    mount("none", "/", None, MS_PRIVATE | MS_REC)
    mount("proc", "/proc", "proc", _PLAIN | MS_NOEXEC)
    for folder in view.inputs:
        with suppress(FileNotFoundError):
            mount("tmpfs", folder, "tmpfs", _PLAIN, "mode=000,size=0")
    # A Python environment may lie below a folder that is covered now.
    covered = [path for path in view.visible if path.startswith(tuple(f"{same}/" for same in _SAME))]
    held = {path: os.open(path, os.O_PATH) for path in covered if os.path.lexists(path)}
    options = f"mode=700,size={scratch_bytes},nr_inodes={scratch_files}"
    options += f",uid={uid},gid={uid}" if uid is not None else ""
    mount("tmpfs", SCRATCH, "tmpfs", _PLAIN, options)
    for same in _SAME:
        mount(SCRATCH, same, None, MS_BIND)
    _bind_held(held, covered)
    if uid is not None:
        syscalls.become(uid)
    user, group = os.getuid(), os.getgid()
    # It gets its own user namespace, so that its processes are not counted together with its siblings'.
    syscalls.unshare(syscalls.NEWUSER)
    syscalls.map_user(user, group)
