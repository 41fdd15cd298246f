"""Leaks: kernels that were started and killed leave no process, descriptor, socket, mount or file."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from durable_rlm.kernel.host.kernel_pool import AHEAD
from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.session import ContextFiles, KernelSession, KernelSpec
from durable_rlm.state.errors import KernelLost
from tests.contract.session_contract import run
from tests.sandbox.attempts import TIERS, skip_without

KERNELS, AT_ONCE = 200, 10
_FEWER = 50
"""The number of kernels in the tier landlock, in which they have no mounts of their own."""
_SETTLING_SECONDS = 20


@dataclass(frozen=True)
class Held:
    """The resources of a kernel host and its fork server."""

    processes: int
    descriptors: int
    sockets: int
    mounts: int
    files: int


def held(host: psutil.Process, folder: Path) -> Held:
    """Return the resources that `host` and its descendants hold now."""
    below = host.children(recursive=True)
    servers = [one for one in below if one.ppid() == host.pid or _starts_kernels(one)]
    return Held(
        len(below),
        sum(one.num_fds() for one in (host, *servers)),
        sum(str(folder) in line for line in Path("/proc/net/unix").read_text().splitlines()),
        sum(len(Path(f"/proc/{one.pid}/mountinfo").read_text().splitlines()) for one in (host, *servers)),
        sum(1 for _ in folder.rglob("*")),
    )


def _starts_kernels(process: psutil.Process) -> bool:
    return any(child.ppid() == process.pid for child in process.children())


@pytest.fixture
async def kernels(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[JupyterKernels]:
    tier: str = request.param
    skip_without(tier)
    (tmp_path / "pack").write_text("an input")
    kernels = JupyterKernels([tmp_path], tiers=[tier])
    yield kernels
    await kernels.close()


@pytest.mark.parametrize("kernels", TIERS, indirect=True)
async def test_hundreds_of_started_and_killed_kernels_leave_no_process_socket_mount_or_file(
    kernels: JupyterKernels, tmp_path: Path
) -> None:
    spec = KernelSpec("thread", ContextFiles(tmp_path / "pack"))
    mounted = Path("/proc/self/mountinfo").read_text()
    held_by = await kernels.warm_up()
    await _end(await kernels.start(spec), 0)
    [host] = [one for one in psutil.Process().children() if "durable_rlm.kernel.host" in one.cmdline()]
    folder = Path(json.loads(host.cmdline()[-1])["folder"])
    before = await _settled(host, folder)
    for begun in range(0, _FEWER if held_by.tier == "landlock" else KERNELS, AT_ONCE):
        sessions = await asyncio.gather(*(kernels.start(spec) for _ in range(AT_ONCE)))
        await asyncio.gather(*(_end(session, begun + at) for at, session in enumerate(sessions)))
    await _until(lambda: held(host, folder) == before, lambda: f"{before}, and not {held(host, folder)}")
    everything = [host, *host.children(recursive=True)]
    await kernels.close()
    assert psutil.wait_procs(everything, timeout=5)[1] == []
    assert not folder.exists()
    assert Path("/proc/self/mountinfo").read_text() == mounted


async def _end(session: KernelSession, number: int) -> None:
    """End a kernel in one of three ways: close it, let it abort, or close it after a cell."""
    if number % 3 == 1:
        with pytest.raises(KernelLost):
            await run(session, "import os\nopen(os.devnull)\nos.abort()")
    elif number % 3 == 2:
        assert (await run(session, "print(len(context))")).output == "8\n"
    await session.close()


async def _settled(host: psutil.Process, folder: Path) -> Held:
    """Wait until the kernels that are kept ready exist and none is starting. Return the resources held then."""
    seen: list[Held] = []

    def settled() -> bool:
        kernels = [one for one in host.children(recursive=True) if not one.children()]
        seen.append(held(host, folder))
        return len(kernels) == len(list(folder.glob("*/k*"))) == AHEAD and seen[-2:-1] == seen[-1:]

    await _until(settled, lambda: f"kernels that are kept ready, and not {seen[-1:]}")
    return seen[-1]


async def _until(condition: Callable[[], bool], wanted: Callable[[], str]) -> None:
    """Poll until a condition of other processes holds. Fail after `_SETTLING_SECONDS`."""
    try:
        async with asyncio.timeout(_SETTLING_SECONDS):
            while not _holds(condition):
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"waited for {wanted()}")


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
