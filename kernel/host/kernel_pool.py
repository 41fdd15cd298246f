"""The host's kernels: a fork server for each environment, sandboxed or not, and kernels that are forked ahead.

A run that asks for a kernel does not have to wait when one is ready.
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
"""Seconds before the next kernel is forked, so that forking does not slow down the start of the one just taken."""


class WarmKernels:
    """A supply of unused kernels that are ready."""

    def __init__(self, server: ForkServer, ahead: int = AHEAD) -> None:
        self._server = server
        self._ahead = ahead
        self._ready: list[ForkedKernel] = []
        self._forking = 0
        self._filling: asyncio.Task[None] | None = None
        self._pausing: asyncio.TimerHandle | None = None

    async def take(self) -> ForkedKernel:
        """Take a ready kernel, or fork one. Raises ForkFailed."""
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
        """Fork more kernels in the background, unless a `take` is forking one now."""
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
        """End the kernels that were not taken."""
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
"""True where kernels are forked; elsewhere each kernel is a new process, unsandboxed."""


@dataclass(frozen=True)
class Source:
    """A running fork server with its ready kernels and its monitor."""

    server: ForkServer
    ready: WarmKernels
    watch: ResourceMonitor
    offers: Sequence[str]
    """Those packages worth naming that its kernels can import."""

    async def close(self) -> None:
        """End the monitor, the ready kernels and the fork server."""
        await self.watch.close()
        await self.ready.close()
        await self.server.close()


class ForkServerPool:
    """The fork servers of one host, each started when it is first needed."""

    def __init__(self, folder: Path, inputs: Sequence[Path], hidden: Sequence[Path], tiers: Sequence[Tier]) -> None:
        """Use `folder`, with a short path, for all files of the pool.

        `inputs`: folders whose files kernels may be given. `tiers`: sandbox tiers to try, the strongest first.
        """
        self.folder = folder
        self.parts = folder / "parts"
        """The folder for files that are created for a single kernel."""
        self.parts.mkdir(mode=0o700, exist_ok=True)
        self._numbers = itertools.count(1)
        self._inputs = [*inputs, self.parts]
        self._hidden = hidden
        self._tiers = tiers or TIERS
        self._starting: dict[tuple[bool, str], asyncio.Task[Source]] = {}

    async def source(self, *, sandboxed: bool, environment: str) -> Source:
        """Return the source of kernels, sandboxed or not, for an environment.

        `environment` is a venv's folder, or empty for this program's own. Raises NoSandbox, EnvironmentUnusable.
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
        # A folder for each fork server, because each numbers its kernels from one.
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
        """End every fork server with its kernels."""
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
