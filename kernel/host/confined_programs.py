"""Processes that run a part of this package, confined like kernels: `kernel.confined` on a fork server.

Synchronous, for one thread. Where nothing can be forked (macOS) each is a new process, unconfined.
"""

import contextlib
import itertools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...state.errors import KernelStartFailed, NoSandbox
from ..confined import Program, ProgramFailed, ProgramSpec
from ..inside.protocol import SCRATCH
from ..inside.sandbox import landlock
from ..process_limits import short_folder
from . import server_start
from .python_env import KernelEnvironment, program_environment
from .sandbox_tiers import TIERS, SandboxSpec, Start, Tier, available, start_in

_MAX_MESSAGE = 1 << 20
_FORK_SECONDS = 20.0
_GOING_SECONDS = 2.0
FORKING = sys.platform == "linux"
_PLAIN = (
    "import importlib, socket, sys\n"
    "module, _, name = sys.argv[2].partition(':')\n"
    "getattr(importlib.import_module(module), name)(socket.socket(fileno=int(sys.argv[1])))\n"
)


def open_programs(spec: ProgramSpec, sandboxed: bool, *, tiers: Sequence[Tier] = TIERS) -> "ForkedPrograms | Plain":
    """Open a source of processes (`kernel.confined.OpenPrograms`), in the first of `tiers` that holds."""
    environment = environment_of(spec)
    if FORKING:
        return ForkedPrograms(spec, environment, tiers if sandboxed else ("none",))
    if sandboxed:
        raise NoSandbox("There is a sandbox for Linux only.", hint="Say --unsandboxed, and read what that means.")
    return Plain(spec, environment)


def environment_of(spec: ProgramSpec) -> KernelEnvironment:
    """Return the Python and the files that a program sees."""
    found = program_environment(spec.packages, spec.group, spec.preload)
    return replace(found, visible=[*found.visible, *spec.visible])


