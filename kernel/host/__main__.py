"""The kernel host's program: `python -m durable_rlm.kernel.host FD FOLDER`, started by `kernel.jupyter`."""

import asyncio
import contextlib
import os
import shutil
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

from .frames import BYTES, read_frame, write_frame
from .process import KernelProcess


class Host:
    """Serves one connection: requests `{"id", "op", "kernel", …}`, replies by id, events beside them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, folder: Path) -> None:
        self._reader = reader
        self._writer = writer
        self._folder = folder
        self._kernels: dict[str, KernelProcess] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Until the other side is gone; then every kernel is ended."""
        try:
            while (request := await read_frame(self._reader)) is not None:
                if request["op"] == "start":
                    # Kernels take long to start and do not wait for each other.
                    name = str(request["kernel"])
                    task = self._starting[name] = asyncio.create_task(self._reply(request))
                    task.add_done_callback(partial(self._started, name))
                else:
                    await self._reply(request)
        finally:
            for name in list(self._starting):
                await self._give_up(name)
            await asyncio.gather(*(kernel.close() for kernel in self._kernels.values()), return_exceptions=True)

    def _started(self, name: str, task: asyncio.Task[None]) -> None:
        del task
        self._starting.pop(name, None)

    async def _give_up(self, name: str) -> None:
        """End a kernel that is being started."""
        if task := self._starting.get(name):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _emit(self, event: dict[str, Any], attached: bytes = b"") -> None:
        write_frame(self._writer, event, attached)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def _reply(self, request: dict[str, Any]) -> None:
        try:
            await self._handle(request)
            reply: dict[str, Any] = {"id": request["id"]}
        except Exception as error:
            reply = {"id": request["id"], "error": str(error) or type(error).__name__}
        await self._emit(reply)

    async def _handle(self, request: dict[str, Any]) -> None:
        name = str(request["kernel"])
        match request["op"]:
            case "start":
                await self._start(name, request)
            case "close":
                await self._give_up(name)
                if kernel := self._kernels.pop(name, None):
                    await kernel.close()
            case _ if kernel := self._kernels.get(name):
                await _tell(kernel, request)
            case _:
                pass

    async def _start(self, name: str, request: dict[str, Any]) -> None:
        kernel = self._kernels[name] = KernelProcess(name, self._folder, self._emit)
        try:
            await kernel.start(request["setup"], request["memory"])
        except BaseException:
            del self._kernels[name]
            await kernel.close()
            raise


async def _tell(kernel: KernelProcess, request: dict[str, Any]) -> None:
    match request["op"]:
        case "cell":
            await kernel.cell(request["blocks"], request["history"])
        case "chunks":
            await kernel.chunks(request["hashes"], request["sizes"], request[BYTES])
        case "restore":
            await kernel.restore(request["groups"])
        case "compare":
            await kernel.compare(request["groups"])
        case "answer":
            await kernel.answer(request["ack"], request["outcomes"])
        case "interrupt":
            await kernel.interrupt()
        case "kill":
            await kernel.kill()
        case operation:
            raise ValueError(f"no such operation: {operation}")


async def main(descriptor: int, folder: Path) -> None:
    """Serve the socket `descriptor` with kernels in `folder`, which is removed at the end."""
    os.umask(0o077)
    try:
        reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor), limit=1 << 26)
        await Host(reader, writer, folder).serve()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
