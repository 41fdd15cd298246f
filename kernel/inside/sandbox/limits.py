"""Limits on the resources of a process."""

import contextlib
import os
import resource
from pathlib import Path

from ..protocol import PROCESSES

_OPEN_FILES = 1024
_LOCKED_MEMORY = 1 << 20
_KILLED_FIRST = 1000
BESIDE_OTHERS = 4096
"""Threads that a kernel may start whose processes are counted together with the user's others."""


def limit(*, file_bytes: int, own_users: bool) -> None:
    """Limit files, processes and other resources for good; `limit_memory` limits memory. Raises OSError.

    `file_bytes`: the size of one file. `own_users`: True when this process has a user namespace of its own, so that its
    processes are counted apart from the user's others.
    """
    _set(resource.RLIMIT_FSIZE, file_bytes)
    _set(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_MEMLOCK, _LOCKED_MEMORY)
    _set(resource.RLIMIT_NPROC, most_processes(own_users=own_users))
    with contextlib.suppress(ValueError, OSError, AttributeError):
        _set(resource.RLIMIT_MSGQUEUE, 0)
    with contextlib.suppress(OSError):
        # If memory runs out all the same, this process is killed first, not the user's programs.
        Path("/proc/self/oom_score_adj").write_text(str(_KILLED_FIRST))


def most_processes(*, own_users: bool) -> int:
    """Return how many processes and threads of its user there may be once a kernel has started its own.

    Without a user namespace of the kernel's own, Linux counts the threads of the user's other programs too, for which
    some room is left; the host counts the kernel's own (`kernel/host/resource_monitor.py`).
    """
    return PROCESSES if own_users else _threads_of(os.getuid()) + BESIDE_OTHERS


def _threads_of(user: int) -> int:
    """Return how many threads this user has that can be seen."""
    found = 0
    for name in os.listdir("/proc"):
        # Processes end while they are counted.
        with contextlib.suppress(OSError, ValueError):
            if os.stat(f"/proc/{int(name)}").st_uid == user:
                found += os.stat(f"/proc/{name}/task").st_nlink - 2
    return found


def limit_memory(size: int) -> None:
    """Limit the address space to `size` bytes, so that code that needs more gets a MemoryError."""
    # macOS refuses this limit; a kernel without it is better than no kernel.
    with contextlib.suppress(ValueError, OSError):
        _set(resource.RLIMIT_AS, size)


def _set(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))
