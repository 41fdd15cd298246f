"""One run of one system as a process of its own: when it began, what it said, what memory all of it took; or killed."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PAGE = os.sysconf("SC_PAGE_SIZE")
_BETWEEN_LOOKS = 0.02
_BETWEEN_SHARES = 0.1
"""Seconds between two looks at shared memory, which cost the kernel much more than the others."""


@dataclass(frozen=True)
class Ran:
    """What one process came to. Seconds; MB of the whole tree of processes."""

    began: float
    """By `time.monotonic()`."""
    seconds: float
    result: dict[str, Any]
    """What the adapter printed; empty when it was killed or failed."""
    resident: float
    """Its peak, memory that several share counted by each."""
    proportional: float
    """Its peak, memory that several share counted once."""


def run(
    command: Sequence[str],
    log: Path,
    *,
    folder: Path | None = None,
    kill_when: Callable[[], bool] | None = None,
    patience: float = 600,
) -> Ran:
    """Run it to its end, in `folder`; or until `kill_when`, or patience, which kills it and all it has started."""
    began = time.monotonic()
    with log.open("ab") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder)
    memory = _Memory(process.pid)
    said: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=said.extend, args=[process.stdout])
    reader.start()
    while process.poll() is None:
        if (kill_when and kill_when()) or time.monotonic() - began > patience:
            _kill(process.pid)
            process.wait()
        memory.look()
        time.sleep(_BETWEEN_LOOKS)
    seconds = time.monotonic() - began
    reader.join()
    results = [line.removeprefix("RESULT ") for line in said if line.startswith("RESULT ")]
    result = json.loads(results[-1]) if results else {}
    return Ran(began, seconds, result, memory.resident, memory.proportional)


class _Memory:
    """The peaks of a tree of processes."""

    def __init__(self, top: int) -> None:
        self._top = top
        self.resident = self.proportional = 0.0
        self._next_share = 0.0

    def look(self) -> None:
        all_of_them = _tree(self._top)
        self.resident = max(self.resident, sum(map(_resident, all_of_them)) / 1e6)
        if (now := time.monotonic()) >= self._next_share:
            self._next_share = now + _BETWEEN_SHARES
            self.proportional = max(self.proportional, sum(map(_proportional, all_of_them)) / 1e6)


def _tree(top: int) -> list[int]:
    """The process and all below it that live, whatever sessions they are in."""
    found, left = list[int](), [top]
    while left:
        process = left.pop()
        try:
            for thread in Path(f"/proc/{process}/task").iterdir():
                left += map(int, (thread / "children").read_text().split())
        except OSError:
            continue
        found.append(process)
    return found


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def _kill(top: int) -> None:
    for process in _tree(top):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
