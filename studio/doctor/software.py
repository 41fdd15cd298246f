"""The checks of `rlm doctor` on Python, packages, model providers and keys (their names, never their values).
Model servers on this machine are looked for, too.
"""

import asyncio
import importlib.util
import os
import platform
import shutil
import sqlite3
import sys
from datetime import date
from importlib.metadata import PackageNotFoundError, version

from ...nodes.input.formats import formats
from ...nodes.models.provider_table import PROVIDERS
from ...state.wording import counted
from ..cli import local_servers as local
from ..cli.local_servers import LocalServer, find_servers
from ..cli.notices import UPGRADE, list_day
from ..invocation import Invocation
from ..terminal.escape import safe_line
from ..terminal.printed_commands import command_line
from .machine import Finding

TESTED_PYTHONS = ((3, 11),)
"""The versions of Python that the whole suite ran on; `pyproject.toml` names the same."""
TESTED_MACHINES = ("x86_64",)
_NEEDED = ("durable-rlm", "langgraph", "langgraph-checkpoint-sqlite", "langchain-core", "jupyter_client", "ipykernel")
_OFFICE = "soffice"
_OLDEST_SQLITE = (3, 35, 0)


def software(today: date) -> list[Finding]:
    """Return the findings about everything that is installed or missing."""
    return [_python(), *_packages(), _sqlite(), _documents(), _providers(), _keys(), prices(today)]


def prices(today: date) -> Finding:
    """Return a finding about the age of the price list."""
    found = list_day(today)
    name = f"genai-prices {version('genai-prices')}"
    if found is None:
        return Finding("Prices", "note", f"{name}, of an unknown day")
    day, old = found
    if not old:
        return Finding("Prices", "ok", f"as of {day} ({name})")
    return Finding("Prices", "warning", f"as of {day} ({name}), {(today - day).days} days old", f"Newer: {UPGRADE}")


def _python() -> Finding:
    value = f"{platform.python_version()} on {platform.system()} {platform.release()} ({platform.machine()})"
    untested = [] if platform.machine() in TESTED_MACHINES else [platform.machine()]
    if platform.python_implementation() != "CPython" or sys.version_info[:2] not in TESTED_PYTHONS:
        untested.insert(0, f"{platform.python_implementation()} {sys.version_info[0]}.{sys.version_info[1]}")
    if not untested:
        return Finding("Python", "ok", value)
    tested = ", ".join(f"{major}.{minor}" for major, minor in TESTED_PYTHONS)
    hint = f"The tests have run with Python {tested} on {', '.join(TESTED_MACHINES)}."
    return Finding("Python", "warning", f"{value}: untested on {' and '.join(untested)}", hint)


def _packages() -> list[Finding]:
    versions: list[str] = []
    missing: list[str] = []
    for name in _NEEDED:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    found = [Finding("Packages", "ok", ", ".join(versions))]
    if missing:
        found.append(Finding("Missing", "problem", ", ".join(missing), f"Install: pip install {' '.join(missing)}"))
    return found


def _sqlite() -> Finding:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        return Finding("SQLite", "problem", sqlite3.sqlite_version, "Version 3.35 or newer is needed.")
    return Finding("SQLite", "ok", sqlite3.sqlite_version)


def _documents() -> Finding:
    """Return a finding with the formats that can be read, and with what others need."""
    known = [one for one in formats() if not one.unread]
    missing = sorted({one.kind for one in known if one.missing()})
    value = ", ".join(dict.fromkeys(["text", *(one.kind for one in known if one.kind not in missing)]))
    modules = ", ".join(sorted({name for one in known for name in one.missing()}))
    hints = [f"For {', '.join(missing)} ({modules}): pip install 'durable-rlm[documents]'"] if missing else []
    if not shutil.which(_OFFICE):
        hints.append(f"For old Office files: install LibreOffice ({_OFFICE} on the PATH)")
    return Finding("Documents", "note" if hints else "ok", value, ". ".join(hints))


def _providers() -> Finding:
    there = sorted(name for name, one in PROVIDERS.items() if importlib.util.find_spec(one.module))
    hint = "Others come with their packages, such as pip install langchain-anthropic"
    return Finding("Models", "ok" if there else "note", ", ".join([*there, "scripted"]), hint)


def _keys() -> Finding:
    names = sorted({one.key_name for one in PROVIDERS.values() if one.key_name})
    present = [name for name in names if os.environ.get(name, "").strip()]
    if present:
        return Finding("Keys", "ok", ", ".join(present))
    hint = "Set OPENAI_API_KEY, or name a server of your own with --base-url. `rlm demo` needs neither."
    return Finding("Keys", "note", "none is set", hint)


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
