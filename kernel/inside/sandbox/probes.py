"""Probes that test a tier: they try from inside what hostile code would try, and must fail.

Each probe is a function that does something forbidden and returns normally when that *succeeds*. A probe that could
not run at all would prove nothing, so `_allowed` does what must succeed, by the same means.
"""

import ctypes
import errno
import fcntl
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..protocol import SCRATCH
from . import limits, syscalls
from .confine import Confinement

_PTRACE_ATTACH, _PR_GET_SECCOMP, _FILTERED = 16, 21, 2
_EXPECTED = (OSError, ValueError)
_NO_NUMBER, _STAT, _NO_WAIT = 0x7FFF_FFF7, 2, 0o4000


@dataclass(frozen=True)
class Canary:
    """Objects outside that the probes try to reach: a process that reaches one is not confined."""

    file: str
    """A file that this user may read and write."""
    socket: str
    """The path of a listening Unix socket."""
    process: int
    """The id of a process of this user, as seen from outside."""


def holes(confinement: Confinement, canary: Canary) -> "list[str]":
    """Return what this confined process could do although it must not, in words. An empty list: the tier holds."""
    found = [name for name, probe in forbidden(confinement, canary) if _succeeds(probe)]
    found += [f"not: {name}" for name, probe in _allowed(confinement) if not _succeeds(probe)]
    return found


def _succeeds(probe: Callable[[], object]) -> bool:
    try:
        probe()
    except _EXPECTED:
        return False
    return True


def forbidden(confinement: Confinement, canary: Canary) -> "Iterator[tuple[str, Callable[[], object]]]":
    """Yield what must fail in a kernel that is confined so, each with its name."""
    yield from _reaching_the_user(canary)
    yield from _gaining_power(canary)
    yield from _sharing_by_numbers()
    yield "start processes and threads without a limit", lambda: _start_without_limit(confinement)
    yield "have ended processes forgotten", _forget_ended_processes
    if not confinement.own_view:
        yield "start a process", lambda: _end_at_once(os.fork())
        yield "start a program", lambda: _reach("execve", b"/nowhere/to/be/found", 0, 0)
        yield "make memory that others may open", lambda: _make_and_remove(f"/dev/shm/probe-{os.getpid()}")


def _reaching_the_user(canary: Canary) -> "Iterator[tuple[str, Callable[[], object]]]":
    folder = os.path.dirname(canary.file)
    yield "read a file of the user's", lambda: Path(canary.file).read_bytes()
    yield "write to a file of the user's", lambda: open(canary.file, "ab").close()
    yield "truncate a file of the user's", lambda: os.truncate(canary.file, 1)
    yield "change a file of the user's", lambda: os.chmod(canary.file, 0o600)
    yield "list a folder of the user's", lambda: os.listdir(folder)
    yield "make a file in a folder of the user's", lambda: open(f"{folder}/made", "xb").close()
    yield "write to the root folder", lambda: open("/made", "xb").close()
    yield "read who may log in", lambda: Path("/etc/shadow").read_bytes()
    yield "have an IPv4 socket", lambda: socket.socket(socket.AF_INET).close()
    yield "have an IPv6 socket", lambda: socket.socket(socket.AF_INET6).close()
    yield "have a datagram socket", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).close()
    yield "have a raw socket", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_RAW).close()
    yield "connect to a socket of the user's", lambda: _connect(canary.socket)
    yield "connect to an abstract socket of the user's", lambda: _connect("\0" + canary.socket)
    yield "signal a process of the user's", lambda: os.kill(canary.process, 0)
    yield "have a process of the user's signalled", lambda: _make_owner(canary.process)
    yield "read a process of the user's", lambda: Path(f"/proc/{canary.process}/environ").read_bytes()


def _gaining_power(canary: Canary) -> "Iterator[tuple[str, Callable[[], object]]]":
    yield "trace a process", lambda: _call("ptrace", _PTRACE_ATTACH, canary.process, 0, 0)
    yield "make a user namespace", lambda: syscalls.unshare(syscalls.NEWUSER)
    yield "mount", lambda: syscalls.mount("none", "/tmp", "tmpfs", 0)
    yield "unmount", lambda: _call("umount2", b"/proc", 2)
    yield "become root", _become_root
    yield "raise its limits", _raise_limits
    yield "do without the filter of system calls", _unfiltered


