"""Limits of the user's process that kernels meet: the length of socket paths, and the number of open files."""

import contextlib
import os
import resource
import tempfile
from collections.abc import Iterable

from ..state.errors import KernelStartFailed, UsageError

MOST_PATH = 55
"""Bytes of the path of a folder for temporary files in which sockets fit: their own paths may have 107 on Linux (103 on
macOS), and up to 48 of them are names of a kernel's folders below it."""
LEAST_FILES = 128
"""Open files without which no kernel starts."""
_PLACES = ("/tmp", "/var/tmp", "/dev/shm")


def short_folder(places: Iterable[str] = _PLACES) -> str:
    """Make a folder for sockets, readable by the user alone, and return its path.

    It is in the folder for temporary files, or, where that path is too long, in a usual one. Raises KernelStartFailed.
    """
    usual = tempfile.gettempdir()
    for place in (usual, os.environ.get("XDG_RUNTIME_DIR", ""), *places):
        if place and len(os.fsencode(place)) <= MOST_PATH:
            with contextlib.suppress(OSError):
                return tempfile.mkdtemp(prefix="rlm-", dir=place)
    raise KernelStartFailed(
        f"No kernel could be started: {usual!r}, where its sockets would be, is too long a path or is not writable.",
        hint="Set TMPDIR to a writable folder with a short path.",
    )


def ensure_open_files() -> None:
    """Raise this process's limit of open files to what kernels need. Raises UsageError where that is not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= LEAST_FILES:
        return
    with contextlib.suppress(ValueError, OSError):
        wanted = LEAST_FILES if hard == resource.RLIM_INFINITY else min(hard, 1024)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, soft), hard))
        if wanted >= LEAST_FILES:
            return
    raise UsageError(
        f"This shell lets a process open {soft} files, and a run needs {LEAST_FILES}.",
        hint="Say `ulimit -n 1024` first.",
    )
