"""The kernel host's program: `python -m durable_rlm.kernel.host FD FOLDER`, started by `kernel.jupyter`."""

import asyncio
import contextlib
import os
import shutil
import socket
import sys
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

    async def serve(self) -> None:
        """Until the other side is gone; then every kernel is ended."""
        starting: set[asyncio.Task[None]] = set()
        try:
            while (request := await read_frame(self._reader)) is not None:
                if request["op"] == "start":
                    # Kernels take long to start and do not wait for each other.
                    task = asyncio.create_task(self._reply(request))
                    starting.add(task)
                    task.add_done_callback(starting.discard)
                else:
                    await self._reply(request)
        finally:
            for task in starting:
                task.cancel()
            await asyncio.gather(*starting, return_exceptions=True)
            await asyncio.gather(*(kernel.close() for kernel in self._kernels.values()), return_exceptions=True)

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
        if request["op"] == "start":
            kernel = self._kernels[name] = KernelProcess(name, self._folder, self._emit)
            try:
                await kernel.start(request["setup"], request["memory"])
            except BaseException:
                del self._kernels[name]
                await kernel.close()
                raise
            return
        kernel = self._kernels.get(name)
        if kernel is None:
            return
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
            case "close":
                del self._kernels[name]
                await kernel.close()
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
