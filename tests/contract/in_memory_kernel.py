"""Kernels without Jupyter: the same REPL in a thread of this process.

For tests of the layers above a session. It passes the same contract as the real one, and isolates nothing: code that
runs here can do anything that this process can.
"""

import ast
import asyncio
import contextlib
import ctypes
import inspect
import io
import json
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from typing import Any

from durable_rlm.kernel.answer_parts import Spool
from durable_rlm.kernel.cell import BaseSession
from durable_rlm.kernel.inside.answer_parts import parts_of
from durable_rlm.kernel.inside.blocks import Blocks
from durable_rlm.kernel.inside.output import Capture
from durable_rlm.kernel.inside.repl import KernelRepl
from durable_rlm.kernel.messages import parse_compared, parse_ended, parse_restored
from durable_rlm.kernel.posted_calls import parse_calls
from durable_rlm.kernel.results import Restored
from durable_rlm.kernel.session import Answered, Cell, KernelSession, KernelSpec, Outcome, Sandbox
from durable_rlm.state.blobs.snapshots import Group
from durable_rlm.state.errors import KernelLost, KernelStartFailed

_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


class MemoryKernels:
    """A factory of in-memory sessions."""

    def __init__(self) -> None:
        self.sessions: list[MemorySession] = []

    async def warm_up(self, *, sandboxed: bool = True, environment: str = "") -> Sandbox:
        del sandboxed, environment
        return Sandbox("none")

    async def try_provisioner(self, name: str) -> None:
        del name

    def packages(self, environment: str = "") -> Sequence[str]:
        del environment
        return ()

    async def start(self, spec: KernelSpec) -> KernelSession:
        try:
            session = MemorySession(spec, asyncio.get_running_loop())
        except OSError as error:
            raise KernelStartFailed(f"No kernel could be started: {error}") from error
        self.sessions.append(session)
        return session

    async def close(self) -> None:
        for session in self.sessions:
            await session.close()


class MemorySession(BaseSession):
    """One REPL in this process. `session.KernelSession` documents its methods."""

    def __init__(self, spec: KernelSpec, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(spec)
        self._loop = loop
        self._namespace: dict[str, Any] = {"__name__": "__main__"}
        self._repl = KernelRepl(self._namespace, self._posted, spec.setup(), own_process=False)
        self._thread: threading.Thread | None = None

    async def restore(self, groups: Sequence[Group], batches: AsyncIterator[Mapping[str, bytes]]) -> Restored:
        return parse_restored(json.dumps(self._repl.restore(*await self._handed(groups, batches))))

    async def compare(self, groups: Sequence[Group], batches: AsyncIterator[Mapping[str, bytes]]) -> Sequence[str]:
        return parse_compared(json.dumps(self._repl.compare(*await self._handed(groups, batches))))

    async def _handed(
        self, groups: Sequence[Group], batches: AsyncIterator[Mapping[str, bytes]]
    ) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
        if self._lost:
            raise self._lost
        return [dict(group) for group in groups], {
            name: body async for batch in batches for name, body in batch.items()
        }

    async def begin(self, cell: Cell) -> None:
        self._stand(self._raise_interrupt, lambda: self.kill("it overran"))
        self._thread = threading.Thread(
            target=self._run, args=(cell,), name=f"cell of {self._spec.thread_id}", daemon=True
        )
        self._thread.start()

    async def deliver(self, call_id: int, outcome: Outcome) -> None:
        if not self._was_answered(call_id, outcome):
            return
        if isinstance(outcome, Answered):
            self._repl.registry.settle(call_id, {"value": outcome.value})
        else:
            self._repl.registry.settle(call_id, {"error": {"kind": outcome.kind, "message": outcome.message}})

    async def interrupt(self) -> None:
        self._raise_interrupt()

    async def close(self) -> None:
        self.kill("it was closed")

    def kill(self, reason: str) -> None:
        """End the session as if its process had died: waiting callers get KernelLost, and the thread runs on."""
        if self._lost is None:
            self._repl.registry.close()
            self._lose(KernelLost(f"The kernel died: {reason}."))

    def _posted(self) -> None:
        # The cell's threads call this.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._push)

    def _push(self) -> None:
        if self._cell and self._lost is None:
            # As many at a time as a kernel posts; `messages.py` limits the calls of one message.
            while calls := self._repl.registry.take(self._cell.highest, 256, 1 << 40)[0]:
                self._cell.post(parse_calls(json.dumps(calls)))

    def _raise_interrupt(self) -> None:
        if self._thread and self._thread.ident:
            error = ctypes.py_object(KeyboardInterrupt)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), error)

    def _run(self, cell: Cell) -> None:
        self._repl.begin([dict(entry) for entry in cell.history], cell.blocks)
        output = Capture()
        error: dict[str, str] | None = None
        blocks, began = Blocks(output, self._repl.registry.waited), time.perf_counter()
        for number, block in enumerate(cell.blocks, 1):
            self._repl.begin_block(number)
            blocks.begin()
            error = _execute(block, self._namespace, output)
            blocks.end(error)
            if error:
                break
        spool = Spool()
        try:
            ended = self._repl.end(succeeded=error is None)
            for part in parts_of(ended["final"], ""):
                spool.add(part)
        except Exception as failure:
            error = {"name": type(failure).__name__, "message": str(failure), "traceback": f"at FINAL: {failure}"}
            ended = self._repl.end(succeeded=False)
        saved, chunks = self._repl.snapshot(cell.blocks)
        reply = json.dumps(
            {
                "output": output.text(),
                "error": error,
                "seconds": time.perf_counter() - began,
                "blocks": blocks.said(),
                **ended,
                "snapshot": saved,
                "displays": self._repl.displays(saved, ended["variables"]),
                "seen": self._repl.seen(output.text()),
            }
        )
        with contextlib.suppress(RuntimeError):  # the loop is closed: no caller waits
            self._loop.call_soon_threadsafe(self._ended, reply, chunks, spool)

    def _ended(self, reply: str, chunks: list[bytes], spool: Spool) -> None:
        if self._cell and self._lost is None:
            self._cell.end(parse_ended(reply, chunks, spool))


