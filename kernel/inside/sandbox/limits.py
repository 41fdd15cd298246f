"""Limits on the resources of a process."""

import contextlib
import resource
from pathlib import Path

_PROCESSES, _OPEN_FILES = 512, 1024
_LOCKED_MEMORY = 1 << 20
_KILLED_FIRST = 1000


def limit(*, file_bytes: int, processes: "int | None" = _PROCESSES) -> None:
    """Limit files, processes and other resources for good; `limit_memory` limits memory. Raises OSError.

    `file_bytes`: the size of one file. `processes`: those of this user in this user namespace, including threads.
    """
    _set(resource.RLIMIT_FSIZE, file_bytes)
    _set(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_MEMLOCK, _LOCKED_MEMORY)
    if processes is not None:
        _set(resource.RLIMIT_NPROC, processes)
    with contextlib.suppress(ValueError, OSError, AttributeError):
        _set(resource.RLIMIT_MSGQUEUE, 0)
    with contextlib.suppress(OSError):
        # If memory runs out all the same, this process is killed first, not the user's programs.
        Path("/proc/self/oom_score_adj").write_text(str(_KILLED_FIRST))


def limit_memory(size: int) -> None:
    """Limit the address space to `size` bytes, so that code that needs more gets a MemoryError."""
    # macOS refuses this limit; a kernel without it is better than no kernel.
    with contextlib.suppress(ValueError, OSError):
        _set(resource.RLIMIT_AS, size)


def _set(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))
