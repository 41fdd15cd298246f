"""Counts the CPU time of a kernel with all processes that it starts, those that have ended included, and ranks it.

The time of a process that has ended is added to its parent's when the parent waits for it. Linux adds it nowhere when
the parent ignores SIGCHLD. Confined kernels cannot ignore it (`inside/sandbox/seccomp.py`); of others, what was last
seen of the ended process is counted.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

_BELOW_THE_HOST = 5
"""Niceness of kernels: the host and the user's programs get three times their share where there is not enough."""


def lower_priority(process: int) -> None:
    """Rank a kernel that has run no code yet, with all that it will start, below its host; skip one that is gone."""
    with suppress(OSError):
        for thread in [int(entry.name) for entry in Path(f"/proc/{process}/task").iterdir()]:
            # Not raised where this program itself was started with `nice`.
            lower = max(os.getpriority(os.PRIO_PROCESS, thread), _BELOW_THE_HOST)
            os.setpriority(os.PRIO_PROCESS, thread, lower)
        # Where Linux schedules sessions as groups, niceness counts only within one. Some systems have no such groups.
        Path(f"/proc/{process}/autogroup").write_text(str(_BELOW_THE_HOST))


class Times(Protocol):
    """The CPU time of one process, in seconds."""

    @property
    def cpu(self) -> float:
        """Its own."""
        ...

    @property
    def reaped(self) -> float:
        """That of children that it has waited for."""
        ...


@dataclass
class CpuTime:
    """The CPU time of one kernel's processes, as of the last look."""

    total: float = 0.0
    """Seconds since the kernel's start, as far as they were seen."""
    _lost: float = 0.0
    _before: dict[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])

    def look(self, processes: Mapping[int, Times]) -> float:
        """Count the processes that there are now, by their ids. Return the seconds used so far."""
        now = {process: (times.cpu, times.reaped) for process, times in processes.items()}
        # A process whose time has shrunk is another one with the same id.
        ended = {one: spent for one, spent in self._before.items() if one not in now or now[one] < spent}
        gone = sum(own + reaped for own, reaped in ended.values())
        waited = sum(now[one][1] - reaped for one, (_, reaped) in self._before.items() if one not in ended)
        # Negative when a child was waited for between two reads of the same look, and is counted with the next one.
        self._lost = max(0.0, self._lost + gone - waited)
        self._before = now
        self.total = sum(own + reaped for own, reaped in now.values()) + self._lost
        return self.total