def _execute(code: str, namespace: dict[str, Any], output: Capture) -> dict[str, str] | None:
    """Run one block and print the value of a last expression, as Jupyter does. Return the error, if any."""
    stream = io.TextIOWrapper(io.BytesIO())
    stream.write = output.write  # type: ignore[method-assign]
    with _OUT.redirected(stream), _ERR.redirected(stream):
        try:
            tree = ast.parse(code)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            _evaluate(compile(tree, "<cell>", "exec", _AWAIT), namespace)
            if isinstance(last, ast.Expr):
                value = _evaluate(compile(ast.Expression(last.value), "<cell>", "eval", _AWAIT), namespace)
                if value is not None:
                    output.write(f"{value!r}\n")
        except BaseException as error:
            text = "".join(traceback.format_exception_only(error))
            return {"name": type(error).__name__, "message": str(error), "traceback": text}
    return None


class _Redirection:
    """A stand-in for `sys.stdout` or `sys.stderr` while cells run, which sends what each cell writes to its own stream.

    The cell of a killed session runs on, and may end while another one runs. `contextlib.redirect_stdout` would then
    take that one's output away.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._original: Any = None
        self._streams: dict[int, Any] = {}

    @contextlib.contextmanager
    def redirected(self, stream: Any) -> Generator[None]:
        """Send what this thread writes to `stream`, and what threads write that run no cell to the latest one."""
        if getattr(sys, self._name) is not self:
            self._original = getattr(sys, self._name)
            setattr(sys, self._name, self)
        thread = threading.get_ident()
        self._streams[thread] = stream
        try:
            yield
        finally:
            del self._streams[thread]
            if not self._streams and getattr(sys, self._name) is self:
                setattr(sys, self._name, self._original)

    def __getattr__(self, name: str) -> Any:
        streams = list(self._streams.values())
        stream = self._streams.get(threading.get_ident()) or (streams[-1] if streams else self._original)
        return getattr(stream, name)


_OUT, _ERR = _Redirection("stdout"), _Redirection("stderr")


def _evaluate(code: Any, namespace: dict[str, Any]) -> Any:
    result = eval(code, namespace)
    return asyncio.run(_awaited(result)) if inspect.iscoroutine(result) else result


async def _awaited(coroutine: Any) -> Any:
    return await coroutine
