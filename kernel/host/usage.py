"""What processes use, read from /proc. https://man7.org/linux/man-pages/man5/proc.5.html"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True)
class Usage:
    """One process at one moment."""

    parent: int
    cpu: float
    """Seconds, with those of children that it has waited for."""
    memory: int
    """Bytes that are in memory and no file's; pages shared with the process it was forked from are counted too."""


def usages() -> dict[int, Usage]:
    """Every process that this one can see, by its id."""
    found: dict[int, Usage] = {}
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            # It may end while it is looked at.
            with contextlib.suppress(OSError, ValueError, IndexError):
                found[int(entry.name)] = _usage(_PROC / entry.name)
    return found


def _usage(folder: Path) -> Usage:
    # The name, which stands in parentheses, may hold anything.
    fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
    _, resident, shared, *_ = map(int, (folder / "statm").read_bytes().split())
    return Usage(int(fields[1]), sum(map(int, fields[11:15])) * _TICK, (resident - shared) * _PAGE)


def family(top: int, among: Mapping[int, Usage]) -> list[int]:
    """The process `top` and all below it."""
    below: dict[int, list[int]] = {}
    for process, usage in among.items():
        below.setdefault(usage.parent, []).append(process)
    return list(_walk(top, below)) if top in among else []


def _walk(top: int, below: Mapping[int, list[int]]) -> Iterator[int]:
    yield top
    for child in below.get(top, ()):
        yield from _walk(child, below)


def own_memory(processes: Iterable[int]) -> int:
    """Bytes of memory that these processes have, each shared page counted once for all that share it."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError, ValueError, IndexError):
            rollup = (_PROC / str(process) / "smaps_rollup").read_bytes()
            [line] = [line for line in rollup.splitlines() if line.startswith(b"Pss_Anon:")]
            total += int(line.split()[1]) << 10
    return total


def scratch_memory(process: int, scratch: str) -> int:
    """Bytes of a kernel's scratch folder that are in memory; 0 where it cannot be seen."""
    try:
        place = os.statvfs(f"/proc/{process}/root{scratch}")
    except OSError:
        return 0
    return (place.f_blocks - place.f_bfree) * place.f_frsize


def machine_memory() -> int:
    """Bytes that this process and all others may use together: the machine's, or its container's."""
    most = os.sysconf("SC_PHYS_PAGES") * _PAGE
    for limit in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            most = min(most, int(limit.read_text()))
    return most
