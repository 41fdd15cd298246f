"""The registry of attempts, and functions that make them and report their outcomes.

These modules are run in cells of confined kernels, and in unconfined processes, in which the harmless attempts must
succeed (`CONTROLS`). So they import only the standard library and each other.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

Place = dict[str, Any]
"""The names and addresses of targets outside the sandbox (`tests/sandbox/outside.py`)."""
Attempt = Callable[[Place], object]
"""A function that returns if the attempt succeeded, and raises OSError or MemoryError if it was refused."""
Control = Literal["anyone", "root", ""]
"""The user for whom the attempt succeeds unconfined and harmlessly; "": it must not be made unconfined."""

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
    """Register a function; its docstring is the attempt's name."""

    def register(function: Attempt) -> Attempt:
        name = (function.__doc__ or "").rstrip(".")
        assert name not in ATTEMPTS, name
        ATTEMPTS[name], CONTROLS[name] = function, control
        return function

    return register


def tried(name: str, place: Place) -> str:
    """Make an attempt. Return "could", "refused: …", or "broken: …" if the attempt itself is wrong."""
    try:
        ATTEMPTS[name](place)
    except (OSError, MemoryError) as error:
        return f"refused: {type(error).__name__}: {error}"
    except BaseException as error:
        return f"broken: {type(error).__name__}: {error}"
    return "could"


def system_call(name: str, *arguments: Any) -> int:
    """Make a system call by its name. Raises OSError."""
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return _checked(name, libc.syscall(ctypes.c_long(_NUMBERS[name][_MACHINE]), *wide))


def library_call(name: str, *arguments: Any) -> int:
    """Call a function of the C library by its name. Raises OSError."""
    return _checked(name, getattr(libc, name)(*arguments))


def _checked(name: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def own_input() -> int:
    """Return the descriptor of this process's input. Raises OSError if there is none."""
    for number in range(3, 1024):
        with suppress(OSError):
            if os.pread(number, 5, 0) == b"INPUT":
                return number
    raise FileNotFoundError("no descriptor of the input")


def run_program(code: str) -> None:
    """Run Python code in a process of its own. Raises PermissionError if the start or the code's attempt is refused."""
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, check=False)
    if done.returncode:
        last = (done.stderr.decode().strip().splitlines() or ["no error message"])[-1]
        if not last.startswith(("PermissionError", "FileNotFoundError", "OSError", "ConnectionRefusedError")):
            raise RuntimeError(f"the program did not run: {last}")
        raise PermissionError(last)
