"""The kernel host's side of the fork server: starts it in the strongest tier that holds, and requests kernels."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..inside.protocol import CHANNELS, SCRATCH
from .cpu_time import CpuTime, lower_priority
from .python_env import EnvironmentUnusable
from .sandbox_tiers import SandboxSpec, Start, Tier, available, start_in
from .server_start import START_SECONDS, NoSandbox, canary, last_words, spawn

MAX_MESSAGE = 1 << 20
_CREDENTIALS = struct.Struct("iII")
_GOING_SECONDS = 1.0
_NOT_IMPORTED = ("ModuleNotFoundError: ", "ImportError: ")


class ForkFailed(Exception):
    """A kernel could not be forked or confined."""


@dataclass
class ForkedKernel:
    """One kernel, as its host keeps track of it."""

    number: int
    folder: Path
    """Contains its sockets `s-1` to `s-5`, which the kernel itself cannot see."""
    key: str
    status: socket.socket
    ended: "asyncio.Future[int]" = field(repr=False)
    """Its exit status."""
    problem: str = ""
    """Why it could not be forked."""
    process: int = 0
    """Its process id, as this process sees it."""
    own_scratch: bool = False
    """True when it has a scratch folder of its own, in memory."""
    going: bool = False
    """True once it is activated."""
    memory: int = 0
    cpu_seconds: float = 0.0
    """Its limits: bytes of memory including all processes that it starts, and seconds of a core for each cell."""
    cpu_time: CpuTime = field(default_factory=CpuTime)
    cpu_before: float | None = None
    """Seconds of CPU time used before its cell began; None until they are read."""
    killed_because: str = ""


class ForkServer:
    """A fork server, bound to one event loop. Call `start` first and `close` at the end."""

    def __init__(self, folder: Path, wanted: SandboxSpec) -> None:
        """Use `folder` for the kernels' sockets; its path must be short."""
        self._folder = folder
        self._wanted = wanted
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._kernels: dict[int, ForkedKernel] = {}
        self._opened: dict[int, asyncio.Future[list[int]]] = {}
        self._sending = asyncio.Lock()
        self.tier: Tier = "none"
        self.refused: dict[str, list[str]] = {}
        """The stronger tiers that do not hold here, and why."""

    async def start(self, tiers: Sequence[Tier]) -> None:
        """Start the fork server in the first of `tiers` that holds. Raises NoSandbox, EnvironmentUnusable."""
        with contextlib.ExitStack() as canaries:
            targets = canary(self._folder, canaries)
            for tier in available(tiers):
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                refused = await self._try(start_in(tier, self._wanted, targets, theirs.fileno()), ours, theirs)
                if lacking := next((why for why in refused or () if why.startswith(_NOT_IMPORTED)), None):
                    ours.close()
                    raise EnvironmentUnusable(f"{self._wanted.environment.python} cannot start kernels: {lacking}")
                if refused is None:
                    self.tier = tier
                    return
                ours.close()
                self.refused[tier] = refused
        raise NoSandbox(self.refused)

    async def _try(self, start: Start, ours: socket.socket, theirs: socket.socket) -> list[str] | None:
        """Start the fork server in one way. Return None when it serves, else the reasons why not."""
        ours.send(start.plan.encode())
        try:
            self._process = spawn(start, theirs)
        except OSError as error:
            return [str(error)]
        theirs.close()
        ours.setblocking(False)
        try:
            said = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(ours, MAX_MESSAGE), START_SECONDS)
        except (TimeoutError, OSError):
            said = b""
        answer: dict[str, Any] = json.loads(said) if said else {}
        if answer.get("ready"):
            self._control = ours
            asyncio.get_running_loop().add_reader(ours, self._receive)
            return None
        words = await asyncio.to_thread(last_words, self._process)
        return answer.get("refused") or [words]

    @property
    def gone(self) -> bool:
        """True when the fork server has ended."""
        return self._control is None

    @property
    def kernels(self) -> list[ForkedKernel]:
        """The kernels that have not ended."""
        return list(self._kernels.values())

    async def fork(self) -> ForkedKernel:
        """Fork a kernel that is ready and waits for `activate`. Raises ForkFailed."""
        number = next(self._numbers)
        folder = self._folder / f"k{number}"
        folder.mkdir(mode=0o700)
        key = os.urandom(16).hex()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        kernel = ForkedKernel(number, folder, key, ours, asyncio.get_running_loop().create_future())
        kernel.own_scratch = self.tier in ("bubblewrap", "namespaces")
        self._kernels[number] = kernel
        with contextlib.ExitStack() as held:
            held.enter_context(theirs)
            listeners = [held.enter_context(_listening(folder / f"s-{port}")) for port, _ in enumerate(CHANNELS, 1)]
            scratch = self._scratch(folder)
            environment = _kernel_environment(scratch or "/nowhere", self._wanted.environment.packages)
            request = {"op": "fork", "number": number, "key": key, "scratch": scratch, "environment": environment}
            await self._send(request, [theirs.fileno(), *(one.fileno() for one in listeners)])
        try:
            said, kernel.process = await _hear_from(ours)
            answer = json.loads(said) if said else {"error": kernel.problem or "it ended as it was made"}
        except BaseException:
            self.signal(kernel, signal.SIGKILL)
            ours.close()
            raise
        if "error" in answer:
            ours.close()
            raise ForkFailed(answer["error"])
        return kernel

    async def activate(self, kernel: ForkedKernel, memory: int, cpu_seconds: float, files: Mapping[str, str]) -> None:
        """Let a kernel serve, with at most `memory` bytes and `cpu_seconds` a cell, and files to read.

        `files` maps the kernel's path of each file to its real path. Raises ForkFailed.
        """
        lower_priority(kernel.process)
        kernel.going, kernel.memory, kernel.cpu_seconds = True, memory, cpu_seconds
        descriptors = await self._open(list(files.values())) if files else []
        try:
            message = {"memory": memory, "files": {path: at for at, path in enumerate(files)}}
            socket.send_fds(kernel.status, [json.dumps(message).encode()], descriptors)
        except OSError as error:
            raise ForkFailed(f"it has ended: {error}") from error
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
            kernel.status.close()

    def signal(self, kernel: ForkedKernel, which: int) -> None:
        """Send a signal to a kernel and the processes it started; do nothing when it has ended."""
        if self._control is not None and not kernel.ended.done():
            message = {"op": "signal", "number": kernel.number, "signal": int(which)}
            with contextlib.suppress(OSError):
                self._control.send(json.dumps(message).encode())

    async def close(self) -> None:
        """End the fork server with every kernel, and wait until it is gone."""
        self._lose()
        if self._process is not None:
            try:
                await asyncio.to_thread(self._process.wait, _GOING_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)
            if self._process.stderr:
                self._process.stderr.close()

    def _scratch(self, folder: Path) -> str | None:
        """Return the folder to which a kernel may write; None when there is none."""
        if self.tier in ("bubblewrap", "namespaces"):
            return SCRATCH
        if self.tier == "landlock":
            return None
        scratch = folder / "scratch"
        scratch.mkdir(mode=0o700)
        return str(scratch)

    async def _open(self, paths: Sequence[str]) -> list[int]:
        """Have the fork server open files read-only, in its own view. Return the descriptors. Raises ForkFailed."""
        number = next(self._numbers)
        opened: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._opened[number] = opened
        await self._send({"op": "open", "id": number, "paths": list(paths)})
        return await opened

    async def _send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        async with self._sending:
            while True:
                if self._control is None:
                    raise ForkFailed("the fork server is gone")
                try:
                    socket.send_fds(self._control, [json.dumps(message).encode()], descriptors)
                except BlockingIOError:
                    await asyncio.sleep(0.001)
                except OSError as error:
                    self._lose()
                    raise ForkFailed(f"the fork server is gone: {error}") from error
                else:
                    return

    def _receive(self) -> None:
        assert self._control is not None
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, MAX_MESSAGE, 16)
        except BlockingIOError:
            return
        except OSError:
            message, descriptors = b"", []
        if not message:
            self._lose()
            return
        said = json.loads(message)
        if "id" in said:
            self._settle_opened(self._opened.pop(said["id"], None), said, descriptors)
        elif kernel := self._kernels.pop(said["number"], None):
            kernel.problem = said.get("error", "")
            if not kernel.ended.done():
                kernel.ended.set_result(said.get("exit", -1))

    def _settle_opened(
        self, opened: "asyncio.Future[list[int]] | None", said: dict[str, Any], descriptors: list[int]
    ) -> None:
        if opened is None or opened.done():
            for descriptor in descriptors:
                os.close(descriptor)
        elif "error" in said:
            opened.set_exception(ForkFailed(said["error"]))
        else:
            opened.set_result(descriptors)

    def _lose(self) -> None:
        """Record that the fork server is gone, and every kernel with it."""
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control)
            self._control.close()
            self._control = None
        for kernel in self._kernels.values():
            if not kernel.ended.done():
                kernel.ended.set_result(-signal.SIGKILL)
        self._kernels.clear()
        for opened in self._opened.values():
            if not opened.done():
                opened.set_exception(ForkFailed("the fork server is gone"))
        self._opened.clear()


async def _hear_from(status: socket.socket) -> tuple[bytes, int]:
    """Return a kernel's message and its process id in this process's namespace, as the operating system reports it.

    The message is empty when the kernel has ended.
    """
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(status, lambda: readable.done() or readable.set_result(None))
    try:
        await readable
    finally:
        loop.remove_reader(status)
    try:
        said, beside, _, _ = status.recvmsg(MAX_MESSAGE, socket.CMSG_SPACE(_CREDENTIALS.size))
    except OSError:
        return b"", 0
    for level, kind, data in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            return said, _CREDENTIALS.unpack(data)[0]
    return said, 0


def _kernel_environment(scratch: str, packages: Sequence[str]) -> dict[str, str]:
    """Return a clean environment: none of the user's variables, so no secret, reaches a kernel."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": scratch,
        "TMPDIR": scratch,
        "LANG": "C.UTF-8",
        "IPYTHONDIR": f"{scratch}/.ipython",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": f"{scratch}/.matplotlib",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # For programs that a cell starts, because the kernel's own interpreter has no site-packages.
        "PYTHONPATH": ":".join(packages),
    }


def _listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(16)
    return listener
