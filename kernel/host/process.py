"""One Jupyter kernel in its own process, as the kernel host sees it."""

import asyncio
import contextlib
import signal
import sys
from typing import Any, Protocol

import zmq
import zmq.asyncio

from .frames import BYTES
from .managers import Made, make_manager
from .supply import Supply

WINDOW = 4 << 20
"""Characters of prompts that a kernel may send ahead of their being taken."""
MAX_MESSAGE = 512 << 20
"""Bytes of one part of what a kernel sends: a prompt of the longest that are allowed, as JSON."""
_MESSAGES_AHEAD = 64
"""Messages of a kernel that are taken before they are looked at; then it waits."""
_START_SECONDS = 60.0


class Emit(Protocol):
    """Sends one event of a kernel on, with bytes beside it."""

    async def __call__(self, event: dict[str, Any], attached: bytes = b"") -> None: ...


class KernelProcess:
    """Starts a kernel, carries its messages, ends it. `emit` gets its events."""

    def __init__(self, name: str, context: zmq.asyncio.Context, emit: Emit) -> None:
        self._name = name
        self._emit = emit
        self._context = context
        self._made: Made | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ready: asyncio.Future[dict[str, Any]] | None = None
        self._closing = False

    async def start(self, supply: Supply, request: dict[str, Any]) -> None:
        """Start the process and put the REPL's names in place.

        Raises RuntimeError, saying why not; NoSandbox; EnvironmentUnusable; ForkFailed.
        """
        made = self._made = await make_manager(supply, self._context, request)
        await made.manager.start_kernel(**made.launch)
        self._manager = made.manager
        self._shell = made.manager.connect_shell()
        self._control = made.manager.connect_control()
        self._ready = asyncio.get_running_loop().create_future()
        self._tasks = [
            asyncio.create_task(self._receive(self._shell)),
            asyncio.create_task(self._receive(self._control)),
            asyncio.create_task(self._watch()),
        ]
        await self._send(self._shell, "rlm_setup", request["setup"])
        try:
            reply = await asyncio.wait_for(self._ready, _START_SECONDS)
        except TimeoutError:
            raise RuntimeError(f"the kernel did not answer within {_START_SECONDS:g} s: {made.last_words()}") from None
        if reply["status"] != "ok":
            raise RuntimeError(reply.get("message") or made.last_words())
        await self._send(self._control, "rlm_attach", {"window": WINDOW})

    async def tell(self, request: dict[str, Any]) -> None:
        """Do what the graph's side asks of a kernel that has started. Raises ValueError for what is no operation."""
        match request["op"]:
            case "cell":
                await self.cell(request["blocks"], request["history"])
            case "chunks":
                await self.chunks(request["hashes"], request["sizes"], request[BYTES])
            case "restore":
                await self.restore(request["groups"])
            case "compare":
                await self.compare(request["groups"])
            case "answer":
                await self.answer(request["ack"], request["outcomes"])
            case "interrupt":
                await self.interrupt()
            case "kill":
                await self.kill()
            case operation:
                raise ValueError(f"no such operation: {operation}")

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
        for name in ("_shell", "_control"):
            if socket := getattr(self, name, None):
                socket.close(linger=0)
        if self._made is not None:
            # Not the polite way of the manager, which interrupts first: nothing of it is wanted any more.
            await self._made.end()

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
            message = f"the kernel ended as it started: {self._made.last_words() if self._made else ''}"
            self._ready.set_result({"status": "error", "message": message})
        if not self._closing:
            await self._emit({"event": "died", "kernel": self._name, "exit": code})


def make_context() -> zmq.asyncio.Context:
    """What all sockets of a host belong to. What kernels send is bounded before it is looked at."""
    context = zmq.asyncio.Context()
    context.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
    context.setsockopt(zmq.RCVHWM, _MESSAGES_AHEAD)
    return context


_EVENTS = {
    "rlm_calls": "calls",
    "rlm_cell_reply": "ended",
    "rlm_restore_reply": "restored",
    "rlm_compare_reply": "compared",
}
