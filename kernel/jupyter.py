"""Real kernels: Jupyter kernels in a kernel-host process, reached over a socket pair."""

import asyncio
import contextlib
import itertools
import shutil
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ..state.blobs.snapshots import Group
from ..state.errors import KernelLost, KernelStartFailed, NoSandbox, RlmError, UsageError
from ..state.fsync import make_folder
from .answer_parts import Spool
from .cell import BaseSession, cause_of_death
from .host.frames import BYTES, read_frame, write_frame
from .host.message_filter import WINDOW
from .host_process import log_errors, start_host
from .messages import parse_chunks, parse_compared, parse_ended, parse_restored
from .posted_calls import MOST_WEIGHT, parse_calls
from .process_limits import ensure_open_files, short_folder
from .results import Restored
from .session import Answered, Cell, KernelSession, KernelSpec, Outcome, PostedCall, Sandbox
from .untrusted_json import BadMessage

_HELD = 2 * WINDOW + MOST_WEIGHT
"""The most that a kernel's posted and untaken calls may weigh; its window is full before the last one."""
_PROVISIONERS = "jupyter_client.kernel_provisioners"
_NOT_STARTED = "No kernel could be started: "
_GOING = 1.0
"""Seconds that the kernel host has to end its kernels; when it is killed, they end with it."""


class JupyterKernels:
    """The sessions in a kernel host, which is started when first needed. Bound to one event loop."""

    def __init__(self, inputs: Sequence[Path] = (), *, hidden: Sequence[Path] = (), tiers: Sequence[str] = ()) -> None:
        """Set the host's settings.

        `inputs`: folders that contain contexts. `hidden`: folders that no kernel sees. `tiers`: sandboxes to try.
        """
        self._settings = {
            "inputs": [str(folder.absolute()) for folder in inputs],
            "hidden": [str(folder.absolute()) for folder in hidden],
            "tiers": list(tiers),
        }
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._logging: asyncio.Task[None] | None = None
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._sessions: dict[str, JupyterSession] = {}
        self._numbers = itertools.count(1)
        self._starting = asyncio.Lock()
        self._folder: str | None = None
        self._packages: dict[str, Sequence[str]] = {}
        self._tried: set[str] = set()
        """The provisioners that have started a kernel."""

    async def warm_up(self, *, sandboxed: bool = True, environment: str = "") -> Sandbox:
        await self._ensure_host()
        try:
            held = await self.request("prepare", "", sandboxed=sandboxed, environment=environment)
        except KernelLost as error:
            raise KernelStartFailed(f"The kernel host did not start: {error}") from error
        self._packages[environment] = held["packages"]
        return Sandbox(held["tier"], held["refused"], held["packages"])

    async def try_provisioner(self, name: str) -> None:
        if name in self._tried:
            return
        there = sorted({one.name for one in entry_points(group=_PROVISIONERS)})
        if name not in there:
            raise UsageError(
                f"No kernel provisioner named {name} is installed.",
                hint=f"--kernel-provisioner takes one of these: {', '.join(there)}.",
            )
        try:
            session = await self.start(KernelSpec("", sub_calls=False, provisioner=name))
            await session.close()
        except KernelStartFailed as error:
            why = error.message.removeprefix(_NOT_STARTED)
            raise UsageError(
                f"The kernel provisioner {name} starts no kernel: {why}", hint="See --kernel-provisioner."
            ) from error
        self._tried.add(name)

    def packages(self, environment: str = "") -> Sequence[str]:
        return self._packages.get(environment, ())

    async def start(self, spec: KernelSpec) -> KernelSession:
        await self._ensure_host()
        name = f"k{next(self._numbers)}"
        session = JupyterSession(self, name, spec)
        self._sessions[name] = session
        try:
            await self.request("start", name, setup=spec.setup(), **spec.process())
        except KernelLost as error:
            self._sessions.pop(name, None)
            raise KernelStartFailed(f"{_NOT_STARTED}{error}", hint="See `rlm doctor`.") from error
        except RlmError:
            self._sessions.pop(name, None)
            raise
        except asyncio.CancelledError:
            self._sessions.pop(name, None)
            with contextlib.suppress(KernelLost):
                self.send("close", name)
            raise
        return session

    async def _ensure_host(self) -> None:
        async with self._starting:
            if self._process is None or self._writer is None or self._writer.is_closing():
                await self._clean_up()
                await self._launch()

    async def close(self) -> None:
        """End every kernel and the host, and wait until they are gone."""
        if self._process is None:
            return
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._writer:
            self._writer.close()
            await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)
        await self._clean_up()
        self._lose_all("the kernel host was closed")

    async def request(self, operation: str, kernel: str, **fields: Any) -> dict[str, Any]:
        """Send a request and return the host's reply.

        Raises KernelStartFailed with the host's error, NoSandbox, UsageError for an environment that cannot be used,
        KernelLost.
        """
        number = next(self._numbers)
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[number] = reply
        self.send(operation, kernel, id=number, **fields)
        answer = await reply
        match answer:
            case {"kind": "no-sandbox", "error": why, "hint": hint}:
                raise NoSandbox(why, hint=hint)
            case {"kind": "environment", "error": why}:
                raise UsageError(f"The environment for kernels cannot be used: {why}.", hint="See --kernel-env.")
            case {"error": why}:
                raise KernelStartFailed(f"{_NOT_STARTED}{why}", hint="See `rlm doctor`.")
            case _:
                return answer

    def send(self, operation: str, kernel: str, *, id: int = 0, attached: bytes = b"", **fields: Any) -> None:
        """Send a request without waiting for a reply. Raises KernelLost."""
        if self._writer is None or self._writer.is_closing():
            raise KernelLost("The kernel host is gone.")
        write_frame(self._writer, {"id": id, "op": operation, "kernel": kernel, **fields}, attached)

    async def send_and_drain(self, operation: str, kernel: str, attached: bytes, **fields: Any) -> None:
        """Send a request that may be large, and wait until most of it has left. Raises KernelLost."""
        self.send(operation, kernel, attached=attached, **fields)
        assert self._writer is not None
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise KernelLost("The kernel host is gone.") from error

    def forget(self, name: str) -> None:
        """Remove a closed session."""
        self._sessions.pop(name, None)

    async def _clean_up(self) -> None:
        """Wait for a host that is ending, kill it if it takes too long, and remove its folder."""
        if self._process is not None:
            try:
                await asyncio.wait_for(self._process.wait(), _GOING)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
            self._process = None
        if self._logging is not None:
            await asyncio.wait([self._logging], timeout=_GOING)
            self._logging.cancel()
            self._logging = None
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
            self._folder = None

    async def _launch(self) -> None:
        ensure_open_files()
        # Removed by the host, or by us when it was killed.
        self._folder = await asyncio.to_thread(short_folder)
        for folder in self._settings["inputs"]:
            # Created before the host starts a kernel that sees it.
            await asyncio.to_thread(make_folder, Path(folder))
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await start_host(theirs.fileno(), {**self._settings, "folder": self._folder})
        self._logging = asyncio.create_task(log_errors(self._process))
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=1 << 26)
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        reason = "the kernel host died"
        try:
            while (message := await read_frame(reader)) is not None:
                if "event" in message:
                    if session := self._sessions.get(message["kernel"]):
                        session.on_event(message)
                elif (reply := self._replies.pop(message["id"], None)) and not reply.done():
                    # A reply that is done was cancelled with its request.
                    reply.set_result(message)
        except ValueError as error:
            reason = f"the kernel host sent {error}"
        if self._writer:
            self._writer.close()
        self._lose_all(reason)

    def _lose_all(self, reason: str) -> None:
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(KernelLost(f"{reason.capitalize()}."))
                reply.exception()  # mark as retrieved: nothing may await it any more
        self._replies.clear()
        for session in list(self._sessions.values()):
            session.lose(reason)


