"""The fork server's loop: one thread and one socket, forking on request.

It exchanges JSON over a SOCK_SEQPACKET socket pair, one message per packet, with file descriptors beside it:

- It receives its plan (`Plan`).
- It sends `{"ready": true}` or `{"refused": [why, …]}` once.
- On `{"op": "fork", "number", "environment", "scratch", "key"}` with six descriptors (`child.py`) it makes a kernel
  of that number; with `program` (`package.module:function`) instead of `key`, and one descriptor, a process that runs
  that program (`program.py`). To everything else here it is a kernel like others.
- On `{"op": "signal", "number", "signal"}` it signals that kernel and the processes that it started.
- On `{"op": "open", "id", "paths"}` it sends `{"id"}` with the files opened for reading, or `{"id", "error"}`.
- It sends `{"number", "exit"}` when a kernel has ended, and `{"number", "error"}` when it could not be forked.

It ends when the other side of the socket is closed, and every kernel ends with it.
"""

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any

from .. import shared_package
from ..sandbox import namespaces, probes
from ..sandbox.confine import Confinement, Tier

MAX_MESSAGE = 1 << 20
_MAX_DESCRIPTORS = 16
_PRELOADED = (
    *("cloudpickle", "concurrent.futures", "concurrent.futures.thread", "asyncio", "decimal", "statistics", "csv"),
    *("difflib", "textwrap", "itertools", "collections", "json", "re", "math", "datetime", "random", "pydantic"),
    "matplotlib_inline.backend_inline",
)
"""Modules that a kernel would import with its first cells, beside those of `ipykernel_compat.PRELOADED`."""
_WITH_THREADS = ("pyarrow",)
"""Modules that start threads, with which nothing can be forked. pandas imports this one where it finds it."""


@dataclass(frozen=True)
class Plan:
    """The plan of a fork server. The host writes the same fields (`kernel/host/sandbox_tiers.py`)."""

    tier: Tier
    enclosed: bool
    """True when another program has already put this process into its own view."""
    packages: "list[str]"
    """Folders to import from, after the standard library."""
    preload: "list[str]"
    """Modules to import if they are installed."""
    programs: bool
    """True when it forks programs and no kernels, so that it needs nothing of Jupyter's."""
    visible: "list[str]"
    inputs: "list[str]"
    hidden: "list[str]"
    uid: "int | None"
    scratch_bytes: int
    given_bytes: int
    binds: bool
    canary: "probes.Canary | None"
    """None when the tier need not be tested."""

    @classmethod
    def read(cls, text: str) -> "Plan":
        """Read a plan from JSON. Raises ValueError, TypeError, KeyError."""
        fields = json.loads(text)
        canary = fields.pop("canary")
        return cls(**fields, canary=probes.Canary(**canary) if canary else None)

    @property
    def view(self) -> namespaces.View:
        """The files that the fork server sees."""
        return namespaces.View(self.visible, self.inputs, self.hidden)

    @property
    def confinement(self) -> Confinement:
        """The confinement of its kernels."""
        return Confinement(
            self.tier, self.visible, self.inputs, self.uid, self.scratch_bytes, self.given_bytes, self.binds
        )


def serve(descriptor: int) -> None:
    """Serve until the other side is gone, then end the process. Return when the tier fails with an OSError."""
    # Imported objects stay: collecting garbage among them again and again takes a fifth of the time.
    gc.disable()
    control = socket.socket(fileno=descriptor)
    plan = Plan.read(control.recv(MAX_MESSAGE).decode())
    sys.path.extend(plan.packages)
    try:
        if plan.confinement.own_view and not plan.enclosed:
            namespaces.enter_outer(plan.view)
        server = ForkServer(control, plan)
        proof = server.prove()
    except OSError as error:
        _say(control, {"refused": [str(error)]})
        return
    _preload(plan)
    holes = proof()
    _say(control, {"refused": holes} if holes else {"ready": True})
    if not holes:
        server.serve()
    # Skips tearing down all that was imported, which takes a while.
    os._exit(0)


