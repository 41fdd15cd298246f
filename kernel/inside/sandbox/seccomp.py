"""seccomp: restricts the system calls that this process can make.

A filter is a small program (classic BPF) over the number and the plain arguments of a call. A denied call fails with
EPERM, as if a privilege were missing, so that libraries use their fallbacks.
https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import errno
import os
import struct

from .call_numbers import AUDIT, BESIDE_THE_USER, NEVER, numbers
from .syscalls import checked, libc, no_new_privileges

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _JUMP_EQUAL, _JUMP_GREATER_OR_EQUAL, _JUMP_SET, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _FAIL, _KILL = 0x7FFF_0000, 0x0005_0000, 0x8000_0000
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND, _SECOND_HIGH = 0, 4, 16, 24, 28
_X32 = 0x4000_0000

_NEW_NAMESPACES = 0x7E02_0080
"""The flags of clone that create namespaces, including the time namespace."""
_CLONE_THREAD = 0x0001_0000
_AF_UNIX, _SOCK_STREAM, _SOCK_SEQPACKET, _SOCK_TYPE = 1, 1, 5, 0xF
_SCHED_OTHER = 0
_SIGCHLD = 17
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_PLAIN_REQUESTS = (0x5401, 0x802C_542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""Requests of ioctl: terminal test and size, readable bytes, blocking, and inheritance by a program."""
_OWNERS_AND_LEASES = (8, 10, 15, 1024, 1026)
"""Commands of fcntl: the process to signal, the signal, and notices of what others do with a file."""


def restrict(*, own_processes: bool, binds: bool = False) -> None:
    """Deny the system calls that a computation does not need. Raises OSError.

    `own_processes`: True when this process has its own process table and files. It can then start programs, send
    signals and change the modes of files; otherwise these are denied too. `binds`: it may give sockets an address.
    """
    program = b"".join(filter_program(os.uname().machine, os.getpid(), own_processes=own_processes, binds=binds))
    buffer = ctypes.create_string_buffer(program, len(program))
    filtering = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    no_new_privileges()
    checked(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, filtering, 0, 0), "seccomp")


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _fail(number: int = errno.EPERM) -> bytes:
    return _step(_RETURN, _FAIL | number)


def _denied(*, own_processes: bool, binds: bool) -> "list[str]":
    return [name for name in (*NEVER, *(() if own_processes else BESIDE_THE_USER)) if not (binds and name == "bind")]


def filter_program(machine: str, process: int, *, own_processes: bool, binds: bool = False) -> "list[bytes]":
    """Return the filter's steps for `process` on this architecture. Raises OSError for an unknown one."""
    known = numbers(machine)
    program = [_step(_LOAD, _ARCHITECTURE), _step(_JUMP_EQUAL, AUDIT[machine], 1), _step(_RETURN, _KILL)]
    program.append(_step(_LOAD, _NUMBER))
    if machine == "x86_64":
        program += [_step(_JUMP_GREATER_OR_EQUAL, _X32, 0, 1), _fail()]

    def deny(name: str, number: int = errno.EPERM) -> None:
        if (call := known.get(name)) is not None:
            program.extend([_step(_JUMP_EQUAL, call, 0, 1), _fail(number)])

    def when(name: str, tests: "list[bytes]") -> None:
        """Add tests for a call. They end in a return, or fall through with the number to be loaded again."""
        if (call := known.get(name)) is not None:
            tests = [*tests, _step(_LOAD, _NUMBER)]
            program.extend([_step(_JUMP_EQUAL, call, 0, len(tests)), *tests])

    for name in _denied(own_processes=own_processes, binds=binds):
        deny(name)
    # Its flags are in memory, which a filter cannot read; glibc then uses clone.
    deny("clone3", errno.ENOSYS)
    when("clone", [_step(_LOAD, _FIRST), _step(_JUMP_SET, _NEW_NAMESPACES, 0, 1), _fail()])
    for name in ("socket", "socketpair"):
        when(name, [_step(_LOAD, _FIRST), _step(_JUMP_EQUAL, _AF_UNIX, 1), _fail(errno.EAFNOSUPPORT)])
        # Datagrams can be sent to any address without connecting, and a raw Unix socket sends datagrams.
        kinds = [_step(_JUMP_EQUAL, _SOCK_STREAM, 2), _step(_JUMP_EQUAL, _SOCK_SEQPACKET, 1)]
        when(name, [_step(_LOAD, _SECOND), _step(_AND, _SOCK_TYPE), *kinds, _fail(errno.EPROTONOSUPPORT)])
    for request in (_TIOCSTI, _TIOCLINUX):
        when("ioctl", [_step(_LOAD, _SECOND), _step(_JUMP_EQUAL, request, 0, 1), _fail()])
    # Were it ignored, the CPU time of processes that end would be counted nowhere (`kernel/host/cpu_time.py`). Its
    # action may be asked for: then the second argument is a null pointer.
    asking = [_step(_LOAD, _SECOND), _step(_JUMP_EQUAL, 0, 0, 2), _step(_LOAD, _SECOND_HIGH), _step(_JUMP_EQUAL, 0, 1)]
    when("rt_sigaction", [_step(_LOAD, _FIRST), _step(_JUMP_EQUAL, _SIGCHLD, 0, 5), *asking, _fail()])
    if not own_processes:
        when("clone", [_step(_LOAD, _FIRST), _step(_JUMP_SET, _CLONE_THREAD, 1), _fail()])
        for name in ("kill", "tgkill"):
            when(name, [_step(_LOAD, _FIRST), _step(_JUMP_EQUAL, process, 1), _fail()])
        # On a file that it was given it could change more than the text.
        plain = [_step(_JUMP_EQUAL, one, len(_PLAIN_REQUESTS) - at) for at, one in enumerate(_PLAIN_REQUESTS)]
        when("ioctl", [_step(_LOAD, _SECOND), *plain, _fail(errno.ENOTTY)])
        for command in _OWNERS_AND_LEASES:
            when("fcntl", [_step(_LOAD, _SECOND), _step(_JUMP_EQUAL, command, 0, 1), _fail()])
        # libzmq sets its threads to the ordinary policy that they already have, and aborts when that is denied.
        when("sched_setscheduler", [_step(_LOAD, _SECOND), _step(_JUMP_EQUAL, _SCHED_OTHER, 1), _fail()])
        own = [_step(_JUMP_EQUAL, 0, 2), _step(_JUMP_EQUAL, process, 1), _fail()]
        when("prlimit64", [_step(_LOAD, _FIRST), *own])
    program.append(_step(_RETURN, _ALLOW))
    return program
