"""Executions of scenarios in processes that start quickly: they are forked from one that has imported everything.

This module as a program is the forking process. It reads jobs from its standard input, a JSON list of objects a line,
and never starts a thread or an event loop itself, so that its children begin as new processes do.
"""

import asyncio
import gc
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import psutil

ROOT = Path(__file__).parents[2]
Victim = Literal["run", "host", "fork server", "kernel"]
"""The process to kill: the run's own, its kernel host, the fork server that kernels start from, or all kernels."""


@dataclass(frozen=True)
class Job:
    """One execution in a process of its own. Its files are in `folder`: `home`, and the logs `points` and `asked`."""

    folder: str
    model: str
    kill_at: int = 0
    """The number of the failpoint at which a process is killed; 0: none."""
    kill_on: str = ""
    """The name of a failpoint: the first one of that name kills too."""
    max_calls: int = 1000
    victim: Victim = "run"
    real: bool = False
    """True for real kernels, in processes of their own."""
    scenario: str = "tests.kill.scenario"
    """The module whose `execute` is called."""


@dataclass(frozen=True)
class Ended:
    """The end of a process: its exit status, -9 when it was killed, and its report."""

    status: int
    report: dict[str, Any]

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL


class Spawner:
    """The forking process. A context manager."""

    def __enter__(self) -> Self:
        # Of a pool of threads in the parent, its children would get the memory without the threads.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kill.spawn"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(self, job: Job) -> Ended:
        """Execute one job and return its end."""
        return self.run_together([job])[0]

    def run_together(self, jobs: list[Job]) -> list[Ended]:
        """Execute jobs at the same time and return their ends."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([asdict(job) for job in jobs]) + "\n")
        self._process.stdin.flush()
        ended = [Ended(**one) for one in json.loads(self._process.stdout.readline())]
        for one in ended:
            assert one.status in (0, -signal.SIGKILL), one.report["error"]
        return ended


def _child(job: Job, report: Path) -> None:
    from tests.contract.in_memory_kernel import MemoryKernels

    execute = importlib.import_module(job.scenario).execute
    # Several threads pass failpoints at once.
    numbers = itertools.count(1)
    log = os.open(Path(job.folder) / "points", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def failpoint(point: str) -> None:
        number = next(numbers)
        os.write(log, f"{point}\n".encode())
        if number == job.kill_at or point == job.kill_on:
            for victim in _victims(job.victim):
                victim.kill()

    try:
        kernels = None if job.real else MemoryKernels()
        result = asyncio.run(execute(Path(job.folder) / "home", job.model, failpoint, kernels, max_calls=job.max_calls))
    except BaseException:
        result = {"error": traceback.format_exc()}
    report.write_text(json.dumps(result))
    os._exit("error" in result)


def _victims(victim: Victim) -> list[psutil.Process]:
    this = psutil.Process()
    if victim == "run":
        return [this]
    hosts = [child for child in this.children() if "durable_rlm.kernel.host" in child.cmdline()]
    if victim == "host":
        return hosts
    below = [process for host in hosts for process in host.children(recursive=True)]
    kernels = [process for process in below if not process.children()]
    return kernels if victim == "kernel" else [process for process in below if process not in kernels]


def _serve() -> None:
    for module in (
        "durable_rlm.graph.runner",
        "tests.kill.scenario",
        "tests.kill.tree_scenario",
        "tests.kill.reviewed_scenario",
        "tests.kill.reviewed_tree_scenario",
        "numpy",
    ):
        importlib.import_module(module)
    gc.freeze()
    threads = list(Path("/proc/self/task").iterdir())
    assert len(threads) == 1, "a fork copies one thread only"
    for line in sys.stdin:
        jobs = [Job(**one) for one in json.loads(line)]
        reports = [Path(job.folder) / f"report-{number}" for number, job in enumerate(jobs)]
        children: list[int] = []
        for job, report in zip(jobs, reports, strict=True):
            if (child := os.fork()) == 0:
                _child(job, report)
            children.append(child)
        ended = [
            {"status": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "report": _read(report)}
            for child, report in zip(children, reports, strict=True)
        ]
        sys.stdout.write(json.dumps(ended) + "\n")
        sys.stdout.flush()


def _read(report: Path) -> dict[str, Any]:
    try:
        return json.loads(report.read_text())
    except FileNotFoundError:
        return {}
    finally:
        report.unlink(missing_ok=True)


if __name__ == "__main__":
    _serve()
