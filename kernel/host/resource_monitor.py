"""Watches what kernels use with all that they started, and ends those that use too much.

The kernel process itself is bounded by limits that the operating system keeps. They count for one process each, so
somebody must look at the sum: of memory, and of CPU time, which a cell can burn while its clock stands because it
waits for a sub-call, or which a thread that was left running burns between two cells.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from . import usage
from .fork_server import SCRATCH, Forked, ForkServer
from .usage import Usage

_EVERY = 0.5
_SHARE = 0.8
"""Of the machine's memory that all kernels may have together."""
_SPARE_CPU = 10.0
"""Seconds beyond a cell's own: the limits of its clock come first."""


@dataclass(frozen=True)
class Machine:
    """How usage is read; replaced in tests."""

    usages: Callable[[], Mapping[int, Usage]] = usage.usages
    own_memory: Callable[[list[int]], int] = usage.own_memory
    scratch_memory: Callable[[int, str], int] = usage.scratch_memory
    memory: int = field(default_factory=usage.machine_memory)
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)


class Watch:
    """Over the kernels of one fork server."""

    def __init__(self, server: ForkServer, machine: Machine | None = None) -> None:
        self._server = server
        self._machine = machine or Machine()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look again and again, in the background."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            kernels = [kernel for kernel in self._server.kernels if kernel.going]
            if kernels:
                for kernel, why in await asyncio.to_thread(self.excesses, kernels):
                    kernel.killed_because = why
                    self._server.signal(kernel, signal.SIGKILL)

    def excesses(self, kernels: list[Forked]) -> list[tuple[Forked, str]]:
        """Which of these kernels use too much now, and of what."""
        seen = self._machine.usages()
        families = {kernel.number: usage.family(kernel.process, seen) for kernel in kernels}
        memories = {kernel.number: self._memory(kernel, families[kernel.number], seen) for kernel in kernels}
        found: list[tuple[Forked, str]] = []
        for kernel in kernels:
            if memories[kernel.number] > kernel.memory:
                found.append((kernel, f"it used more than {_gigabytes(kernel.memory)} of memory, files included"))
            elif why := self._overrun(kernel, sum(seen[process].cpu for process in families[kernel.number])):
                found.append((kernel, why))
        most = int(self._machine.memory * _SHARE)
        if not found and sum(memories.values()) > most:
            largest = max(kernels, key=lambda kernel: memories[kernel.number])
            together = f"the kernels together used more than {_gigabytes(most)} of memory, this one most of it"
            found.append((largest, together))
        return found

    def _memory(self, kernel: Forked, family: list[int], seen: Mapping[int, Usage]) -> int:
        """What it has in memory. Exact only where that may matter: to count shared pages once takes a while."""
        scratch = self._machine.scratch_memory(kernel.process, SCRATCH) if kernel.own_scratch else 0
        roughly = sum(seen[process].memory for process in family)
        if roughly + scratch <= min(kernel.memory, self._machine.memory * _SHARE / 4):
            return roughly + scratch
        return self._machine.own_memory(family) + scratch

    def _overrun(self, kernel: Forked, cpu: float) -> str:
        if kernel.cpu_before is None or cpu < kernel.cpu_before:
            kernel.cpu_before = cpu  # a cell has begun, or what was counted has ended
        most = kernel.cpu_seconds * self._machine.cores + _SPARE_CPU
        return f"its cell used more than {most:,.0f} s of CPU time" if cpu - kernel.cpu_before > most else ""


def _gigabytes(size: int) -> str:
    return f"{size / (1 << 30):.1f} GB"
