"""Detach a run from the terminal: it goes on in a process in a session of its own, with a log in the home.

The process is a fork of this one, made before any event loop or thread is. Until the run has begun it keeps the
terminal, so that refusals, questions of the shell and exit statuses are those of a run that stays; this process
forwards signals and waits. Once the run has begun, the process lets go of the terminal, and this one ends.
"""

import contextlib
import json
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import typer

from ...state.errors import StoreError, UsageError
from ...state.logs import LogFile, log_name
from ...state.wording import counted
from ..invocation import Invocation
from ..terminal.console import put, say
from ..terminal.escape import safe, safe_json, safe_line, short_id
from ..terminal.log_stream import LogStream
from ..terminal.printed_commands import command_line
from .signals import heeded

_Held = tuple[int, int, int]
"""A descriptor with the device and the number of the file behind it."""


class Detached:
    """This process, which runs what was detached. It has the terminal until `begun` is called."""

    def __init__(self, invocation: Invocation, answer: int, clock: Callable[[], float] = time.time) -> None:
        """`answer` is the end of a pipe to the process at the terminal."""
        self._invocation = invocation
        self._answer = answer
        self._clock = clock
        self._inherited = list(_streams(answer))

    def begun(self, thread_id: str | None, *, thread_ids: Sequence[str] | None = None, log: str | None = None) -> None:
        """Let go of the terminal: what has begun goes on without it. Do nothing when that was done before.

        `thread_id` is None for several runs, which are then `thread_ids`. `log` is the name of the log
        (`state.logs.list_log_name`); default: that of the thread.
        """
        if self._answer < 0:
            return
        ids = {"thread_id": thread_id} if thread_ids is None else {"thread_ids": list(thread_ids)}
        about: dict[str, Any] = {"ids": ids, "log": None, "why": ""}
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            file = LogFile(self._invocation.home, log or log_name(thread_id or ""))
            about["log"] = str(file.path)
        except StoreError as error:
            file, about["why"] = None, error.message
        self._let_go(file)
        if file:
            sys.stderr = LogStream(file, 2, self._clock)
        # An error from here on belongs in the log, as a sentence.
        self._invocation.json = False
        doing = f"runs {safe_line(thread_id or '')}" if thread_ids is None else f"asks {_questions(thread_ids)}"
        say(f"Process {os.getpid()} {doing}.")
        # The process at the terminal may have been killed.
        with contextlib.suppress(OSError), os.fdopen(self._answer, "w") as answer:
            json.dump(about, answer)
        self._answer = -1

    def _let_go(self, file: LogFile | None) -> None:
        """Replace every descriptor through which a terminal or a reader would wait for this process."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere if file is None or number < 2 else file.descriptor, number)
        for number, device, node in self._inherited:
            with contextlib.suppress(OSError):
                about = os.fstat(number)
                # Its number may be another file's by now.
                if (about.st_dev, about.st_ino) == (device, node):
                    os.dup2(nowhere, number, inheritable=False)
        os.close(nowhere)


def _streams(answer: int) -> Iterator[_Held]:
    """Yield the terminals, pipes and sockets that the caller has left open beside the three standard streams."""
    for number in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
        with contextlib.suppress(OSError):
            about = os.fstat(number)
            held = stat.S_ISFIFO(about.st_mode) or stat.S_ISSOCK(about.st_mode) or os.isatty(number)
            if number > 2 and number != answer and held:
                yield number, about.st_dev, about.st_ino


def detach(invocation: Invocation, *, then: Callable[[str | None], None] | None = None) -> Detached:
    """Go on in a process of its own: return in that process alone, which must call `begun` on what is returned.

    This process ends the command: with status 0 and the run's name once it has begun, else with the status of the
    process that ended before that. `then` is called with the run's name before the command ends.

    Raises UsageError when this process has other threads, which cannot be copied.
    """
    if threading.active_count() > 1:
        raise UsageError("A run cannot be detached from a program with threads.", hint="Start `rlm` as a process.")
    sys.stdout.flush()
    sys.stderr.flush()
    reading, answer = os.pipe()
    # A signal in between must reach both, or neither.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, heeded())
    if (child := os.fork()) == 0:
        os.close(reading)
        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return Detached(invocation, answer)
    os.close(answer)
    before = {one: signal.signal(one, lambda number, frame: os.kill(child, number)) for one in heeded()}
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    with os.fdopen(reading) as answered:
        text = answered.read()
    if not text:
        # Not yet reaped, so that a signal is still forwarded to this process and no other.
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    # From here on a signal is for this process: a terminal that is closed now does not stop what has begun.
    for one, handler in before.items():
        signal.signal(one, handler or signal.SIG_DFL)
    if text:
        about = json.loads(text)
        _say_begun(invocation, child, about)
        if then:
            then(about["ids"].get("thread_id"))
        raise typer.Exit(0)
    _end_as(child)


def _end_as(child: int) -> NoReturn:
    """End as the process did that ended before its run had begun, and has said why."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status >= 0:
        raise typer.Exit(status)
    if -status in heeded():
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    raise StoreError(
        f"The detached process was ended by {signal.Signals(-status).name} before its run had begun.",
        hint="Nothing was paid. The same command again starts it.",
    )


def _questions(thread_ids: Sequence[str]) -> str:
    return counted(len(thread_ids), "question")


def _say_begun(invocation: Invocation, process: int, about: dict[str, Any]) -> None:
    """Print what has begun, and the commands that follow, stop and wait for it."""
    ids: dict[str, Any] = about["ids"]
    thread: str | None = ids.get("thread_id")
    if invocation.json:
        put(safe_json({**ids, "pid": process}))
    elif thread is not None or not sys.stdout.isatty():
        # Hundreds of names are for a program that reads them.
        put("\n".join(safe(name) for name in ids.get("thread_ids", [thread])))
    if thread is None:
        say(f"Detached: {_questions(ids['thread_ids'])}, process {process}.")
        looks = [command_line(invocation, "list", "--running"), command_line(invocation, "stop", "--all")]
        say(f"Look: {looks[0]} · Stop: {looks[1]}", whole=True)
        say("Once it has ended, the same command without --detach prints the answers.", whole=True)
    else:
        name = short_id(thread)
        invocation.thread = thread
        say(f"Detached: thread {safe_line(thread)}, process {process}.", whole=True)
        say(f"Follow: {command_line(invocation, 'show', name, '--follow')}", whole=True)
        commands = [command_line(invocation, word, name) for word in ("wait", "stop")]
        say(f"Wait: {commands[0]} · Stop: {commands[1]}", whole=True)
    say(f"Log: {safe_line(about['log'])}" if about["log"] else f"No log is kept. {safe(about['why'])}", whole=True)
