"""Monitors the resources that kernels use with all processes that they start, and ends those that use too much.

The operating system enforces limits on the kernel process itself. They apply to single processes, so the sum has to
be checked here: of memory, and of CPU time, which a cell can use while its clock is paused because it waits for a
sub-call, or which a thread that is still running uses between two cells.

The usage of processes is read from /proc: https://man7.org/linux/man-pages/man5/proc.5.html
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..inside.protocol import PROCESSES, SCRATCH
from .fork_server import ForkedKernel, ForkServer

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True)
class Usage:
    """The resources that one process uses at one time."""

    parent: int
    cpu: float
    """Seconds of its own."""
    memory: int
    """Bytes of memory not backed by files, including pages shared with the process that it was forked from."""
    reaped: float = 0.0
    """Seconds of CPU time of children that it has waited for."""
    threads: int = 1


def usages() -> dict[int, Usage]:
    """Return the usage of every process that this one can see, by process id."""
    found: dict[int, Usage] = {}
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            # The process may end while it is read.
            with contextlib.suppress(OSError, ValueError, IndexError):
                found[int(entry.name)] = _usage(_PROC / entry.name)
    return found


def _usage(folder: Path) -> Usage:
    # The process name, in parentheses, may contain anything.
    fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
    _, resident, shared, *_ = map(int, (folder / "statm").read_bytes().split())
    own, reaped = (sum(map(int, fields[first : first + 2])) * _TICK for first in (11, 13))
    return Usage(int(fields[1]), own, (resident - shared) * _PAGE, reaped, int(fields[17]))


def family(top: int, among: Mapping[int, Usage]) -> list[int]:
    """Return the process `top` and all its descendants."""
    below: dict[int, list[int]] = {}
    for process, usage in among.items():
        below.setdefault(usage.parent, []).append(process)
    # Not by recursion: code can make each process start the next one, thousands deep. Each is counted once, because
    # numbers are used again while they are read.
    found = dict.fromkeys([top] if top in among else [])
    layer = list(found)
    while layer:
        layer = [child for process in layer for child in below.get(process, ()) if child not in found]
        found |= dict.fromkeys(layer)
    return list(found)


def own_memory(processes: Iterable[int]) -> int:
    """Return the bytes of memory of these processes; a shared page is divided among all that share it."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError, ValueError, IndexError):
            rollup = (_PROC / str(process) / "smaps_rollup").read_bytes()
            [line] = [line for line in rollup.splitlines() if line.startswith(b"Pss_Anon:")]
            total += int(line.split()[1]) << 10
    return total


def scratch_memory(process: int, scratch: str) -> int:
    """Return the bytes of memory that a kernel's scratch folder uses; 0 when it cannot be read."""
    try:
        place = os.statvfs(f"/proc/{process}/root{scratch}")
    except OSError:
        return 0
    return (place.f_blocks - place.f_bfree) * place.f_frsize


def machine_memory() -> int:
    """Return the bytes that all processes may use together: the machine's memory, or its container's."""
    most = os.sysconf("SC_PHYS_PAGES") * _PAGE
    for limit in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            most = min(most, int(limit.read_text()))
    return most


_EVERY = 0.5
_MOST_FAILURES = 20
"""Checks in a row that may fail before kernels are ended rather than left without limits."""
_SHARE = 0.8
"""The share of the machine's memory that all kernels may use together."""
_SPARE_CPU = 10.0
"""Seconds beyond a cell's own, so that the limits of its clock apply first."""


@dataclass(frozen=True)
class SystemProbe:
    """The functions that read usage; replaced in tests."""

    usages: Callable[[], Mapping[int, Usage]] = usages
    own_memory: Callable[[list[int]], int] = own_memory
    scratch_memory: Callable[[int, str], int] = scratch_memory
    memory: int = field(default_factory=machine_memory)
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)


class ResourceMonitor:
    """The monitor of one fork server's kernels."""

    def __init__(self, server: ForkServer, machine: SystemProbe | None = None) -> None:
        self._server = server
        self._machine = machine or SystemProbe()
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        """The checks in a row that have failed."""

    def start(self) -> None:
        """Start to check periodically, in the background."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop checking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            kernels = [kernel for kernel in self._server.kernels if kernel.going]
            for kernel, why in await self._checked(kernels) if kernels else []:
                kernel.killed_because = why
                self._server.signal(kernel, signal.SIGKILL)

    async def _checked(self, kernels: list[ForkedKernel]) -> list[tuple[ForkedKernel, str]]:
        """Return the kernels to end. A check that fails, whatever it met in /proc, is not the last one."""
        try:
            found = await asyncio.to_thread(self.over_limit, kernels)
        except Exception as error:
            self._failures += 1
            if self._failures < _MOST_FAILURES:
                return []
            why = f"what the kernels use could not be checked any more ({type(error).__name__})"
            return [(kernel, why) for kernel in kernels]
        self._failures = 0
        return found

    def over_limit(self, kernels: list[ForkedKernel]) -> list[tuple[ForkedKernel, str]]:
        """Return the kernels that use too much now, each with the reason."""
        seen = self._machine.usages()
        families = {kernel.number: family(kernel.process, seen) for kernel in kernels}
        memories = {kernel.number: self._memory(kernel, families[kernel.number], seen) for kernel in kernels}
        found: list[tuple[ForkedKernel, str]] = []
        for kernel in kernels:
            if memories[kernel.number] > kernel.memory:
                found.append((kernel, f"it used more than {_gigabytes(kernel.memory)} of memory, files included"))
            elif why := self._overrun(kernel, {process: seen[process] for process in families[kernel.number]}):
                found.append((kernel, why))
        most = int(self._machine.memory * _SHARE)
        if not found and sum(memories.values()) > most:
            largest = max(kernels, key=lambda kernel: memories[kernel.number])
            together = f"the kernels together used more than {_gigabytes(most)} of memory, this one most of it"
            found.append((largest, together))
        return found

    def _memory(self, kernel: ForkedKernel, family: list[int], seen: Mapping[int, Usage]) -> int:
        """Return the bytes of memory that a kernel uses.

        The number is exact only when a limit may be near, because dividing shared pages takes long.
        """
        scratch = self._machine.scratch_memory(kernel.process, SCRATCH) if kernel.own_scratch else 0
        roughly = sum(seen[process].memory for process in family)
        if roughly + scratch <= min(kernel.memory, self._machine.memory * _SHARE / 4):
            return roughly + scratch
        return self._machine.own_memory(family) + scratch

    def _overrun(self, kernel: ForkedKernel, processes: Mapping[int, Usage]) -> str:
        if sum(usage.threads for usage in processes.values()) > PROCESSES:
            return f"it used more than {PROCESSES} processes and threads"
        cpu = kernel.cpu_time.look(processes)
        if kernel.cpu_before is None:
            kernel.cpu_before = cpu  # a cell has begun
        most = kernel.cpu_seconds * self._machine.cores + _SPARE_CPU
        return f"its cell used more than {most:,.0f} s of CPU time" if cpu - kernel.cpu_before > most else ""


def _gigabytes(size: int) -> str:
    return f"{size / (1 << 30):.1f} GB"
