"""The check of `rlm doctor` for model servers on this machine."""

import asyncio

from ..cli import local_servers as local
from ..cli.local_servers import LocalServer, find_servers
from ..invocation import Invocation
from ..progress.text import counted
from ..terminal.escape import safe_line
from ..terminal.printed_commands import command_line
from .machine import Finding

_SHOWN = 5


def local_servers(invocation: Invocation) -> list[Finding]:
    """Return a finding for each server that answers, with a command that asks one of its models."""
    found = asyncio.run(find_servers())
    if found:
        return [_finding(one, invocation) for one in found]
    ports = ", ".join(f"{port} ({name})" for port, name in local.SERVERS.items())
    return [Finding("Local", "note", f"no model server on ports {ports}")]


def _finding(server: LocalServer, invocation: Invocation) -> Finding:
    shown = ", ".join(safe_line(name, 60) for name in server.models[:_SHOWN])
    more = f", … ({counted(len(server.models), 'model')})" if len(server.models) > _SHOWN else ""
    command = command_line(invocation, "run", "What is 17 * 23?", *server.settings)
    return Finding("Local", "ok", f"{server.base_url}: {shown}{more}", command)
