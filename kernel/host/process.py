"""One Jupyter kernel in its own process, as the kernel host sees it."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, Protocol

import zmq
from jupyter_client.kernelspec import KernelSpec as JupyterSpec
from jupyter_client.manager import AsyncKernelManager

LAUNCHER = Path(__file__).parent.parent / "inside" / "launch.py"
WINDOW = 4 << 20
"""Characters of prompts that a kernel may send ahead of their being taken."""
_START_SECONDS = 60.0


class Emit(Protocol):
    """Sends one event of a kernel on, with bytes beside it."""

    async def __call__(self, event: dict[str, Any], attached: bytes = b"") -> None: ...


class KernelProcess:
    """Starts a kernel, carries its messages, ends it. `emit` gets its events."""

    def __init__(self, name: str, folder: Path, emit: Emit) -> None:
        self._name = name
        self._emit = emit
        # Unix socket paths end at 107 bytes, so the folder is short and of our own making.
        self._folder = Path(tempfile.mkdtemp(prefix="k", dir=folder))
        self._manager = AsyncKernelManager(transport="ipc")
        self._tasks: list[asyncio.Task[None]] = []
        self._ready: asyncio.Future[dict[str, Any]] | None = None
        self._closing = False

    async def start(self, setup: dict[str, Any], memory: int) -> None:
        """Start the process and put the REPL's names in place. Raises RuntimeError, saying why not."""
        scratch = self._folder / "scratch"
        scratch.mkdir(mode=0o700)
        log = self._folder / "log"
        manager = self._manager
        manager.ip = str(self._folder / "s")
        manager.connection_file = str(self._folder / "connection.json")
        manager._kernel_spec = JupyterSpec(
            argv=[sys.executable, "-P", str(LAUNCHER), "-f", "{connection_file}", *_OPTIONS],
            display_name="rlm",
            language="python",
        )
        with log.open("wb") as output:
            await manager.start_kernel(
                env=_environment(scratch, memory), cwd=str(scratch), stdout=output, stderr=output
            )
        self._shell = manager.connect_shell()
        self._control = manager.connect_control()
        self._ready = asyncio.get_running_loop().create_future()
        self._tasks = [
            asyncio.create_task(self._receive(self._shell)),
            asyncio.create_task(self._receive(self._control)),
            asyncio.create_task(self._watch()),
        ]
        await self._send(self._shell, "rlm_setup", setup)
        try:
            reply = await asyncio.wait_for(self._ready, _START_SECONDS)
        except TimeoutError:
            raise RuntimeError(f"the kernel did not answer within {_START_SECONDS:g} s: {_tail(log)}") from None
        if reply["status"] != "ok":
            raise RuntimeError(reply.get("message") or _tail(log))
        await self._send(self._control, "rlm_attach", {"window": WINDOW})

    async def cell(self, blocks: list[str], history: list[dict[str, str]]) -> None:
        """Run a cell; an `ended` event tells its result."""
        await self._send(self._shell, "rlm_cell", {"blocks": blocks, "history": history})

    async def chunks(self, hashes: list[str], sizes: list[int], attached: bytes) -> None:
        """Hand over pieces of saved variables, before `restore`."""
        await self._send(self._shell, "rlm_chunks", {"hashes": hashes, "sizes": sizes}, attached)

    async def restore(self, groups: list[Any]) -> None:
        """Bring saved variables back; a `restored` event tells which."""
        await self._send(self._shell, "rlm_restore", {"groups": groups})

    async def compare(self, groups: list[Any]) -> None:
        """Compare saved variables with those that are there; a `compared` event tells which differ."""
        await self._send(self._shell, "rlm_compare", {"groups": groups})

    async def answer(self, ack: int, outcomes: list[Any]) -> None:
        """Settle calls."""
        await self._send(self._control, "rlm_answer", {"ack": ack, "outcomes": outcomes})

    async def interrupt(self) -> None:
        """SIGINT: KeyboardInterrupt in the cell."""
        with contextlib.suppress(ProcessLookupError):
            await self._manager.signal_kernel(signal.SIGINT)

    async def kill(self) -> None:
        """SIGKILL; a `died` event follows."""
        with contextlib.suppress(ProcessLookupError):
            await self._manager.signal_kernel(signal.SIGKILL)

    async def close(self) -> None:
        """End the process and forget everything of it."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._manager.has_kernel:
            await self._manager.shutdown_kernel(now=True)
        for name in ("_shell", "_control"):
            if socket := getattr(self, name, None):
                socket.close(linger=0)

    async def _send(self, socket: Any, kind: str, content: dict[str, Any], attached: bytes = b"") -> None:
        session = self._manager.session
        await socket.send_multipart([*session.serialize(session.msg(kind, content)), *([attached] if attached else [])])

    async def _receive(self, socket: Any) -> None:
        session = self._manager.session
        while True:
            try:
                _, parts = session.feed_identities(await socket.recv_multipart())
                message: dict[str, Any] = session.deserialize(parts)
            except zmq.ZMQError:
                return
            except (ValueError, TypeError, KeyError) as error:
                # The kernel's code is hostile by assumption: what is no message is not looked at.
                print(f"a message that is none: {error}", file=sys.stderr)  # noqa: T201
                continue
            await self._dispatch(message["msg_type"], message["content"], message["buffers"])

    async def _dispatch(self, kind: str, content: dict[str, Any], buffers: list[Any]) -> None:
        match kind:
            case "rlm_setup_reply" if self._ready and not self._ready.done():
                self._ready.set_result(content)
            case _ if kind in _EVENTS:
                json = str(content.get("json", ""))
                await self._emit({"event": _EVENTS[kind], "kernel": self._name, "json": json})
            case "rlm_chunks":
                attached = b"".join(bytes(buffer) for buffer in buffers)
                await self._emit({"event": "chunks", "kernel": self._name, "sizes": content.get("sizes")}, attached)
            case _:
                pass

    async def _watch(self) -> None:
        provisioner = self._manager.provisioner
        assert provisioner is not None
        code = await provisioner.wait()
        if self._ready and not self._ready.done():
            message = f"the kernel ended as it started: {_tail(self._folder / 'log')}"
            self._ready.set_result({"status": "error", "message": message})
        if not self._closing:
            await self._emit({"event": "died", "kernel": self._name, "exit": code})


_EVENTS = {
    "rlm_calls": "calls",
    "rlm_cell_reply": "ended",
    "rlm_restore_reply": "restored",
    "rlm_compare_reply": "compared",
}
_OPTIONS = (
    "--HistoryManager.enabled=False",
    "--IPCompleter.use_jedi=False",
    "--InteractiveShell.colors=nocolor",
    "--InteractiveShell.banner1=",
    "--ZMQTerminalInteractiveShell.confirm_exit=False",
)


def _environment(scratch: Path, memory: int) -> dict[str, str]:
    """A clean environment: nothing of the user's, so no secret, reaches a kernel."""
    return {
        "PATH": os.defpath,
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "IPYTHONDIR": str(scratch / ".ipython"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "MPLBACKEND": "agg",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "RLM_MEMORY": str(memory),
    }


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return "no log"
    return " / ".join(lines[-3:]) or "it said nothing"
