"""Parts of the process's state that code of cells changes and relies on: each is read, and put back, by itself.

The working folder, the environment, number formats, filters of warnings, options of numpy and pandas, handlers. A part
is small and is saved like a variable, under a name that no variable can have, when it differs from what a fresh kernel
has. The functions that are called are bound here before any cell runs, because cells may patch their modules.
"""

import decimal
import gc
import locale
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .logging_state import Loggers
from .pandas_compat import Options

_getcwd, _chdir, _join = os.getcwd, os.chdir, os.path.join
_environ, _tzset = os.environ, time.tzset
_RAW: Mapping[Any, Any] = vars(_environ).get("_data", {})
"""The environment without being decoded, which takes a tenth of the time. Empty: this Python has no such attribute."""
_getsignal, _set_signal = signal.getsignal, signal.signal
_getcontext = decimal.getcontext
_setlocale, _LC_ALL = locale.setlocale, locale.LC_ALL
_recursion_limit, _set_recursion_limit = sys.getrecursionlimit, sys.setrecursionlimit
_filters: Any = warnings.filters
_reset_warnings = warnings.resetwarnings
_gc_state = gc.isenabled, gc.get_threshold
_gc_callbacks, _gc_switch, _set_threshold = gc.callbacks, (gc.disable, gc.enable), gc.set_threshold
_path = sys.path

_SIGNALS = (signal.SIGALRM, signal.SIGHUP, signal.SIGPROF, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Signals whose handlers are kept. Not SIGINT: ipykernel sets its handler before and after each cell."""
_getcontext()  # made here, it belongs to the context that the contexts of all cells are copied from


class CannotPutBack(Exception):
    """A part of the process's state that cannot be restored."""


@dataclass(frozen=True)
class Part:
    """One part. `read` returns a value that can be saved and compared, `put_back` sets it."""

    name: str
    read: Callable[[], Any]
    put_back: Callable[[Any], None]
    module: str = ""
    """The module without which there is nothing to read; it is not imported for that."""


class _Folder:
    """The working folder: as a path below the one in which the kernel began, if it is one."""

    def __init__(self) -> None:
        self._start = _getcwd()

    def read(self) -> str:
        try:
            folder = _getcwd()
        except OSError:
            return ""  # it was deleted
        inside = folder == self._start or folder.startswith(self._start.rstrip("/") + "/")
        return "." + folder[len(self._start.rstrip("/")) :] if inside else folder

    def put_back(self, folder: str) -> None:
        if not folder:
            raise CannotPutBack("the working folder had been deleted")
        _chdir(_join(self._start, folder))


class _Environment:
    """The environment: what was changed since the kernel began, because two kernels may have different folders."""

    def __init__(self) -> None:
        self._start, self._raw = dict(_environ), dict(_RAW)

    def read(self) -> tuple[dict[str, str], list[str]]:
        if self._raw and self._raw == _RAW:
            return {}, []
        now = dict(_environ)
        changed = {name: value for name, value in now.items() if self._start.get(name) != value}
        return changed, sorted(self._start.keys() - now.keys())

    def put_back(self, wanted: tuple[dict[str, str], list[str]]) -> None:
        changed, gone = wanted
        _environ.update(changed)
        for name in gone:
            _environ.pop(name, None)


def _zone() -> tuple[str, str]:
    # Of the module itself: what this package calls `time` may be a copy, in which `tzset` sets nothing.
    return sys.modules["time"].tzname


def _set_zone(names: tuple[str, str]) -> None:
    if _zone() != names:
        _tzset()
    if _zone() != names:
        raise CannotPutBack(f"the time zone {names[0]} is not that of the environment")


def _decimal() -> tuple[Any, ...]:
    held = _getcontext()
    flags, traps = ([one for one, on in kind.items() if on] for kind in (held.flags, held.traps))
    return held.prec, held.rounding, held.Emin, held.Emax, held.capitals, held.clamp, flags, traps


def _set_locale(wanted: str) -> None:
    _setlocale(_LC_ALL, wanted)


def _set_decimal(wanted: tuple[Any, ...]) -> None:
    # Not `setcontext`: the context of cells is a copy that refers to the same object.
    held = _getcontext()
    held.prec, held.rounding, held.Emin, held.Emax, held.capitals, held.clamp, flags, traps = wanted
    for kind, on in ((held.flags, flags), (held.traps, traps)):
        for one in kind:
            kind[one] = one in on


def _set_warnings(wanted: list[Any]) -> None:
    _reset_warnings()  # has Python forget which warnings it has shown
    _filters.extend(wanted)


def _handlers_of_signals() -> dict[int, Any]:
    found = {int(one): _getsignal(one) for one in _SIGNALS}
    return {number: handler for number, handler in found.items() if callable(handler)}


def _set_handlers_of_signals(wanted: dict[int, Any]) -> None:
    for number, handler in wanted.items():
        _set_signal(number, handler)


def _collector() -> tuple[Any, ...]:
    return _gc_state[0](), _gc_state[1]()


def _set_collector(wanted: tuple[Any, ...]) -> None:
    on, thresholds = wanted
    _set_threshold(*thresholds)
    _gc_switch[on]()


def _numpy() -> tuple[dict[str, Any], dict[str, Any]]:
    numpy = sys.modules["numpy"]
    return numpy.get_printoptions(), numpy.geterr()


def _set_numpy(wanted: tuple[dict[str, Any], dict[str, Any]]) -> None:
    import numpy

    shown, errors = wanted
    numpy.set_printoptions(**{name: value for name, value in shown.items() if name != "override_repr"})
    numpy.seterr(**errors)


def parts() -> list[Part]:
    """Return the parts in the order in which they are put back, for a kernel that begins now."""
    environment, folder, loggers, options = _Environment(), _Folder(), Loggers(), Options()
    return [
        Part("os.environ()", environment.read, environment.put_back),
        Part("os.getcwd()", folder.read, folder.put_back),
        Part("time.tzname()", _zone, _set_zone),  # after the environment
        Part("decimal.getcontext()", _decimal, _set_decimal),
        Part("locale.setlocale()", lambda: _setlocale(_LC_ALL), _set_locale),
        Part("warnings.filters()", lambda: [*_filters], _set_warnings),
        Part("sys.getrecursionlimit()", _recursion_limit, _set_recursion_limit),
        Part("sys.path()", lambda: [*_path], lambda wanted: _replace(_path, wanted)),
        Part("gc.isenabled()", _collector, _set_collector),
        Part("gc.callbacks()", lambda: [*_gc_callbacks], lambda wanted: _replace(_gc_callbacks, wanted)),
        Part("signal.getsignal()", _handlers_of_signals, _set_handlers_of_signals),
        Part("logging.getLogger()", loggers.read, loggers.put_back),
        Part("numpy.get_printoptions()", _numpy, _set_numpy, module="numpy"),
        Part("pandas.options()", options.read, options.put_back, module="pandas"),
    ]


def _replace(held: list[Any], wanted: list[Any]) -> None:
    held[:] = wanted
