"""Runs with in-memory kernels in processes that cost nothing to start: forked from one that has imported everything.

As a program it is that process. It reads jobs from its standard input, one JSON object a line, and never starts a
thread or an event loop itself, so that its children begin as whole processes do.
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
"""Who is killed: the process of the run itself, its kernel host, what kernels are forked from, or all kernels."""


@dataclass(frozen=True)
class Job:
    """One sitting, in a process of its own. Its files are in `folder`: `home`, and the logs `points` and `asked`."""

    folder: str
    model: str
    kill_at: int = 0
    """The number of the point at which a process is killed; 0: none."""
    kill_on: str = ""
    """The name of a point: the first one of that name kills too."""
    max_calls: int = 1000
    victim: Victim = "run"
    real: bool = False
    """Whether the kernels are real ones, in processes of their own."""
    scenario: str = "tests.kill.scenario"
    """The module whose `execute` the sitting is."""


@dataclass(frozen=True)
class Ended:
    """How the process ended: its exit status, -9 when it was killed, and what it reported."""

    status: int
    report: dict[str, Any]

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL


class Spawner:
    """The forking process. A context manager."""

    def __enter__(self) -> Self:
        # A pool of threads in the parent would be a half of one in its children.
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
        """Do one job and wait for its end."""
        return self.run_together([job])[0]

    def run_together(self, jobs: list[Job]) -> list[Ended]:
        """Do jobs at the same time."""
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
    # Points are passed in several threads at once.
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
        told = asyncio.run(execute(Path(job.folder) / "home", job.model, failpoint, kernels, max_calls=job.max_calls))
    except BaseException:
        told = {"error": traceback.format_exc()}
    report.write_text(json.dumps(told))
    os._exit("error" in told)


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
    assert len(threads) == 1, "a process with several threads cannot be forked whole"
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
