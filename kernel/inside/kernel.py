"""The Jupyter kernel: ipykernel with sub-calls, cells of several blocks, and captured output.

It handles the messages of `protocol.Message` beside Jupyter's own: those of the shell channel one after the other in
the main thread, and those of the control channel while a cell runs.

The protocol is measured against the alternatives in `docs/design/0003-sub-calls-over-control.md`.
"""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from json import dumps  # bound now: code of cells may patch the module
from typing import Any

from ipykernel.displayhook import ZMQShellDisplayHook
from ipykernel.zmqshell import ZMQDisplayPublisher, ZMQInteractiveShell
from zmq import POLLOUT

from .answer_parts import parts_of
from .blocks import Blocks
from .ipykernel_compat import CellCompiler, IPythonNames, QuietKernel
from .output import captured
from .own_modules import OwnModules, give_builtins, keep_copies, load
from .protocol import PARTS_AHEAD, Message
from .repl import KernelRepl
from .restrictions import INSTALLERS, NO_NETWORK, install_magic, refuse_installing, wanted_network
from .wrong_uses import explanation

_ANSWER = f'"{Message.ANSWER}"'.encode()
"""The type of an answer as it is in the message's header."""
load()
keep_copies()
_BATCH_CALLS = 256
_BATCH_CHARS = 1 << 20
_BATCH_BYTES = 8 << 20


class _DisplayHook(ZMQShellDisplayHook):
    shell: Any

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        captured.write(str(format_dict.get("text/plain", "")) + "\n")
        if self.shell.kernel.iopub_thread.heard:
            super().write_format_data(format_dict, md_dict)


class _DisplayPublisher(ZMQDisplayPublisher):
    shell: Any

    def publish(self, data: Any, *args: Any, **kwargs: Any) -> None:
        captured.write(str(data.get("text/plain", "")) + "\n")
        if self.shell.kernel.iopub_thread.heard:
            super().publish(data, *args, **kwargs)


