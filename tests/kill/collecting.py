"""Garbage collections in processes that SIGKILL themselves: `python -m tests.kill.collecting HOME FOLDER`.

Process n collects in a copy of HOME at FOLDER/n and kills itself at the n-th failpoint that it passes, until one
process completes. The program imports everything once, starts no thread, and forks.
"""

import os
import shutil
import signal
import sys
from itertools import count
from pathlib import Path

import langgraph.types  # noqa: F401  # pyright: ignore[reportUnusedImport]  (read from checkpoints)

from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.maintenance.gc import collect
from tests.damage import DATABASE


def collect_and_die(home: Path, kill_at: int) -> None:
    passed = 0

    def failpoint(point: str) -> None:
        nonlocal passed
        passed += 1
        if passed == kill_at:
            (home / "killed-at").write_text(point)
            os.kill(os.getpid(), signal.SIGKILL)

    collect(home / DATABASE, Blobs(home / "blobs"), failpoint=failpoint)


def main(template: str, folder: str) -> None:
    for number in count(1):
        home = Path(shutil.copytree(template, Path(folder) / str(number)))
        if (child := os.fork()) == 0:
            status = 1
            try:
                collect_and_die(home, number)
                status = 0
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != -signal.SIGKILL:
            sys.exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
