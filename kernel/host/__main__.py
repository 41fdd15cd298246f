"""The kernel host's program: `python -m durable_rlm.kernel.host FD SETTINGS`, started by `kernel.jupyter`.

SETTINGS is JSON: `folder` (short, for sockets; removed at the end), `inputs` (folders whose files kernels may be
given), `hidden` (folders that no kernel sees) and `tiers` (the sandboxes to try; all if empty).
"""

import asyncio
import contextlib
import importlib
import json
import shutil
import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .fork_server import ForkFailed, NoSandbox
from .frames import read_frame, write_frame
from .kernel_pool import AHEAD, FORKING, ForkServerPool
from .python_env import EnvironmentUnusable

if TYPE_CHECKING:
    from .kernel_process import KernelProcess


class Host:
    """The server of one connection: requests `{"id", "op", "kernel", …}`, replies by id, and events."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pool: ForkServerPool) -> None:
        self._reader = reader
        self._writer = writer
        self._supply = pool
        self._kernels: dict[str, KernelProcess] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Serve until the other side is gone, then end every kernel."""
        try:
            while (request := await read_frame(self._reader)) is not None:
                if request["op"] in ("start", "prepare"):
                    # Kernels take long to start, so they start concurrently.
                    name = str(request["kernel"])
                    task = self._starting[name] = asyncio.create_task(self._reply(request))
                    task.add_done_callback(partial(self._started, name))
                else:
                    await self._reply(request)
        finally:
            self._writer.close()
            for name in list(self._starting):
                await self._give_up(name)
            # Kernels of fork servers end with their server, all at once; afterwards there is nothing to wait for.
            await self._supply.close()
            await asyncio.gather(*(kernel.close() for kernel in self._kernels.values()), return_exceptions=True)

    def _started(self, name: str, task: asyncio.Task[None]) -> None:
        del task
        self._starting.pop(name, None)

    async def _give_up(self, name: str) -> None:
        """Cancel the start of a kernel."""
        if task := self._starting.get(name):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _emit(self, event: dict[str, Any], attached: bytes = b"") -> None:
        if self._writer.is_closing():
            return
        write_frame(self._writer, event, attached)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def _reply(self, request: dict[str, Any]) -> None:
        try:
            reply = {"id": request["id"], **(await self._handle(request) or {})}
        except NoSandbox as error:
            reply = {"id": request["id"], "error": str(error), "kind": "no-sandbox", "hint": error.hint}
        except EnvironmentUnusable as error:
            reply = {"id": request["id"], "error": str(error), "kind": "environment"}
        except Exception as error:
            reply = {"id": request["id"], "error": str(error) or type(error).__name__}
        await self._emit(reply)

    async def _handle(self, request: dict[str, Any]) -> dict[str, Any] | None:
        name = str(request["kernel"])
        match request["op"]:
            case "prepare":
                return await self._prepare(request)
            case "start":
                await self._start(name, request)
            case "close":
                await self._give_up(name)
                if kernel := self._kernels.pop(name, None):
                    await kernel.close()
            case _ if kernel := self._kernels.get(name):
                await kernel.handle(request)
            case _:
                pass
        return None

    async def _prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start a fork server. Return the tier that holds, why stronger ones do not, and what code can import."""
        if not FORKING:
            if request["sandboxed"]:
                raise NoSandbox({sys.platform: ["there is a sandbox for Linux only"]})
            return {"tier": "none", "refused": {}, "packages": []}
        # Import the host's own modules while the fork server imports what it needs.
        source, _ = await asyncio.gather(
            self._supply.source(sandboxed=request["sandboxed"], environment=request["environment"]),
            asyncio.to_thread(importlib.import_module, f"{__package__}.kernel_process"),
        )
        return {"tier": source.server.tier, "refused": source.server.refused, "packages": source.offers}

    async def _start(self, name: str, request: dict[str, Any]) -> None:
        for _ in range(AHEAD + 1):
            # The kernels forked ahead, or the fork server, may have died, which shows only now.
            with contextlib.suppress(ForkFailed):
                await self._start_once(name, request)
                return
        await self._start_once(name, request)

    async def _start_once(self, name: str, request: dict[str, Any]) -> None:
        from .kernel_process import KernelProcess

        kernel = self._kernels[name] = KernelProcess(name, self._emit)
        try:
            await kernel.start(self._supply, request)
        except BaseException:
            del self._kernels[name]
            await kernel.close()
            raise


async def main(descriptor: int, settings: dict[str, Any]) -> None:
    """Serve the socket `descriptor`, and remove the folder at the end."""
    folder = Path(settings["folder"])
    inputs, hidden = ([Path(path) for path in settings[name]] for name in ("inputs", "hidden"))
    try:
        reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor), limit=1 << 26)
        await Host(reader, writer, ForkServerPool(folder, inputs, hidden, settings["tiers"])).serve()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), json.loads(sys.argv[2])))
