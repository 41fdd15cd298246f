"""The user of the program at the other end of a connection on this machine, as far as the system says."""

import os
import socket
import struct
from pathlib import Path

CONNECTIONS = Path("/proc/net/tcp")
"""The connections of this machine over IPv4, on Linux: each line has its own end, the other one, and a user."""
_ROOT, _ESTABLISHED = 0, "01"


def is_of_another_user(client: tuple[str, int] | None, server: tuple[str, int] | None) -> bool:
    """Return whether a connection from `client` to `server` may be of another user of this machine.

    False where the system does not say. The administrator does not count: that one can read this process anyway.
    """
    if client is None or server is None:
        return False
    try:
        ends = [_end(*client), _end(*server)]
        lines = CONNECTIONS.read_text("ascii").splitlines()
    except (OSError, ValueError):
        return False
    # The other program's line begins with its own end. Once that is closed or half closed, which no browser does before
    # it has an answer, the line may not have its user any more.
    found = [fields for line in lines if (fields := line.split())[1:3] == ends]
    return any(one[3] != _ESTABLISHED or int(one[7]) not in (os.geteuid(), _ROOT) for one in found)


def _end(host: str, port: int) -> str:
    """Return an address as the table has it. Raises OSError for one that is not of IPv4."""
    [number] = struct.unpack("=I", socket.inet_aton(host))
    return f"{number:08X}:{port:04X}"