def _sharing_by_numbers() -> "Iterator[tuple[str, Callable[[], object]]]":
    """Yield attempts to share memory, semaphores and messages, with numbers and names under which there are none."""
    yield "have shared memory", lambda: _reach("shmget", _NO_NUMBER, 4096, 0)
    yield "open shared memory by its number", lambda: _reach("shmat", _NO_NUMBER, 0, 0)
    yield "remove shared memory by its number", lambda: _reach("shmctl", _NO_NUMBER, _STAT, 0)
    yield "have semaphores", lambda: _reach("semget", 0, _NO_NUMBER, 0)
    yield "change a semaphore by its number", lambda: _reach("semop", _NO_NUMBER, bytes(6), 1)
    yield "wait for a semaphore by its number", lambda: _reach("semtimedop", _NO_NUMBER, bytes(6), 1, 0)
    yield "remove a semaphore by its number", lambda: _reach("semctl", _NO_NUMBER, 0, _STAT, 0)
    yield "have a queue of messages", lambda: _reach("msgget", _NO_NUMBER, 0)
    yield "send a message by the queue's number", lambda: _reach("msgsnd", _NO_NUMBER, bytes(16), 1, _NO_WAIT)
    yield "take a message by the queue's number", lambda: _reach("msgrcv", _NO_NUMBER, bytes(16), 1, 0, _NO_WAIT)
    yield "remove a queue by its number", lambda: _reach("msgctl", _NO_NUMBER, _STAT, 0)
    yield "open a queue of messages by its name", lambda: _reach("mq_open", b"probe-of-rlm", os.O_RDONLY, 0, 0)
    yield "remove a queue of messages by its name", lambda: _reach("mq_unlink", b"probe-of-rlm")


def _reach(name: str, *arguments: object) -> None:
    """Return when a call reaches Linux, which then finds what it names missing. Raises OSError when it is denied."""
    if syscalls.call(name, *arguments) < 0 and (number := ctypes.get_errno()) in (errno.EPERM, errno.ENOSYS):
        raise OSError(number, name)


def _start_without_limit(confinement: Confinement) -> None:
    most = limits.most_processes(own_users=confinement.own_view)
    # Other programs of the user's may have ended since the limit was set.
    if 0 <= resource.getrlimit(resource.RLIMIT_NPROC)[1] <= most + limits.BESIDE_OTHERS:
        raise PermissionError


def _forget_ended_processes() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _end_at_once(child: int) -> None:
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def _make_and_remove(path: str) -> None:
    open(path, "xb").close()
    os.unlink(path)


def _allowed(confinement: Confinement) -> "Iterator[tuple[str, Callable[[], object]]]":
    yield "have a pair of sockets", lambda: [one.close() for one in socket.socketpair()]
    yield "read Python's own files", lambda: Path(os.__file__).read_bytes()
    yield "write to /dev/null", lambda: open("/dev/null", "wb").close()
    if confinement.own_view:
        yield "write to its scratch folder", lambda: Path(SCRATCH, "probe").write_bytes(b"x")


def _connect(address: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        client.connect(address)


def _make_owner(process: int) -> None:
    one, other = socket.socketpair()
    with one, other:
        fcntl.fcntl(one, fcntl.F_SETOWN, process)


def _call(name: str, *arguments: object) -> None:
    syscalls.checked(getattr(syscalls.libc, name)(*arguments), name)


def _become_root() -> None:
    os.setuid(0)
    if Path("/proc/self/uid_map").read_text().split()[1:2] == ["0"] or os.getuid() != 0:
        # Root of its own namespace without capabilities has no privileges.
        raise PermissionError


def _raise_limits() -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard + 1, hard + 1))


def _unfiltered() -> None:
    if ctypes.CDLL(None).prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) == _FILTERED:
        raise PermissionError
