"""Isolation of the kernels of one host from each other."""

import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import psutil
import pytest

from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.session import ContextFiles, KernelSession, KernelSpec
from tests.contract.session_contract import run
from tests.sandbox.attempts import TIERS, skip_without

_FIRST = """
import os
secret = "of the first kernel's"
try:
    open("/tmp/mine", "w").write(secret)
    open("/dev/shm/mine", "w").write(secret)
except OSError:
    pass  # a tier without a scratch folder
"""
_REACHING = """
import ctypes, fcntl, glob, json, os, socket
sibling, sockets, its_input, name = {about!r}
libc = ctypes.CDLL(None, use_errno=True)

def refused(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")

def numbers():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]

def see_scratch():
    found = [path for path in ("/tmp/mine", "/dev/shm/mine", "/scratch/mine") if os.path.exists(path)]
    found += glob.glob(f"/proc/*/root/tmp/mine")
    if not found:
        raise FileNotFoundError
    open(found[0]).read()

def see_process():
    if sibling not in numbers():
        raise ProcessLookupError

def read_environment():
    open(f"/proc/{{sibling}}/environ").read()

def signal_it():
    os.kill(sibling, 0)

def signal_anyone():
    own = {{os.getpid()}}
    if os.access("/proc/self/task", os.R_OK):
        own |= set(map(int, os.listdir("/proc/self/task")))
    for number in set(range(1, 1 << 16)) - own:
        try:
            os.kill(number, 0)
        except OSError:
            continue
        return
    raise ProcessLookupError

def own_it():
    one, other = socket.socketpair()
    fcntl.fcntl(one, fcntl.F_SETOWN, sibling)

def trace_it():
    refused(libc.ptrace(0x4206, sibling, None, None))

def read_its_memory():
    open(f"/proc/{{sibling}}/mem", "rb").read(1)

def read_its_input():
    open(its_input).read()

def reach_its_sockets():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(sockets + "/s-1")

def list_its_sockets():
    os.listdir(sockets)

def meet():
    with socket.socket(socket.AF_UNIX) as here:
        here.bind("\\0" + name)

def meet_by_datagrams():
    with socket.socket(socket.AF_UNIX, socket.SOCK_RAW) as here:
        here.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        here.sendto(b"x", "\\0" + name)

def share_memory():
    refused(libc.shmget(0x5EC2E7, ctypes.c_size_t(4096), 0o1666))

def share_messages():
    refused(libc.mq_open(b"/sibling", 0o102, 0o666, None))

could = []
for reach in (see_scratch, see_process, read_environment, signal_it, own_it, trace_it, read_its_memory, read_its_input,
              reach_its_sockets, list_its_sockets, meet, meet_by_datagrams, share_memory, share_messages,
              signal_anyone):
    try:
        reach()
    except OSError:
        continue
    could.append(reach.__name__)
print(json.dumps(could))
"""


class Siblings:
    """Two kernels of one host, each with its own input."""

    def __init__(self, kernels: JupyterKernels, folder: Path, *, sandboxed: bool) -> None:
        self._kernels = kernels
        self._folder = folder
        self._sandboxed = sandboxed

    async def begin(self) -> None:
        """Start both, and write secrets in the first."""
        self.first = await self._start("first")
        await self._kernels.warm_up(sandboxed=self._sandboxed)
        self.second = await self._start("second")
        await run(self.first, _FIRST)

    async def _start(self, name: str) -> KernelSession:
        pack = self._folder / name
        pack.write_text(f"input of the {name}")
        return await self._kernels.start(KernelSpec(name, ContextFiles(pack), sandboxed=self._sandboxed))

    async def reached(self) -> list[str]:
        """Return the names of the attempts by which the second reached the first."""
        held = await self._pid()
        about = (held, self._sockets(), str(self._folder / "first"), f"met-{os.getpid()}")
        result = await run(self.second, _REACHING.format(about=about))
        assert result.status == "ok", result.error
        return json.loads(result.output)

    async def _pid(self) -> int:
        """Return the number of the first's process outside its namespace."""
        number = int(await self._output("print(os.getpid())", self.first))
        if number != 1:
            return number
        table = await self._output("print(os.stat('/proc/self/ns/pid').st_ino)", self.first)
        below = psutil.Process().children(recursive=True)
        return next(one.pid for one in below if str(_process_table(one.pid)) == table)

    async def _output(self, code: str, session: KernelSession) -> str:
        result = await run(session, code)
        assert result.status == "ok", result.error
        return result.output.strip()

    def _sockets(self) -> str:
        [host] = [one for one in psutil.Process().children() if "durable_rlm.kernel.host" in one.cmdline()]
        folder = Path(json.loads(host.cmdline()[-1])["folder"])
        return str(next(place for place in sorted(folder.glob("*/k*")) if (place / "s-1").exists()))


def _process_table(pid: int) -> int:
    return Path(f"/proc/{pid}/ns/pid").stat().st_ino


@pytest.fixture
async def kernels(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[JupyterKernels]:
    tier: str = request.param
    skip_without(tier)
    kernels = JupyterKernels([tmp_path], tiers=[] if tier == "none" else [tier])
    yield kernels
    await kernels.close()


@pytest.mark.parametrize("kernels", TIERS, indirect=True)
async def test_siblings_cannot_see_signal_read_or_connect_to_each_other(
    kernels: JupyterKernels, tmp_path: Path
) -> None:
    siblings = Siblings(kernels, tmp_path, sandboxed=True)
    await siblings.begin()
    assert await siblings.reached() == []
    assert (await run(siblings.first, "print(secret)")).output == "of the first kernel's\n"


@pytest.mark.parametrize("kernels", ["none"], indirect=True)
async def test_siblings_without_a_sandbox_can_reach_each_other(kernels: JupyterKernels, tmp_path: Path) -> None:
    siblings = Siblings(kernels, tmp_path, sandboxed=False)
    await siblings.begin()
    could = await siblings.reached()
    Path("/tmp/mine").unlink()
    Path("/dev/shm/mine").unlink()
    assert {"see_scratch", "see_process", "read_environment", "signal_it", "signal_anyone", "own_it"} <= set(could)
    assert {"read_its_input", "reach_its_sockets", "list_its_sockets", "meet", "share_memory"} <= set(could)