class ForkedPrograms:
    """A fork server of one program, which ends with the thread that made it."""

    def __init__(self, spec: ProgramSpec, environment: KernelEnvironment, tiers: Sequence[Tier]) -> None:
        """Start the fork server. Raises NoSandbox, KernelStartFailed."""
        self._spec = spec
        self._environment = environment
        self._tiers = tiers
        self._folder, self._remove = _folder_of(self)
        self._numbers = itertools.count(1)
        self._exits: dict[int, int] = {}
        self._problems: dict[int, str] = {}
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.tier: Tier = "none"
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def starts_programs(self) -> bool:
        """True when the processes may start other programs."""
        return self.tier != "landlock"

    @property
    def shields_files(self) -> bool:
        """True when a process cannot open for writing what it was given for reading, or was allowed to."""
        return self.tier == "none" or landlock.version() > 0

    def start(self) -> Program:
        """Fork a process. Raises ProgramFailed."""
        if self._control is None:
            try:
                self._open()
            except (NoSandbox, KernelStartFailed) as error:
                raise ProgramFailed(str(error)) from error
        number = next(self._numbers)
        scratch = self._scratch(number)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = program_variables(scratch or "/nowhere", self._environment.packages)
        request = {"op": "fork", "number": number, "scratch": scratch, "environment": environment}
        try:
            with theirs:
                self._send({**request, "program": self._spec.function}, [theirs.fileno()])
            ours.settimeout(_FORK_SECONDS)
            said = ours.recv(_MAX_MESSAGE)
            ours.settimeout(None)
            answer = json.loads(said) if said else {"error": self._problem(number)}
            if "error" in answer:
                raise ProgramFailed(answer["error"])
        except (OSError, ProgramFailed) as error:
            self.kill(number)
            ours.close()
            raise error if isinstance(error, ProgramFailed) else ProgramFailed(str(error)) from error
        return _Forked(self, number, ours)

    def kill(self, number: int) -> None:
        """Kill a process and all that it has started, unless it has ended."""
        with contextlib.suppress(ProgramFailed):
            self._send({"op": "signal", "number": number, "signal": int(signal.SIGKILL)})

    def ended(self, number: int) -> int | None:
        """Wait a little for the end of a process, and return its exit status."""
        until = time.monotonic() + _GOING_SECONDS
        while number not in self._exits and self._receive(until - time.monotonic()):
            pass
        if self.tier == "none":
            shutil.rmtree(self._folder / f"s{number}", ignore_errors=True)
        return self._exits.pop(number, None)

    def close(self) -> None:
        """End the fork server with every process."""
        self._lose()
        self._end_process()
        self._remove()

    def _end_process(self) -> None:
        if self._process is not None:
            try:
                self._process.wait(_GOING_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            if self._process.stderr:
                self._process.stderr.close()
            self._process = None

    def _open(self) -> None:
        """Start the fork server in the first tier that holds. Raises NoSandbox, KernelStartFailed."""
        self._end_process()
        refused: dict[str, list[str]] = {}
        spec = self._spec
        wanted = SandboxSpec(
            self._environment, (), spec.hidden, programs=True, given_bytes=spec.given_bytes, binds=spec.binds
        )
        place = self._folder / f"f{next(self._numbers)}"
        place.mkdir(mode=0o700)
        with contextlib.ExitStack() as canaries:
            targets = server_start.canary(place, canaries)
            for tier in available(self._tiers):
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                with theirs:
                    why = self._try(start_in(tier, wanted, targets, theirs.fileno()), ours, theirs)
                if why is None:
                    self.tier, self._control = tier, ours
                    return
                ours.close()
                refused[tier] = why
        if self._tiers == ("none",):
            raise KernelStartFailed(f"No reader could be started: {'; '.join(refused.get('none', ()))}.", hint="")
        missing = server_start.NoSandbox(refused)
        raise NoSandbox(str(missing), hint=missing.hint)

    def _try(self, start: Start, ours: socket.socket, theirs: socket.socket) -> list[str] | None:
        """Start the fork server in one way. Return None when it serves, else the reasons why not."""
        ours.send(start.plan.encode())
        try:
            self._process = server_start.spawn(start, theirs)
        except OSError as error:
            return [str(error)]
        # Closed here already: else the end of the process would not end the wait.
        theirs.close()
        ours.settimeout(server_start.START_SECONDS)
        try:
            said = ours.recv(_MAX_MESSAGE)
        except OSError:
            said = b""
        ours.settimeout(None)
        answer: dict[str, Any] = json.loads(said) if said else {}
        if answer.get("ready"):
            return None
        words = server_start.last_words(self._process)
        return answer.get("refused") or [words]

    def _scratch(self, number: int) -> str | None:
        if self.tier == "landlock":
            return None
        if self.tier != "none":
            return SCRATCH
        folder = self._folder / f"s{number}"
        folder.mkdir(mode=0o700)
        return str(folder)

    def _send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        # Taken first, so that the fork server never waits to be heard.
        while self._receive(0):
            pass
        if self._control is None:
            raise ProgramFailed("the fork server is gone")
        try:
            socket.send_fds(self._control, [json.dumps(message).encode()], descriptors)
        except OSError as error:
            self._lose()
            raise ProgramFailed(f"the fork server is gone: {error}") from error

    def _receive(self, seconds: float) -> bool:
        """Take one message. Return False when none comes in time."""
        if self._control is None or seconds < 0 or not _readable(self._control, seconds):
            return False
        try:
            said = self._control.recv(_MAX_MESSAGE)
        except OSError:
            said = b""
        if not said:
            self._lose()
            return False
        message = json.loads(said)
        if "exit" in message:
            self._exits[message["number"]] = message["exit"]
        else:
            self._problems[message["number"]] = message["error"]
        return True

    def _problem(self, number: int) -> str:
        self.ended(number)
        return self._problems.pop(number, "it ended as it was made")

    def _lose(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None


class _Forked:
    """One forked process."""

    def __init__(self, programs: ForkedPrograms, number: int, ours: socket.socket) -> None:
        self._programs = programs
        self._number = number
        self.socket = ours

    def kill(self) -> None:
        """Kill the process and all that it has started."""
        self._programs.kill(self._number)

    def close(self) -> int | None:
        """End the process, and return its exit status."""
        self.kill()
        self.socket.close()
        return self._programs.ended(self._number)


class Plain:
    """A source of processes that are started, each on its own."""

    starts_programs = shields_files = True

    def __init__(self, spec: ProgramSpec, environment: KernelEnvironment) -> None:
        self._spec = spec
        self._environment = environment
        self._folder, self._remove = _folder_of(self)
        self._started: list[_Started] = []

    def start(self) -> Program:
        """Start a process. Raises ProgramFailed."""
        ours, theirs = socket.socketpair()
        scratch = self._folder / f"s{len(self._started)}"
        scratch.mkdir(mode=0o700)
        with theirs:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-s", "-P", "-B", "-c", _PLAIN, str(theirs.fileno()), self._spec.function],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=program_variables(str(scratch), self._environment.packages),
                    cwd=scratch,
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise ProgramFailed(str(error)) from error
        started = _Started(process, ours, scratch)
        self._started.append(started)
        return started

    def close(self) -> None:
        """End every process."""
        for one in self._started:
            one.close()
        self._remove()


class _Started:
    """One process that was started."""

    def __init__(self, process: subprocess.Popen[bytes], ours: socket.socket, scratch: Path) -> None:
        self._process = process
        self._scratch = scratch
        self.socket = ours

    def kill(self) -> None:
        """Kill the process and all that it has started."""
        # Its id is no other process's before it is waited for.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> int | None:
        """End the process, and return its exit status."""
        self.kill()
        self.socket.close()
        status = self._process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)
        return status


def program_variables(scratch: str, packages: Sequence[str]) -> dict[str, str]:
    """Return a clean environment: none of the user's variables, so no secret, reaches the process."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": scratch,
        "TMPDIR": scratch,
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": ":".join(packages),
    }


def _folder_of(owner: object) -> tuple[Path, Callable[[], object]]:
    """Make a folder for the owner, and return it with what removes it: at the end of the program, if not before.

    The program may end while the thread that uses the owner has not closed it. Raises KernelStartFailed.
    """
    folder = short_folder()
    return Path(folder), weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)


def _readable(one: socket.socket, seconds: float) -> bool:
    poll = select.poll()
    poll.register(one, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