class ForkServer:
    """A server that forks kernels and reports their exits."""

    def __init__(self, control: socket.socket, plan: Plan) -> None:
        """Initialize the server. Raises OSError where kernels cannot have their own process tables."""
        self._control = control
        self._confinement = plan.confinement
        self._canary = plan.canary
        self._own_processes = namespaces.OwnProcesses() if self._confinement.own_view else None
        self._kernels: dict[int, int] = {}
        self._numbers: dict[int, int] = {}

    def prove(self) -> Any:
        """Start a confined child that tries what must fail. Return a function that waits for it and gives the holes."""
        canary = self._canary
        if canary is None:
            return list
        reader, writer = os.pipe()
        child = self._fork()
        if not child:
            os.close(reader)
            try:
                self._confinement.apply(None)
                found = probes.holes(self._confinement, canary)
            except BaseException as error:
                found = [f"{type(error).__name__}: {error}"]
            with open(writer, "w") as file:
                json.dump(found, file)
            os._exit(0)
        os.close(writer)

        def wait() -> "list[str]":
            with open(reader) as file:
                text = file.read()
            os.waitpid(child, 0)
            return json.loads(text) if text else ["the probe ended without a word"]

        return wait

    def serve(self) -> None:
        """Serve until the other side of the socket is gone."""
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, _wake_only)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        assert len(os.listdir("/proc/self/task")) == 1, "a module that was preloaded started a thread"
        # Frozen objects are never visited by the collector, so that their pages stay shared.
        gc.collect()
        gc.freeze()
        gc.disable()
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is not self._control:
                        with contextlib.suppress(BlockingIOError):
                            os.read(woken, 4096)
                        self._reap()
                    elif not self._receive():
                        self._end_all()
                        return

    def _receive(self) -> bool:
        """Handle one message. Return False when the other side is gone."""
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, MAX_MESSAGE, _MAX_DESCRIPTORS)
        except OSError:
            return False
        if not message:
            return False
        request = json.loads(message)
        match request["op"]:
            case "fork":
                self._make(request, descriptors)
            case "signal":
                self._signal(request["number"], request["signal"])
            case "open":
                self._open(request)
            case _:
                pass
        for held in descriptors:
            os.close(held)
        return True

    def _fork(self) -> int:
        return self._own_processes.fork() if self._own_processes else os.fork()

    def _make(self, request: "dict[str, Any]", descriptors: "list[int]") -> None:
        number = request["number"]
        try:
            child = self._fork()
        except OSError as error:
            _say(self._control, {"number": number, "error": f"no process can be forked: {error}"})
            return
        if not child:
            # Preloaded, but only after the probing child was forked.
            if "program" in request:
                from . import program

                program.run(descriptors, request, self._confinement)
            from . import child

            child.run(descriptors, request, self._confinement)
        self._kernels[number] = child
        self._numbers[child] = number

    def _signal(self, number: int, which: int) -> None:
        """Signal a kernel unless it has ended: it is reaped here, so its id belongs to no other process before."""
        if child := self._kernels.get(number):
            with contextlib.suppress(ProcessLookupError):
                try:
                    os.killpg(child, which)
                except (ProcessLookupError, PermissionError):
                    # It does not lead a process group yet.
                    os.kill(child, which)

    def _open(self, request: "dict[str, Any]") -> None:
        opened: list[int] = []
        try:
            for path in request["paths"]:
                opened.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            socket.send_fds(self._control, [json.dumps({"id": request["id"]}).encode()], opened)
        except OSError as error:
            _say(self._control, {"id": request["id"], "error": str(error)})
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _reap(self) -> None:
        while True:
            try:
                child, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not child:
                return
            number = self._numbers.pop(child, None)
            if number is None:
                continue
            del self._kernels[number]
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)  # processes that it started and left behind
            _say(self._control, {"number": number, "exit": os.waitstatus_to_exitcode(status)})

    def _end_all(self) -> None:
        for number in list(self._kernels):
            self._signal(number, signal.SIGKILL)


def _wake_only(number: int, frame: object) -> None:
    """Do nothing: a signal must have a handler to wake the loop."""


def _say(control: socket.socket, message: "dict[str, Any]") -> None:
    with contextlib.suppress(OSError):
        control.send(json.dumps(message).encode())


def _preload(plan: Plan) -> None:
    if plan.programs:
        importlib.import_module("rlm_inside.fork.program")
        names = [*plan.preload]
    else:
        shared_package.provide()
        # ipykernel would import debugpy, a fifth of its start time, for a debugger that is never attached.
        sys.modules["debugpy"] = None  # type: ignore[assignment]
        importlib.import_module("rlm_inside.fork.child")
        from ..ipykernel_compat import PRELOADED

        names = [*PRELOADED, *_PRELOADED, *plan.preload]
        sys.modules.update(dict.fromkeys(_WITH_THREADS))  # type: ignore[arg-type]
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for name in _WITH_THREADS:
        sys.modules.pop(name, None)
