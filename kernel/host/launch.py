"""Jupyter's managers of kernels: their settings, their start and their end."""

import asyncio
import contextlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec as JupyterSpec

from .fork_server import ForkedKernel, NoSandbox
from .jupyter_client_compat import DirectKernelManager
from .kernel_pool import FORKING, ForkServerPool, Source
from .provisioner import NAME, ForkServerProvisioner
from .python_env import INSIDE
from .sparse_copy import copy_parts, handed_ranges

_ENDING_SECONDS = 5.0


class KernelManager(DirectKernelManager):
    """A manager whose kernel may come from a fork server."""

    fork_server: Any = None
    ready: Any = None
    memory: int = 0
    cpu_seconds: float = 0.0
    files: dict[str, str]
    """The files that the kernel may read: their real paths by the kernel's paths."""


@dataclass
class ManagedKernel:
    """A manager with the arguments to start its kernel, and the means to end it."""

    manager: KernelManager
    launch: dict[str, Any] = field(default_factory=dict[str, Any])
    folder: Path | None = None
    """The kernel's own folder; None when its fork server has one for it."""
    last_words: Callable[[], str] = lambda: "it said nothing"

    def cell_begins(self) -> None:
        """Reset the count of the CPU time that a cell uses."""
        if kernel := self._kernel:
            kernel.cpu_before = None

    @property
    def killed_because(self) -> str:
        """Why the resource monitor killed the kernel; empty when it did not."""
        return self._kernel.killed_because if self._kernel else ""

    @property
    def _kernel(self) -> ForkedKernel | None:
        provisioner = self.manager.provisioner
        return provisioner.kernel if isinstance(provisioner, ForkServerProvisioner) else None

    async def end(self) -> None:
        """End the kernel at once, and remove everything it has left."""
        manager = self.manager
        if manager.has_kernel and manager.provisioner is not None:
            await manager.provisioner.kill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(manager.provisioner.wait(), _ENDING_SECONDS)
            await manager.cleanup_resources()
        if self.folder is not None:
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)


async def make_manager(pool: ForkServerPool, request: dict[str, Any]) -> ManagedKernel:
    """Make a manager for the requested kernel. Raises NoSandbox, EnvironmentUnusable."""
    provisioner = request["provisioner"] or (NAME if FORKING else "")
    if provisioner == NAME:
        source = await pool.source(sandboxed=request["sandboxed"], environment=request["environment"])
        return await _forked(source, pool.parts, request)
    if not provisioner and request["sandboxed"]:
        raise NoSandbox({sys.platform: ["there is a sandbox for Linux only"]})
    return _launched(provisioner, pool.folder, request)


async def _forked(source: Source, parts: Path, request: dict[str, Any]) -> ManagedKernel:
    manager = KernelManager(transport="ipc")
    manager.fork_server, manager.ready = source.server, source.ready
    manager.memory, manager.cpu_seconds = request["memory"], request["cpu_seconds"]
    manager.files = {path: path for path in request["files"]}
    if request["handed"] and request["sandboxed"]:
        pack = request["setup"]["pack"]
        manager.files[pack] = await asyncio.to_thread(_parts, parts, request["setup"])
    manager.given_spec = _spec([], {"kernel_provisioner": {"provisioner_name": NAME}})
    return ManagedKernel(manager)


def _parts(folder: Path, setup: dict[str, Any]) -> str:
    """Create a file with the part of its pack that the kernel was given. Return its path."""
    own = folder / secrets.token_hex(8)
    copy_parts(Path(setup["pack"]), handed_ranges(setup), own)
    return str(own)


def _launched(provisioner: str, folder: Path, request: dict[str, Any]) -> ManagedKernel:
    """Make a manager for a new process, started by Jupyter, or by another provisioner, which then confines it."""
    # Paths of Unix sockets have at most 107 bytes, so the folder's is short.
    own = Path(tempfile.mkdtemp(prefix="k", dir=folder))
    scratch, log = own / "scratch", own / "log"
    scratch.mkdir(mode=0o700)
    manager = KernelManager(transport="ipc")
    manager.ip, manager.connection_file = str(own / "s"), str(own / "connection.json")
    command = [sys.executable, "-P", str(INSIDE / "launch.py"), "kernel", "-f", "{connection_file}"]
    metadata = {"kernel_provisioner": {"provisioner_name": provisioner}} if provisioner else {}
    manager.given_spec = _spec(command, metadata)
    output = log.open("wb")
    launch = {"env": _environment(scratch, request["memory"]), "cwd": str(scratch), "stdout": output, "stderr": output}

    def last_words() -> str:
        return " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:]) or "it said nothing"

    return ManagedKernel(manager, launch, own, last_words)


def _spec(command: list[str], metadata: dict[str, Any]) -> JupyterSpec:
    return JupyterSpec(argv=command, display_name="rlm", language="python", metadata=metadata)


def _environment(scratch: Path, memory: int) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "MPLBACKEND": "agg",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "RLM_MEMORY": str(memory),
        "RLM_SCRATCH": str(scratch),
    }
