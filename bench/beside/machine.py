"""What it was measured on."""

import importlib.metadata
import os
import platform
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path

from bench.beside.environment import packages

_OURS = ("durable-rlm", "langgraph", "langchain-openai", "openai", "jupyter_client", "ipykernel")
_THEIRS = ("rlms", "openai", "ipykernel", "dill")


def about() -> dict[str, str]:
    """Date, machine and versions, as the results say them."""
    theirs = importlib.metadata.distributions(path=packages())
    versions = {one.name: one.version for one in theirs}
    return {
        "date": date.today().isoformat(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory():.0f} GB, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "ours": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _OURS),
        "theirs": ", ".join(f"{name} {versions[name]}" for name in _THEIRS if name in versions),
    }


def fsync_ms(folder: Path) -> float:
    """The median time of writing 4 KB and syncing it, in milliseconds: what durability costs at least."""
    times: list[float] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(50):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def spin_ms() -> float:
    """A fixed loop of Python, in milliseconds: tells how fast the machine is now, and how busy."""
    began = time.perf_counter()
    total = 0
    for number in range(1_000_000):
        total += number
    return (time.perf_counter() - began) * 1e3


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
