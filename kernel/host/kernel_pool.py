"""The host's kernels: a fork server for each sandbox tier and environment, and kernels that were forked ahead.

A kernel that is ready when a run asks for one saves the run the wait.
"""

import asyncio
import contextlib
import itertools
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .fork_server import ForkedKernel, ForkFailed, ForkServer
from .python_env import KernelEnvironment, environment_at, own_environment
from .resource_monitor import ResourceMonitor
from .sandbox_tiers import TIERS, SandboxSpec, Tier

AHEAD = 2
_PAUSE = 0.05
"""Seconds in which whoever has taken one starts it, undisturbed by the making of the next."""


class WarmKernels:
    """Keeps some kernels ready that nobody has used."""

    def __init__(self, server: ForkServer, ahead: int = AHEAD) -> None:
        self._server = server
        self._ahead = ahead
        self._ready: list[ForkedKernel] = []
        self._forking = 0
        self._filling: asyncio.Task[None] | None = None
        self._pausing: asyncio.TimerHandle | None = None

    async def take(self) -> ForkedKernel:
        """A kernel for one user. Raises ForkFailed."""
        while self._ready:
            kernel = self._ready.pop()
            if not kernel.ended.done():
                self._fill_later()
                return kernel
            kernel.status.close()
        self._forking += 1
        try:
            return await self._server.fork()
        finally:
            self._forking -= 1
            self._fill_later()

    def fill(self) -> None:
        """Fork more in the background, unless somebody waits for one now."""
        if not self._forking and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill())

    def _fill_later(self) -> None:
        if self._pausing:
            self._pausing.cancel()
        self._pausing = asyncio.get_running_loop().call_later(_PAUSE, self.fill)

    async def _fill(self) -> None:
        with contextlib.suppress(ForkFailed, OSError):
            while len(self._ready) < self._ahead and not self._forking:
                self._ready.append(await self._server.fork())

    async def close(self) -> None:
        """End those that nobody took."""
        if self._pausing:
            self._pausing.cancel()
        if self._filling:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)
        while self._ready:
            kernel = self._ready.pop()
            self._server.signal(kernel, signal.SIGKILL)
            kernel.status.close()


FORKING = sys.platform == "linux"
"""Elsewhere each kernel is a process of its own from the start, unsandboxed."""


@dataclass(frozen=True)
class Source:
    """A fork server that serves, and the kernels that it has ready."""

    server: ForkServer
    ready: WarmKernels
    watch: ResourceMonitor
    offers: Sequence[str]
    """Packages that its kernels can import, of those worth naming."""

    async def close(self) -> None:
        """End all of it."""
        await self.watch.close()
        await self.ready.close()
        await self.server.close()


class ForkServerPool:
    """Starts fork servers when they are first needed."""

    def __init__(self, folder: Path, inputs: Sequence[Path], hidden: Sequence[Path], tiers: Sequence[Tier]) -> None:
        """`inputs`: folders whose files kernels may be given. `tiers`: those to try, the strongest first."""
        self.folder = folder
        self.parts = folder / "parts"
        """Where files are made that only one kernel is given."""
        self.parts.mkdir(mode=0o700, exist_ok=True)
        self._numbers = itertools.count(1)
        self._inputs = [*inputs, self.parts]
        self._hidden = hidden
        self._tiers = tiers or TIERS
        self._starting: dict[tuple[bool, str], asyncio.Task[Source]] = {}

    async def source(self, *, sandboxed: bool, environment: str) -> Source:
        """Kernels that are confined, or not; `environment` is a venv's folder, or empty for this program's own.

        Raises NoSandbox, EnvironmentUnusable.
        """
        key = sandboxed, environment
        task = self._starting.get(key)
        gone = task.result() if task and _has_died(task) else None
        if task is None or gone or (task.done() and task.exception()):
            task = self._starting[key] = asyncio.create_task(self._start(sandboxed, environment))
        if gone:
            await gone.close()
        return await asyncio.shield(task)

    async def _start(self, sandboxed: bool, environment: str) -> Source:
        found = await asyncio.to_thread(_environment, environment)
        # Its own, since each numbers its kernels from one.
        folder = self.folder / f"f{next(self._numbers)}"
        folder.mkdir(mode=0o700)
        server = ForkServer(folder, SandboxSpec(found, self._inputs, self._hidden))
        try:
            await server.start(self._tiers if sandboxed else ("none",))
        except BaseException:
            await server.close()
            raise
        ready = WarmKernels(server)
        ready.fill()
        watch = ResourceMonitor(server)
        watch.start()
        return Source(server, ready, watch, found.offers)

    async def close(self) -> None:
        """End every fork server, and its kernels."""
        for task in self._starting.values():
            if not task.done():
                task.cancel()
        for done in await asyncio.gather(*self._starting.values(), return_exceptions=True):
            if isinstance(done, Source):
                await done.close()


def _has_died(task: "asyncio.Task[Source]") -> bool:
    return task.done() and task.exception() is None and task.result().server.gone


def _environment(folder: str) -> KernelEnvironment:
    return environment_at(Path(folder)) if folder else own_environment()
