"""Attempts to signal, trace, read and slow down other processes."""

import ctypes
import fcntl
import os
import signal
import socket
import struct
from contextlib import suppress
from pathlib import Path

from tests.sandbox.hostile.common import Place, attempt, libc, library_call, system_call


@attempt()
def kill(place: Place) -> None:
    """signal a process."""
    os.kill(place["process"], 0)


@attempt()
def kill_thread(place: Place) -> None:
    """signal a thread of a process."""
    library_call("tgkill", place["process"], place["process"], 0)


@attempt("")
def kill_for_good(place: Place) -> None:
    """kill a process."""
    os.kill(place["process"], 9)


@attempt("")
def kill_group(place: Place) -> None:
    """kill a group of processes."""
    os.killpg(place["process"], 9)


@attempt()
def kill_by_descriptor(place: Place) -> None:
    """signal a process by its descriptor."""
    descriptor = os.pidfd_open(place["process"])
    system_call("pidfd_send_signal", descriptor, 0, 0, 0)


@attempt()
def signal_by_owner(place: Place) -> None:
    """signal a process by making it the owner of a socket."""
    one, other = socket.socketpair()
    with one, other:
        fcntl.fcntl(one, fcntl.F_SETSIG, 28)  # SIGWINCH, which is harmless
        fcntl.fcntl(one, fcntl.F_SETOWN, place["process"])
        fcntl.fcntl(one, fcntl.F_SETFL, fcntl.fcntl(one, fcntl.F_GETFL) | os.O_ASYNC)
        other.send(b"x")
        if not place["control"]:
            # The sender cannot detect whether the signal arrived, so the permission to request it is an escape.
            fcntl.fcntl(one, fcntl.F_SETSIG, 9)
            other.send(b"x")


@attempt("root")
def trace(place: Place) -> None:
    """trace a process."""
    seize = 0x4206  # does not stop it, and ends with this process
    system_call("ptrace", seize, place["process"], 0, 0)


@attempt()
def trace_itself(place: Place) -> None:
    """let a child be traced."""
    child = os.fork()
    if not child:
        os._exit(1 if libc.ptrace(0, 0, 0, 0) < 0 else 0)
    if os.waitpid(child, 0)[1]:
        raise PermissionError("ptrace")


@attempt("root")
def read_memory(place: Place) -> None:
    """read the memory of a process."""
    maps = Path(f"/proc/{place['process']}/maps").read_text()
    start = int(maps.split("-", 1)[0], 16)
    with open(f"/proc/{place['process']}/mem", "rb", buffering=0) as memory:
        memory.seek(start)
        memory.read(16)


@attempt("root")
def read_memory_by_call(place: Place) -> None:
    """read the memory of a process by a system call."""
    buffer = ctypes.create_string_buffer(8)
    local = struct.pack("PN", ctypes.addressof(buffer), 8)
    start = ctypes.addressof(ctypes.create_string_buffer(8))
    with suppress(OSError):
        start = int(Path(f"/proc/{place['process']}/maps").read_text().split("-", 1)[0], 16)
    system_call("process_vm_readv", place["process"], local, 1, struct.pack("PN", start, 8), 1, 0)


@attempt()
def forget_the_ended(place: Place) -> None:
    """have the CPU time of ended processes counted nowhere."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


@attempt()
def forget_the_ended_by_flag(place: Place) -> None:
    """have the CPU time of ended processes counted nowhere, by a flag."""
    no_wait = 2
    # struct sigaction: the handler, the mask, the flags
    library_call("sigaction", int(signal.SIGCHLD), struct.pack("P128siP", 0, b"", no_wait, 0), None)


@attempt()
def slow_down(place: Place) -> None:
    """make a process slower."""
    lower = os.getpriority(os.PRIO_PROCESS, place["process"]) + 1
    os.setpriority(os.PRIO_PROCESS, place["process"], lower)


@attempt()
def pin(place: Place) -> None:
    """bind a process to some processors."""
    os.sched_setaffinity(place["process"], os.sched_getaffinity(0))
