"""Ctrl-C, SIGTERM and SIGHUP: the first one stops in an orderly way, the second one leaves at once (promise P10)."""

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


def _heeded() -> list[signal.Signals]:
    """Those that are not ignored: `nohup` and a shell's `&` ask for that, and mean it."""
    return [one for one in _SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]


@contextmanager
def interruptible() -> Generator[None]:
    """Until an event loop takes the signals over: any of them raises KeyboardInterrupt here."""

    def interrupt(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = {one: signal.signal(one, interrupt) for one in _heeded()}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class Stopping:
    """While it is entered, in a running loop: the first signal calls `stop`, the second one leaves."""

    def __init__(self, stop: Callable[[], object]) -> None:
        self.stop = stop
        """What the first signal does; may be replaced as the work goes on."""
        self.asked = False
        self._taken: list[signal.Signals] = []

    def __enter__(self) -> "Stopping":
        loop = asyncio.get_running_loop()
        for one in _heeded():
            loop.add_signal_handler(one, self._received)
            self._taken.append(one)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for one in self._taken:
            loop.remove_signal_handler(one)

    def _received(self) -> None:
        if self.asked:
            leave_at_once()
        self.asked = True
        self.stop()


def leave_at_once(status: int = STOPPED) -> NoReturn:
    """End the process now, the terminal's cursor shown. Kernels end with it: their host's socket closes."""
    if os.isatty(2):
        os.write(2, _SHOW_CURSOR)
    os._exit(status)


def leave(status: int) -> NoReturn:
    """End the process though a thread still reads an input that will not end, such as a silent stdin."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)
