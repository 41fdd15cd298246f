"""The process of the kernel host: its start, and its messages on stderr.

It holds no stream of this process: a detached run lets go of its terminal, and the host with it.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

_log = logging.getLogger("durable_rlm")
_LONGEST = 2_000
"""Characters of a line that are logged."""
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT")
"""The variables that the host needs. It gets no others, because it starts processes that run hostile code."""


async def start_host(descriptor: int, settings: Mapping[str, Any]) -> asyncio.subprocess.Process:
    """Start the kernel host, which serves the socket `descriptor`. Raises OSError."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        # -P: `-m` alone imports from the current folder first, which may belong to somebody else.
        *("-P", "-m", "durable_rlm.kernel.host", str(descriptor)),
        json.dumps(settings),
        pass_fds=[descriptor],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in _KEPT if name in os.environ},
        # Ctrl-C at the terminal must reach only this process, which saves and then ends the kernels.
        start_new_session=True,
    )


async def log_errors(process: asyncio.subprocess.Process) -> None:
    """Log what the host writes to stderr until it ends, in full lines where they are not long."""
    assert process.stderr is not None
    begun = b""
    while part := await process.stderr.read(1 << 14):
        *lines, begun = (begun + part).split(b"\n")
        begun = begun[:_LONGEST]
        for line in lines:
            _log_line(line)
    _log_line(begun)


def _log_line(line: bytes) -> None:
    if line.strip():
        # As an ASCII literal: the host quotes what kernels send.
        _log.warning("Kernel host: %s", ascii(line[:_LONGEST].decode(errors="replace"))[1:-1])
