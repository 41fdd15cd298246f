"""Model servers on this machine."""

import asyncio
import shlex

from .. import local_servers as local
from ..display.wording import counted
from ..local_servers import LocalServer, find_servers
from ..safe_text import safe_line
from .finding import Finding

_SHOWN = 5


def local_servers(command: str) -> list[Finding]:
    """Which of them answer, each with a command that asks one of its models. `command`: how this program is run."""
    found = asyncio.run(find_servers())
    if found:
        return [_finding(one, command) for one in found]
    ports = ", ".join(f"{port} ({name})" for port, name in local.SERVERS.items())
    return [Finding("Local", "note", f"no model server on ports {ports}")]


def _finding(server: LocalServer, command: str) -> Finding:
    shown = ", ".join(safe_line(name, 60) for name in server.models[:_SHOWN])
    more = f", … ({counted(len(server.models), 'model')})" if len(server.models) > _SHOWN else ""
    question = shlex.join(("run", "What is 17 * 23?", *server.settings))
    return Finding("Local", "ok", f"{server.base_url}: {shown}{more}", f"{command} {question}")
