"""The reader process's program: it reads one file after another for its host, until the host closes the socket.

A task is JSON, `{"name", "size", "kind", "reader", "seconds", "encoding", "passwords", "soffice"}`, with three
descriptors: the file, and the files for its documents' text and facts. The answer is `{"done": true}` or
`{"unusable": reason, "hint"}`; `"last": true` beside it says that this process reads no more. A line end follows each,
because some systems do not keep messages apart.
"""

import contextlib
import errno
import gc
import json
import math
import os
import resource
import socket
from pathlib import Path
from typing import Any, BinaryIO

from .draft import ReadOptions, Unusable
from .formats import Format
from .reading_task import Task, extract

MEMORY = 1 << 30
"""Bytes of address space of the reader process."""
_MEMORY_OF_PROGRAMS = 4 << 30
"""The same of a program that it starts."""
LARGEST_OUTPUT = 1280 << 20
"""Bytes of each file that it writes."""
_MAX_MESSAGE = 1 << 20
_DESCRIPTORS = 3
_TOO_MUCH_MEMORY = f"not readable: its reader needed more than {MEMORY >> 30} GB of memory"


def serve(control: socket.socket) -> None:
    """Read files until the host closes its end of the socket."""
    _limit(resource.RLIMIT_AS, MEMORY, _MEMORY_OF_PROGRAMS)
    while task := _receive(control):
        said, descriptors = task
        try:
            with contextlib.ExitStack() as held:
                opened = [
                    held.enter_context(os.fdopen(one, mode))
                    for one, mode in zip(descriptors, ("rb", "wb", "wb"), strict=True)
                ]
                answer = _read(said, *opened)
        except OSError as error:
            answer = _unwritten(error)
        last = answer.pop("last", False) or _worn()
        control.sendall(json.dumps({**answer, "last": last}).encode() + b"\n")
        if last:
            return


def _receive(control: socket.socket) -> "tuple[dict[str, Any], list[int]] | None":
    said, descriptors, _, _ = socket.recv_fds(control, _MAX_MESSAGE, _DESCRIPTORS)
    while said and not said.endswith(b"\n"):
        said += (more := control.recv(_MAX_MESSAGE))
        if not more:
            return None
    return (json.loads(said), descriptors) if said else None


def _read(task: dict[str, Any], file: BinaryIO, text: BinaryIO, facts: BinaryIO) -> dict[str, Any]:
    """Read one file, and return the answer. Raises OSError when nothing can be written."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + task["seconds"]))
    options = ReadOptions(task["encoding"], tuple(task["passwords"]))
    form = Format(task["kind"], reader=task["reader"])
    try:
        extract(Task(options, task["soffice"]), file, task["size"], task["name"], form, text, facts)
        text.flush()
        facts.flush()
    except Unusable as error:
        return {"unusable": error.reason, "hint": error.hint}
    except MemoryError:
        # What is left of its memory is in pieces.
        return {"unusable": _TOO_MUCH_MEMORY, "hint": "", "last": True}
    return {"done": True}


def _unwritten(error: OSError) -> dict[str, Any]:
    """Return the answer when what was read cannot be written: too much of it, or no room on the disk."""
    if error.errno == errno.EFBIG:
        return {"unusable": f"too large (over {LARGEST_OUTPUT >> 20} MiB when read)", "hint": "", "last": True}
    return {"unusable": f"not readable now ({error.strerror})", "hint": "", "last": True}


def _worn() -> bool:
    """Return whether a new process should read the next file: this one holds much memory, or has left a process."""
    gc.collect()
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return pages * resource.getpagesize() > MEMORY // 2
    return False


def _limit(what: int, soft: int, hard: int = resource.RLIM_INFINITY) -> None:
    most = resource.getrlimit(what)[1]
    if most != resource.RLIM_INFINITY:
        hard = most if hard == resource.RLIM_INFINITY else min(hard, most)
        soft = min(soft, most)
    # macOS refuses a limit of memory; a reader process without it is better than no reader process.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(what, (soft, hard))