class JupyterSession(BaseSession):
    """One kernel in the host. See `session.KernelSession` for its methods."""

    def __init__(self, kernels: JupyterKernels, name: str, spec: KernelSpec) -> None:
        super().__init__(spec)
        self._kernels = kernels
        self._name = name
        self._outcomes: list[tuple[int, dict[str, Any]]] = []
        self._scheduled = False
        self._acknowledged = self._unacknowledged = 0
        """The id of the last acknowledged call, and the weight of the calls taken since."""
        self._chunks: list[bytes] = []
        self._chunk_bytes = 0

    async def restore(self, groups: Sequence[Group], batches: AsyncIterator[Mapping[str, bytes]]) -> Restored:
        return await self._handed("restore", groups, batches)

    async def compare(self, groups: Sequence[Group], batches: AsyncIterator[Mapping[str, bytes]]) -> Sequence[str]:
        return await self._handed("compare", groups, batches)

    async def _handed(
        self, operation: str, groups: Sequence[Group], batches: AsyncIterator[Mapping[str, bytes]]
    ) -> Any:
        """Send saved variables and return the kernel's parsed reply. Raises KernelLost."""
        async for batch in batches:
            sizes = [len(chunk) for chunk in batch.values()]
            attached = b"".join(batch.values())
            await self._kernels.send_and_drain("chunks", self._name, attached, hashes=list(batch), sizes=sizes)
        if self._lost:
            raise self._lost
        self._answer = asyncio.get_running_loop().create_future()
        self._kernels.send(operation, self._name, groups=list(groups))
        try:
            return await asyncio.wait_for(asyncio.shield(self._answer), self._spec.cell_timeout)
        except TimeoutError:
            # Loading may run code of the run, such as the hash methods of its objects.
            self._send("kill")
            self.lose("loading its variables took too long")
            return await self._answer

    async def begin(self, cell: Cell) -> None:
        self._stand(lambda: self._send("interrupt"), lambda: self._send("kill"))
        if self._seen > self._acknowledged:
            self._send_outcomes()
        self._kernels.send("cell", self._name, blocks=list(cell.blocks), history=list(cell.history))

    async def next_call(self) -> PostedCall | None:
        call = await super().next_call()
        if call is not None:
            self._unacknowledged += call.weight
            if self._unacknowledged > WINDOW // 4:
                self._schedule_outcomes()
        return call

    async def deliver(self, call_id: int, outcome: Outcome) -> None:
        if not self._was_answered(call_id, outcome):
            return
        if isinstance(outcome, Answered):
            content: dict[str, Any] = {"value": outcome.value}
        else:
            content = {"error": {"kind": outcome.kind, "message": outcome.message}}
        self._outcomes.append((call_id, content))
        self._schedule_outcomes()

    async def interrupt(self) -> None:
        self._send("interrupt")

    async def close(self) -> None:
        self._kernels.forget(self._name)
        if not self._lost:
            self.lose("it was closed")
            try:
                await self._kernels.request("close", self._name)
            except (KernelLost, KernelStartFailed):
                return

    def on_event(self, message: dict[str, Any]) -> None:
        """Take an event from the kernel; a malformed one ends the kernel."""
        if self._lost:
            return
        try:
            self._take(message["event"], message.get("sizes"), message.get(BYTES, b""))
        except BadMessage as error:
            self._refuse(str(error))
        except (ArithmeticError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
            # No message of one kernel may stop the reading of the others' messages.
            self._refuse(f"what could not be read ({type(error).__name__})")
        else:
            if message["event"] == "died":
                stopped = self._cell.stopped if self._cell else ""
                self.lose(message.get("why") or cause_of_death(message.get("exit"), stopped))

    def _take(self, event: str, sizes: Any, said: bytes) -> None:
        """Take an event's content. Raises BadMessage."""
        match event:
            case "calls":
                self._take_calls(parse_calls(said))
            case "chunks" if self._cell and not self._cell.ended:
                self._take_chunks(parse_chunks(sizes, said))
            case "part":
                self._take_part(said)
            case "ended" if self._cell and not self._cell.ended:
                chunks, self._chunks, self._chunk_bytes = self._chunks, [], 0
                spool, self._spool = self._spool, Spool(self._spec.spool)
                self._cell.end(parse_ended(said, chunks, spool))
            case "restored" if self._answer and not self._answer.done():
                self._answer.set_result(parse_restored(said))
            case "compared" if self._answer and not self._answer.done():
                self._answer.set_result(parse_compared(said))
            case _:
                pass

    def _refuse(self, what: str) -> None:
        self._send("kill")
        self.lose(f"it sent {what}")

    def _take_calls(self, calls: list[PostedCall]) -> None:
        if self._cell is None:
            # Calls of a cell whose end has overtaken them: nothing waits for an answer.
            self._seen = max(self._seen, calls[-1].id)
            return
        self._cell.post(calls)
        if self._cell.held > _HELD:
            raise BadMessage("more sub-calls than it may at once")

    def _take_chunks(self, chunks: list[bytes]) -> None:
        """Keep chunks until the cell's end. Raises BadMessage for more than the kernel's memory can hold."""
        self._chunk_bytes += sum(map(len, chunks))
        if self._chunk_bytes > self._spec.memory:
            raise BadMessage("more of its variables than it has memory for")
        self._chunks += chunks

    def _take_part(self, part: bytes) -> None:
        """Keep a part of an answer on disk until the cell's end. Raises BadMessage for more than one may have."""
        if self._cell and not self._cell.ended:
            self._spool.add(part)
        self._send("taken")

    def lose(self, reason: str) -> None:
        """Record that the kernel is gone, and raise KernelLost with the reason in every waiter."""
        if self._lost:
            return
        self._lose(KernelLost(f"The kernel died: {reason}."))

    def _schedule_outcomes(self) -> None:
        """Schedule one message for all that is delivered and taken in one turn of the event loop."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._send_outcomes)

    def _send_outcomes(self) -> None:
        self._scheduled = False
        outcomes, self._outcomes = self._outcomes, []
        if self._lost is None and self._cell is not None:
            # Calls that are no longer held here are acknowledged: the kernel may post as much again.
            self._acknowledged, self._unacknowledged = self._cell.taken, 0
            self._kernels.send("answer", self._name, ack=self._acknowledged, outcomes=outcomes)

    def _send(self, operation: str) -> None:
        if self._lost is None:
            self._kernels.send(operation, self._name)
