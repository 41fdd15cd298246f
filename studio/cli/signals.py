"""Handling of Ctrl-C, SIGTERM and SIGHUP: the first stops in an orderly way, the second exits at once (promise P10)."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NoReturn

STOPPED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHOW_CURSOR = b"\x1b[?25h\n"


def heeded() -> list[signal.Signals]:
    """Return the signals that are not ignored. `nohup` and a shell's `&` ignore some on purpose."""
    return [one for one in _SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]


@contextmanager
def interruptible() -> Generator[None]:
    """Raise KeyboardInterrupt on any of the signals, unless an event loop handles them meanwhile."""

    def interrupt(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = {one: signal.signal(one, interrupt) for one in heeded()}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class Stopping:
    """A context inside a running loop in which the first signal calls `stop` and the second ends the process."""

    def __init__(self, stop: Callable[[], object]) -> None:
        self.stop = stop
        """Called on the first signal; may be replaced while the work is done."""
        self.requested = False
        self._taken: list[signal.Signals] = []

    def __enter__(self) -> "Stopping":
        loop = asyncio.get_running_loop()
        for one in heeded():
            loop.add_signal_handler(one, self._received)
            self._taken.append(one)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for one in self._taken:
            loop.remove_signal_handler(one)

    def _received(self) -> None:
        if self.requested:
            leave_at_once()
        self.requested = True
        self.stop()


def leave_at_once(status: int = STOPPED) -> NoReturn:
    """End the process now, with the terminal's cursor shown. Kernels end too, because their host's socket closes."""
    if os.isatty(2):
        os.write(2, _SHOW_CURSOR)
    os._exit(status)


def leave(status: int) -> NoReturn:
    """End the process even if a thread still reads an input that does not end, such as a silent stdin."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)
