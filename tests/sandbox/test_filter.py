"""The filter of system calls, run as the Linux kernel runs it, on each architecture that is known."""

import errno
import os
import re
import struct
from pathlib import Path

import pytest

from durable_rlm.kernel.inside.sandbox import call_numbers, seccomp

ARCHITECTURES = sorted(call_numbers.AUDIT)
PROCESS = 4321
_HEADERS = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm/unistd_64.h")),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"), Path("/usr/include/asm/unistd_64.h")),
}
_DEFINED = re.compile(r"#define __NR(?:3264)?_(\w+) (\d+)")
ALLOWED = 0


def verdict(machine: str, name: str, *arguments: int, own_processes: bool = True, architecture: str = "") -> int | None:
    """Return the error of a call, 0 when it is allowed, None when it ends the process."""
    number = call_numbers.numbers(machine)[name]
    return judged(machine, number, *arguments, own_processes=own_processes, architecture=architecture)


def judged(
    machine: str, number: int, *arguments: int, own_processes: bool = True, architecture: str = ""
) -> int | None:
    """Run the filter for a call by its number."""
    program = seccomp.filter_program(machine, PROCESS, own_processes=own_processes)
    six = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<iI7Q", number, call_numbers.AUDIT[architecture or machine], 0, *six)
    steps = [struct.unpack("<HBBI", step) for step in program]
    at = held = 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        match code:
            case seccomp._LOAD:
                [held] = struct.unpack_from("<I", data, value)
            case seccomp._AND:
                held &= value
            case seccomp._JUMP_EQUAL:
                at += if_true if held == value else if_false
            case seccomp._JUMP_GREATER_OR_EQUAL:
                at += if_true if held >= value else if_false
            case seccomp._JUMP_SET:
                at += if_true if held & value else if_false
            case seccomp._RETURN if value == seccomp._ALLOW:
                return ALLOWED
            case seccomp._RETURN if value == seccomp._KILL:
                return None
            case seccomp._RETURN:
                return value & 0xFFFF
            case _:
                pytest.fail(f"no step of a filter: {code:#x}")


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_numbers_are_those_of_linux(machine: str) -> None:
    header = next((path for path in _HEADERS[machine] if path.exists()), None)
    if header is None:
        pytest.skip("Linux's headers are not installed (linux-libc-dev)")
    defined = {name: int(number) for name, number in _DEFINED.findall(header.read_text())}
    known = call_numbers.numbers(machine)
    # Headers are older than the newest calls.
    shared = known.keys() & defined.keys()
    assert {name: known[name] for name in shared} == {name: defined[name] for name in shared}
    assert len(shared) > 100
    missing = call_numbers.numbers("x86_64").keys() | call_numbers.numbers("aarch64").keys()
    assert not (missing - known.keys()) & defined.keys(), "calls that this architecture has after all"


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("name", sorted(call_numbers.NEVER))
def test_calls_that_no_kernel_needs_are_denied(machine: str, name: str) -> None:
    if name not in call_numbers.numbers(machine):
        return
    assert verdict(machine, name) == verdict(machine, name, own_processes=False) == errno.EPERM


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("name", sorted(call_numbers.BESIDE_THE_USER))
def test_calls_that_reach_the_user_are_denied_beside_the_user_alone(machine: str, name: str) -> None:
    if name not in call_numbers.numbers(machine):
        return
    assert (verdict(machine, name), verdict(machine, name, own_processes=False)) == (ALLOWED, errno.EPERM)


_NEW_USER, _THREAD, _INTERNET, _UNIX, _STREAM, _DATAGRAM, _CLOEXEC = 0x1000_0000, 0x0001_0000, 2, 1, 1, 2, 0o2000000


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize(
    ("call", "own", "beside"),
    [
        (("clone", _THREAD), ALLOWED, ALLOWED),
        (("clone", 17), ALLOWED, errno.EPERM),
        (("clone", _NEW_USER | 17), errno.EPERM, errno.EPERM),
        (("clone3",), errno.ENOSYS, errno.ENOSYS),
        (("socket", _UNIX, _STREAM | _CLOEXEC), ALLOWED, ALLOWED),
        (("socket", _UNIX, _DATAGRAM), errno.EPROTONOSUPPORT, errno.EPROTONOSUPPORT),
        (("socketpair", _INTERNET, _STREAM), errno.EAFNOSUPPORT, errno.EAFNOSUPPORT),
        (("ioctl", 0, 0x5412), errno.EPERM, errno.EPERM),
        (("ioctl", 0, 0x5413), ALLOWED, ALLOWED),
        (("ioctl", 0, 0x6611), ALLOWED, errno.ENOTTY),
        (("fcntl", 0, 8, 1), ALLOWED, errno.EPERM),
        (("fcntl", 0, 3), ALLOWED, ALLOWED),
        (("kill", PROCESS, 9), ALLOWED, ALLOWED),
        (("kill", PROCESS + 1, 9), ALLOWED, errno.EPERM),
        (("prlimit64", 0, 7), ALLOWED, ALLOWED),
        (("prlimit64", PROCESS + 1, 7), ALLOWED, errno.EPERM),
        (("sched_setscheduler", 0, 0), ALLOWED, ALLOWED),
        (("sched_setscheduler", 0, 1), ALLOWED, errno.EPERM),
        (("rt_sigaction", 2, 1 << 40), ALLOWED, ALLOWED),
        (("rt_sigaction", 17, 0, 1 << 40), ALLOWED, ALLOWED),
        (("rt_sigaction", 17, 1), errno.EPERM, errno.EPERM),
        (("rt_sigaction", 17, 1 << 40), errno.EPERM, errno.EPERM),
    ],
)
def test_calls_are_judged_by_their_arguments(machine: str, call: tuple[str, int], own: int, beside: int) -> None:
    name, *arguments = call
    assert (verdict(machine, name, *arguments), verdict(machine, name, *arguments, own_processes=False)) == (
        own,
        beside,
    )


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_a_program_that_names_its_sockets_can_still_connect_to_none(machine: str) -> None:
    usual = seccomp.filter_program(machine, PROCESS, own_processes=True)
    naming = seccomp.filter_program(machine, PROCESS, own_processes=True, binds=True)
    number = call_numbers.numbers(machine)
    bind = seccomp._step(seccomp._JUMP_EQUAL, number["bind"], 0, 1)
    connect = seccomp._step(seccomp._JUMP_EQUAL, number["connect"], 0, 1)
    at = usual.index(bind)
    assert naming == [*usual[:at], *usual[at + 2 :]], "two steps less: the comparison and the refusal"
    assert connect in naming


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_calls_of_another_architecture_end_the_process(machine: str) -> None:
    [other] = set(ARCHITECTURES) - {machine}
    assert verdict(machine, "clone", architecture=other) is None


def test_calls_of_the_third_table_of_x86_are_denied() -> None:
    assert judged("x86_64", 0x4000_0000 | 39) == errno.EPERM


def test_an_architecture_without_a_table_is_refused_with_words() -> None:
    with pytest.raises(OSError, match="the system calls of riscv64 are not known"):
        seccomp.filter_program("riscv64", PROCESS, own_processes=True)
    assert os.uname().machine in ARCHITECTURES, "the suite has no sandbox to test here"
