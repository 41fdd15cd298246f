"""How an attempt is written down, tried and told of.

What these modules hold is run in cells of confined kernels, and in plain processes that are not confined, where the
harmless attempts must succeed (`CONTROLS`). So they need nothing but the standard library and each other.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

Place = dict[str, Any]
"""What lies outside and is reached for (`tests/sandbox/outside.py`)."""
Attempt = Callable[[Place], object]
"""Returns when it could do what it is about; raises OSError or MemoryError when it was refused."""
Control = Literal["anyone", "root", ""]
"""Who can do it outside of a sandbox, and harmlessly; "": nobody is to try."""

ATTEMPTS: "dict[str, Attempt]" = {}
CONTROLS: "dict[str, Control]" = {}

_MACHINE = ("x86_64", "aarch64").index(os.uname().machine)
_NUMBERS = {
    **{"mount": (165, 40), "setns": (308, 268), "ptrace": (101, 117), "bpf": (321, 280), "clone": (56, 220)},
    **{"keyctl": (250, 219), "add_key": (248, 217), "perf_event_open": (298, 241), "clone3": (435, 435)},
    **{"name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "process_vm_readv": (310, 270)},
    **{"io_uring_setup": (425, 425), "pidfd_send_signal": (424, 424), "fsopen": (430, 430), "open_tree": (428, 428)},
}
libc = ctypes.CDLL(None, use_errno=True)


def attempt(control: Control = "anyone") -> Callable[[Attempt], Attempt]:
    """Write a function down; its docstring is the attempt's name."""

    def write_down(function: Attempt) -> Attempt:
        name = (function.__doc__ or "").rstrip(".")
        assert name not in ATTEMPTS, name
        ATTEMPTS[name], CONTROLS[name] = function, control
        return function

    return write_down


def tried(name: str, place: Place) -> str:
    """How it went: "could", "refused: …", or "broken: …" where the attempt itself is wrong."""
    try:
        ATTEMPTS[name](place)
    except (OSError, MemoryError) as error:
        return f"refused: {type(error).__name__}: {error}"
    except BaseException as error:
        return f"broken: {type(error).__name__}: {error}"
    return "could"


def system_call(name: str, *arguments: Any) -> int:
    """A system call by its name. Raises OSError."""
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return _checked(name, libc.syscall(ctypes.c_long(_NUMBERS[name][_MACHINE]), *wide))


def library_call(name: str, *arguments: Any) -> int:
    """A function of the C library by its name. Raises OSError."""
    return _checked(name, getattr(libc, name)(*arguments))


def _checked(name: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def own_input() -> int:
    """The descriptor of the input that this process was given. Raises OSError where there is none."""
    for number in range(3, 1024):
        with suppress(OSError):
            if os.pread(number, 5, 0) == b"INPUT":
                return number
    raise FileNotFoundError("no descriptor of the input")


def run_program(code: str) -> None:
    """Run Python in a process of its own. Raises PermissionError where that is refused, or what it tries is."""
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, check=False)
    if done.returncode:
        last = (done.stderr.decode().strip().splitlines() or ["without a word"])[-1]
        if not last.startswith(("PermissionError", "FileNotFoundError", "OSError", "ConnectionRefusedError")):
            raise RuntimeError(f"the program did not run: {last}")
        raise PermissionError(last)
