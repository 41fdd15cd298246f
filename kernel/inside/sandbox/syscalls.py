"""System calls for which Python has no function."""

import ctypes
import os
import struct
from pathlib import Path

from .call_numbers import numbers

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000
NEWUSER, NEWPID, NEWNET = 0x1000_0000, 0x2000_0000, 0x4000_0000

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _CLEAR_ALL = 38, 47, 4
_CAPABILITY_VERSION_3 = 0x2008_0522

libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> int:
    """Make a system call by its name, without looking at its result. Raises OSError on an unknown architecture."""
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return libc.syscall(ctypes.c_long(numbers(os.uname().machine)[name]), *wide)


def checked(result: int, what: str) -> int:
    """Return `result`. Raises OSError, naming `what` failed, when it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Move this process into new namespaces of these kinds. Raises OSError."""
    checked(libc.unshare(flags), f"unshare({flags:#x})")


def setns(descriptor: int, kind: int) -> None:
    """Enter a namespace. Raises OSError."""
    checked(libc.setns(descriptor, kind), "setns")


def map_user(uid: int, gid: int) -> None:
    """Map one user and group in the user namespace that this process has just made. Raises OSError."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        Path("/proc/self", name).write_text(text)


def mount(source: str, target: str, kind: "str | None", flags: int, options: str = "") -> None:
    """Mount `source` at `target`. Raises OSError."""
    encoded = kind.encode() if kind else None
    result = libc.mount(source.encode(), os.fsencode(target), encoded, ctypes.c_ulong(flags), options.encode() or None)
    checked(result, f"mount {target}")


def read_only(target: str) -> None:
    """Make a mount and all below it read-only, without set-uid programs and devices.

    Raises OSError, always before Linux 5.12.
    """
    attributes = struct.pack("<QQQQ", _ATTR_RDONLY | _ATTR_NOSUID, 0, 0, 0)
    path = ctypes.c_char_p(os.fsencode(target))
    result = call("mount_setattr", _AT_FDCWD, path, _AT_RECURSIVE, attributes, len(attributes))
    checked(result, f"read-only {target}")


def pivot_root(root: str) -> None:
    """Make `root`, a mount, the root folder, and unmount the old one. Raises OSError."""
    os.chdir(root)
    here = ctypes.c_char_p(b".")
    checked(call("pivot_root", here, here), "pivot_root")
    checked(libc.umount2(here, _MNT_DETACH), "umount")
    os.chdir("/")


def die_with_parent() -> None:
    """Have this process killed (SIGKILL) when the thread that made it ends, even by SIGKILL."""
    libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)


def become(uid: int) -> None:
    """Become another user for good, in no group but its own. Raises OSError."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # A process that has changed its user owns nothing under /proc/self, where the new namespace is described.
    libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def no_new_privileges() -> None:
    """Prevent programs that this process starts from gaining privileges by set-uid. Raises OSError."""
    checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def drop_capabilities() -> None:
    """Drop all capabilities for good. Raises OSError."""
    for capability in range(64):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    header = struct.pack("<Ii", _CAPABILITY_VERSION_3, 0)
    checked(libc.capset(ctypes.create_string_buffer(header), ctypes.create_string_buffer(24)), "capset")
