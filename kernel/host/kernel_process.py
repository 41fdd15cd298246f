"""The kernel host's side of one Jupyter kernel in its own process."""

import asyncio
import contextlib
import signal
from typing import Any, Protocol

from ..inside.protocol import Message
from .fork_server import ForkFailed
from .frames import BYTES
from .kernel_pool import ForkServerPool
from .launch import ManagedKernel, make_manager
from .message_filter import WINDOW, KernelMessage, MessageFilter, ProtocolViolation
from .zmtp import Address, ChannelClosed, NotTaken, OutboundQueue, ZmtpConnection

_START_SECONDS = 60.0
_ENDING_SECONDS = 2.0
_REASON = 1000


class Emit(Protocol):
    """A function that forwards one event of a kernel, with attached bytes."""

    async def __call__(self, event: dict[str, Any], attached: bytes = b"") -> None: ...


class KernelProcess:
    """One kernel: its start, its messages and its end. `emit` receives its events."""

    def __init__(self, name: str, emit: Emit) -> None:
        self._name = name
        self._emit = emit
        self._made: ManagedKernel | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._channels: list[ZmtpConnection] = []
        """The shell and control channels."""
        self._ready: asyncio.Future[dict[str, Any]] | None = None
        self._closing = False
        self._gone = False
        self._ended_because = ""

    async def start(self, pool: ForkServerPool, request: dict[str, Any]) -> None:
        """Start the process and set the REPL's names.

        Raises RuntimeError with the reason, NoSandbox, EnvironmentUnusable, ForkFailed.
        """
        made = self._made = await make_manager(pool, request)
        await made.manager.start_kernel(**made.launch)
        self._manager = made.manager
        self._ready = asyncio.get_running_loop().create_future()
        self._tasks = [asyncio.create_task(self._watch())]
        try:
            reply = await asyncio.wait_for(self._set_up(made, request), _START_SECONDS)
        except TimeoutError:
            raise RuntimeError(f"the kernel did not answer within {_START_SECONDS:g} s: {made.last_words()}") from None
        if reply.get("status") == "ended":
            raise ForkFailed(str(reply["message"]))
        if reply.get("status") != "ok":
            raise RuntimeError(str(reply.get("message") or made.last_words())[:_REASON])
        await self._send(self._to_control, Message.ATTACH, {"window": WINDOW})

    async def _set_up(self, made: ManagedKernel, request: dict[str, Any]) -> dict[str, Any]:
        """Connect, and have the kernel set its names. Return its reply, or a message that says why it ended."""
        assert self._ready is not None
        connecting = asyncio.create_task(self._connect(made.manager))
        await asyncio.wait({connecting, self._ready}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if not connecting.done():
                connecting.cancel()
                return await self._ready
            await connecting
        except ChannelClosed:
            # The kernel has ended: `_watch` will set the reason.
            return await self._ready
        except ProtocolViolation as error:
            return {"message": f"the kernel sent {error}"}
        self._filter = MessageFilter(made.manager.session.sign)
        self._to_shell, self._to_control = (
            OutboundQueue(connection, request["memory"]) for connection in self._channels
        )
        for connection, sending in zip(self._channels, (self._to_shell, self._to_control), strict=True):
            self._tasks += [asyncio.create_task(sending.carry()), asyncio.create_task(self._receive(connection))]
        await self._send(self._to_shell, Message.SETUP, request["setup"])
        return await self._ready

    async def _connect(self, manager: Any) -> None:
        ports = manager.shell_port, manager.control_port
        addresses = [Address(manager.transport, manager.ip, port) for port in ports]
        self._channels = await asyncio.gather(*map(ZmtpConnection.open, addresses))

    async def handle(self, request: dict[str, Any]) -> None:
        """Handle a request to a kernel that has started. Raises ValueError for an unknown operation."""
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
            case "taken":
                await self._send(self._to_control, Message.TAKEN, {})
            case "interrupt":
                await self.interrupt()
            case "kill":
                await self.kill()
            case operation:
                raise ValueError(f"no such operation: {operation}")

    async def cell(self, blocks: list[str], history: list[dict[str, str]]) -> None:
        """Run a cell; an `ended` event reports its result."""
        assert self._made is not None
        self._made.cell_begins()
        await self._send(self._to_shell, Message.CELL, {"blocks": blocks, "history": history})

    async def chunks(self, hashes: list[str], sizes: list[int], attached: bytes) -> None:
        """Send chunks of saved variables, before `restore` or `compare`."""
        await self._send(self._to_shell, Message.CHUNKS, {"hashes": hashes, "sizes": sizes}, attached)

    async def restore(self, groups: list[Any]) -> None:
        """Restore saved variables; a `restored` event reports which."""
        await self._send(self._to_shell, Message.RESTORE, {"groups": groups})

    async def compare(self, groups: list[Any]) -> None:
        """Compare saved variables with the kernel's; a `compared` event reports which differ."""
        await self._send(self._to_shell, Message.COMPARE, {"groups": groups})

    async def answer(self, ack: int, outcomes: list[Any]) -> None:
        """Send the outcomes of calls, and acknowledge the calls up to `ack`."""
        await self._send(self._to_control, Message.ANSWER, {"ack": ack, "outcomes": outcomes})

    async def interrupt(self) -> None:
        """Send SIGINT, which raises KeyboardInterrupt in the cell."""
        with contextlib.suppress(ProcessLookupError):
            await self._manager.signal_kernel(signal.SIGINT)

    async def kill(self) -> None:
        """Send SIGKILL; a `died` event follows."""
        with contextlib.suppress(ProcessLookupError):
            await self._manager.signal_kernel(signal.SIGKILL)

    async def close(self) -> None:
        """End the process and release its resources, without a `died` event."""
        self._closing = True
        await self._let_go()

    async def _let_go(self) -> None:
        self._gone = True
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._channels:
            connection.close()
        if self._made is not None:
            # Not the manager's graceful shutdown, which interrupts first: nothing of the kernel is needed any more.
            await self._made.end()

    async def _send(self, sending: OutboundQueue, kind: str, content: dict[str, Any], attached: bytes = b"") -> None:
        if self._gone:
            return
        session = self._manager.session
        self._filter.expect_reply(kind)
        try:
            sending.put([*session.serialize(session.msg(kind, content)), *([attached] if attached else [])])
        except NotTaken as error:
            await self._give_up(str(error))

    async def _receive(self, connection: ZmtpConnection) -> None:
        try:
            while True:
                if message := self._filter.accept(await connection.receive()):
                    await self._pass_on(message)
        except ProtocolViolation as error:
            await self._give_up(f"it sent {error}")
        except ChannelClosed:
            # A kernel that ends also closes its connections.
            assert self._manager.provisioner is not None
            try:
                await asyncio.wait_for(self._manager.provisioner.wait(), _ENDING_SECONDS)
            except TimeoutError:
                await self._give_up("it closed its connection")

    async def _pass_on(self, message: KernelMessage) -> None:
        if message.event == "setup":
            assert self._ready is not None
            if not self._ready.done():
                self._ready.set_result(message.content)
            return
        event = {"event": message.event, "kernel": self._name, "sizes": message.content.get("sizes")}
        await self._emit(event, message.attached)

    async def _give_up(self, why: str) -> None:
        """Kill the kernel and record why; a `died` event follows."""
        self._ended_because = self._ended_because or why
        await self.kill()

    async def _watch(self) -> None:
        provisioner = self._manager.provisioner
        assert provisioner is not None
        code = await provisioner.wait()
        if self._ready and not self._ready.done():
            why = self._ended_because or (self._made.last_words() if self._made else "")
            message = f"the kernel ended as it started: {why}"
            self._ready.set_result({"status": "ended", "message": message})
        if not self._closing:
            why = self._ended_because or (self._made.killed_because if self._made else "")
            await self._emit({"event": "died", "kernel": self._name, "exit": code, "why": why})
            await self._let_go()
