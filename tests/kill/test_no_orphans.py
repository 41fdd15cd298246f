"""Orphans: after any process dies, none of its processes and folders remain, and the run can be resumed."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from durable_rlm import Runner
from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.session import Cell, KernelSpec
from durable_rlm.state.errors import KernelLost
from tests.scripts import repl, write_script

CHILD = Path(__file__).parent / "crashing_run.py"


@contextmanager
def run_that_waits(folder: Path) -> Generator[tuple[psutil.Process, list[psutil.Process]]]:
    """Start a run in another process whose sub-call is never answered; yield that process and all it started."""
    sub = f"open({str(folder / 'asked')!r}, 'w').close(); import time; time.sleep(60)"
    model = write_script(folder / "m.py", [repl("FINAL(llm_query(context))")], sub=sub)
    arguments = [sys.executable, str(CHILD), str(folder / "home"), model, str(folder / "points"), "0"]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        parent = psutil.Process(process.pid)
        while not (folder / "asked").exists():
            assert process.poll() is None, "it ended before its sub-call"
        yield parent, parent.children(recursive=True)
    finally:
        process.kill()
        process.wait()


@pytest.mark.kill
def test_kill_9_of_a_run_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    with run_that_waits(tmp_path) as (parent, started):
        assert len(started) >= 2, "a kernel host and a kernel"
        # Other tests may create such folders at the same time.
        [host_folder] = [
            Path(json.loads(one.cmdline()[-1])["folder"])
            for one in started
            if "durable_rlm.kernel.host" in one.cmdline()
        ]
        assert host_folder.is_dir()
        parent.kill()
        _, alive = psutil.wait_procs(started, timeout=10)
    assert alive == []
    assert not host_folder.exists()


@pytest.mark.kill
async def test_a_run_is_busy_for_a_second_process_which_takes_it_over_from_a_dead_one(tmp_path: Path) -> None:
    with run_that_waits(tmp_path) as (parent, _):
        async with Runner.open(tmp_path / "home") as runner:
            busy = await runner.resume("crashing")
            assert (busy.status, busy.exit_code) == ("busy", 5)
            [listed] = await runner.queries.runs()
            assert listed["status"] == "busy"
            parent.kill()
            parent.wait()
            write_script(tmp_path / "m.py", [repl("FINAL(llm_query(context))")], sub="return 'at last'")
            assert (await runner.resume("crashing")).answer == "at last"


@pytest.mark.kill
async def test_the_kernels_of_a_killed_kernel_host_end_and_a_new_host_is_started() -> None:
    kernels = JupyterKernels()
    try:
        session = await kernels.start(KernelSpec("thread"))
        await session.begin(Cell(1, ("llm_query('q')",)))
        await session.peek()
        [host] = [child for child in psutil.Process().children() if "durable_rlm.kernel.host" in child.cmdline()]
        below = host.children(recursive=True)
        host.kill()
        with pytest.raises(KernelLost):
            await session.result()
        _, alive = psutil.wait_procs(below, timeout=10)
        assert below and alive == []
        again = await kernels.start(KernelSpec("thread"))
        await again.begin(Cell(1, ("FINAL(1)",)))
        assert not await again.peek()
    finally:
        await kernels.close()


@pytest.mark.kill
async def test_closing_a_kernel_host_that_hangs_takes_seconds_and_leaves_no_orphan() -> None:
    kernels = JupyterKernels()
    await kernels.start(KernelSpec("thread"))
    [host] = [child for child in psutil.Process().children() if "durable_rlm.kernel.host" in child.cmdline()]
    below = host.children(recursive=True)
    host.suspend()
    async with asyncio.timeout(10):
        await kernels.close()
    assert below and psutil.wait_procs([host, *below], timeout=10)[1] == []