class RlmShell(ZMQInteractiveShell):
    """IPython's shell, whose displayed output is captured as text."""

    compiler_class = CellCompiler
    displayhook_class = _DisplayHook
    display_pub_class = _DisplayPublisher

    def init_ipython_dir(self, ipython_dir: Any) -> None:
        """Set no folder: nothing is kept between kernels, and a confined kernel may have no place for it."""
        del ipython_dir
        self.ipython_dir = ""

    confined = False
    exit_code: "int | None" = None
    magics_manager: Any
    own_modules: "OwnModules | None" = None
    _nested = 0

    async def run_code(self, code_obj: Any, result: Any = None, *, async_: bool = False) -> bool:
        """Run compiled code of a cell, with what cells have patched in place."""
        modules = self.own_modules
        run = super().run_code  # before it is patched
        if modules is None or not modules.put_in():
            self._nested += 1
            try:
                return await run(code_obj, result, async_=async_)
            finally:
                self._nested -= 1
        modules.look_at(code_obj)
        try:
            return await run(code_obj, result, async_=async_)
        finally:
            modules.take_out()

    def showtraceback(self, *args: Any, **kwargs: Any) -> None:
        """Show an error of a cell, which IPython does before `run_code` returns."""
        if self.own_modules is not None and not self._nested:
            self.own_modules.take_out()
        super().showtraceback(*args, **kwargs)

    def confine(self) -> None:
        """Refuse to install packages, and explain network errors, from now on."""
        self.confined = True
        for name in INSTALLERS:
            self.magics_manager.register_function(install_magic, magic_kind="line", magic_name=name)

    def system(self, cmd: str) -> None:
        """Run `!command` and print its output as it arrives. IPython's own implementation needs a terminal."""
        if self.confined:
            refuse_installing(cmd)
        with subprocess.Popen(
            self.var_expand(cmd, depth=1),
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as command:
            assert command.stdout is not None
            for line in command.stdout:
                print(line, end="")
        self.exit_code = self.user_ns["_exit_code"] = command.returncode


class RlmKernel(QuietKernel):
    """The kernel of one REPL."""

    shell_class = RlmShell
    scratch = ""
    """The folder to which cells may write; empty: there is none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shell_handlers |= {
            Message.SETUP: self._setup,
            Message.CELL: self._cell,
            Message.CHUNKS: self._chunks,
            Message.RESTORE: self._restore,
            Message.COMPARE: self._compare,
        }
        self.control_handlers |= {
            Message.ATTACH: self._attach,
            Message.ANSWER: self._answer,
            Message.TAKEN: self._taken,
        }
        self.shell.InteractiveTB.set_mode("Plain")
        self._send = self.session.send  # code of cells can reach the session, and patch it
        self._repl: KernelRepl | None = None
        self._pieces: dict[str, Any] = {}
        self._asker: tuple[Any, Any, Any] | None = None
        self._sent = self._acknowledged = 0
        self._ahead: dict[int, int] = {}
        self._window = _BATCH_CHARS
        self._parts_ahead = threading.Semaphore(PARTS_AHEAD)

    # -- shell channel: in the main thread

    async def _setup(self, stream: Any, ident: Any, parent: Any) -> None:
        try:
            give_builtins(self.shell.user_ns)
            modules = self.shell.own_modules = OwnModules()
            self._repl = KernelRepl(
                *(self.shell.user_ns, self._posted, parent["content"]),
                own_process=True,
                held=modules,
                scratch=self.scratch,
                shell=IPythonNames(self.shell),
            )
            if parent["content"].get("confined"):
                self.shell.confine()
            reply: dict[str, Any] = {"status": "ok"}
        except Exception as error:
            reply = {"status": "error", "message": f"{type(error).__name__}: {error}"}
        self._send(stream, Message.SETUP_REPLY, reply, parent, ident=ident)

    async def _cell(self, stream: Any, ident: Any, parent: Any) -> None:
        repl = self._repl
        assert repl is not None, f"{Message.CELL} before {Message.SETUP}"
        content = parent["content"]
        started = time.perf_counter()
        captured.clear()
        repl.begin(content["history"], content["blocks"])
        error: dict[str, str] | None = None
        blocks = Blocks(captured, repl.registry.waited)
        for number, code in enumerate(content["blocks"], 1):
            # IPython drops empty lines at the beginning of a block before it compiles it.
            repl.begin_block(number, code[: len(code) - len(code.lstrip())].count("\n"))
            blocks.begin()
            error = await self._run(code, parent)
            blocks.end(error)
            if error:
                break
        try:
            ended = repl.end(succeeded=error is None)
            for part in parts_of(ended["final"], self.scratch):
                self._send_part(part, stream, ident, parent)
        except (Exception, KeyboardInterrupt) as failure:
            # The value named to FINAL cannot be read, is too large, or takes too long.
            error = {"name": type(failure).__name__, "message": str(failure), "traceback": f"at FINAL: {failure}"}
            ended = repl.end(succeeded=False)
        output = captured.text()
        reply = {"output": output, "error": error, "seconds": time.perf_counter() - started, **ended}
        reply["blocks"] = blocks.said()
        reply["seen"] = repl.seen(output)
        captured.clear()
        reply["snapshot"], chunks = repl.snapshot(content["blocks"])
        reply["displays"] = repl.displays(reply["snapshot"], ended["variables"])
        for batch in batched(chunks, _BATCH_BYTES):
            sizes = [len(chunk) for chunk in batch]
            self._send(stream, Message.CHUNKS, {"sizes": sizes}, parent, ident=ident, buffers=[b"".join(batch)])
        try:
            self._tell(stream, Message.CELL_REPLY, reply, parent, ident)
        except (TypeError, ValueError, RecursionError, MemoryError) as failure:
            # The host waits for a reply, even where code has made the result impossible to send.
            failed = {"name": type(failure).__name__, "message": str(failure), "traceback": f"at the end: {failure}"}
            reply.update(error=failed, final=None, variables=[], displays={})
            self._tell(stream, Message.CELL_REPLY, reply, parent, ident)

    def _send_part(self, part: bytes, stream: Any, ident: Any, parent: Any) -> None:
        """Send a part of an answer, once the host has taken all but few of those before it."""
        self._parts_ahead.acquire()
        self._send(stream, Message.ANSWER_PART, {}, parent, ident=ident, buffers=[part])
        # The event loop, which would send it, does not run before the cell's end.
        stream.flush(POLLOUT)

    async def _chunks(self, _stream: Any, _ident: Any, parent: Any) -> None:
        content, [attached] = parent["content"], parent["buffers"]
        view, start = memoryview(attached), 0
        for name, size in zip(content["hashes"], content["sizes"], strict=True):
            self._pieces[name] = view[start : start + size]
            start += size

    async def _restore(self, stream: Any, ident: Any, parent: Any) -> None:
        assert self._repl is not None, f"{Message.RESTORE} before {Message.SETUP}"
        self._with_pieces(self._repl.restore, Message.RESTORE_REPLY, stream, ident, parent)

    async def _compare(self, stream: Any, ident: Any, parent: Any) -> None:
        assert self._repl is not None, f"{Message.COMPARE} before {Message.SETUP}"
        self._with_pieces(self._repl.compare, Message.COMPARE_REPLY, stream, ident, parent)

    def _with_pieces(self, work: Any, kind: str, stream: Any, ident: Any, parent: Any) -> None:
        pieces, self._pieces = self._pieces, {}
        reply = work(parent["content"]["groups"], pieces)
        self._tell(stream, kind, reply, parent, ident)

    def _tell(self, stream: Any, kind: str, said: Any, parent: Any, ident: Any) -> None:
        """Send JSON beside a message, not in it, so that the host passes it on unchanged."""
        # Printed text may contain lone surrogates.
        body = dumps(said, ensure_ascii=False).encode("utf-8", "surrogatepass")
        self._send(stream, kind, {}, parent, ident=ident, buffers=[body])

    async def _run(self, code: str, parent: Any) -> "dict[str, str] | None":
        self.execution_count += 1
        self.publish_input(code, parent)
        try:
            reply = await self.do_execute(code, silent=False, store_history=False, allow_stdin=False)
        except (KeyboardInterrupt, asyncio.CancelledError):
            return {"name": "KeyboardInterrupt", "message": "", "traceback": "KeyboardInterrupt"}
        except Exception as failure:
            # The shell itself failed, or what code has made of it. The host still waits for a reply.
            return {"name": type(failure).__name__, "message": str(failure), "traceback": f"in the shell: {failure!r}"}
        # It holds what the last expression gave, which nothing of this kernel asks for again.
        self.shell.last_execution_result = None
        if reply["status"] == "ok":
            return None
        lines = list(reply.get("traceback") or [])
        message = str(reply.get("evalue", ""))
        last = getattr(sys, "last_value", None)
        if self.shell.confined and type(last).__name__ == reply.get("ename") and wanted_network(last):
            message = f"{message} ({NO_NETWORK})"
            lines.append(NO_NETWORK)
        if type(last).__name__ == reply.get("ename") and (said := explanation(last, list(self.shell.user_ns))):
            lines.append(said)
        return {"name": str(reply.get("ename", "Error")), "message": message, "traceback": "\n".join(lines)}

    # -- control channel: in its own thread

    def handle_at_once(self, identities: Any, parts: Any) -> bool:
        """Handle a message of the control channel when it is an answer; else return False."""
        if _ANSWER not in parts[1].bytes:
            return False
        try:
            self._answer(None, identities, self.session.deserialize(parts, content=True, copy=False))
        except Exception:
            self.log.error("an answer that is none", exc_info=True)
        return True

    def _attach(self, stream: Any, ident: Any, parent: Any) -> None:
        self._asker = (stream, ident, parent)
        self._window = int(parent["content"]["window"])
        self._sent = self._acknowledged = 0
        self._ahead.clear()
        self._push()

    def _answer(self, _stream: Any, _ident: Any, parent: Any) -> None:
        content = parent["content"]
        self._acknowledged = max(self._acknowledged, int(content["ack"]))
        for number in [n for n in self._ahead if n <= self._acknowledged]:
            del self._ahead[number]
        repl = self._repl
        if repl is not None:
            for number, outcome in content["outcomes"]:
                repl.registry.settle(number, outcome)
        self._push()

    def _taken(self, _stream: Any, _ident: Any, _parent: Any) -> None:
        self._parts_ahead.release()

    def _posted(self) -> None:
        """Have posted calls sent. Any thread may call this; sockets belong to the control thread."""
        self.control_thread.io_loop.add_callback(self._push)

    def _push(self) -> None:
        repl = self._repl
        if self._asker is None or repl is None:
            return
        stream, ident, parent = self._asker
        while sum(self._ahead.values()) < self._window:
            calls, weight = repl.registry.take(self._sent, _BATCH_CALLS, _BATCH_CHARS)
            if not calls:
                return
            self._sent = calls[-1]["id"]
            self._ahead[self._sent] = weight
            self._tell(stream, Message.CALLS, calls, parent, ident)


def batched(chunks: "list[bytes]", most: int) -> "Iterator[list[bytes]]":
    """Yield the chunks in order, in lists of at most `most` bytes or of one chunk."""
    batch: list[bytes] = []
    size = 0
    for chunk in chunks:
        if batch and size + len(chunk) > most:
            yield batch
            batch, size = [], 0
        batch.append(chunk)
        size += len(chunk)
    if batch:
        yield batch
