"""Objects that have no pickling of their own, or a poor one: how each kind is saved and made again, or why it is lost.

A handle (a process, a connection, a pool) is lost as a whole: half of one could end a process that is not its own, or
close a file that another part of the kernel has open.
"""

import functools
import gc
import io
import re
import sys
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from . import unpickler
from .object_graph import WEAK, referent
from .placeholder import Lost
from .tracebacks import entries_of


class Pickling(Protocol):
    """The pickler, as the functions of this module use it."""

    files: set[str]

    def lose(self, obj: Any, why: str) -> Any:
        """Record a loss and return the saved form of a placeholder."""
        ...

    def note(self, obj: Any, why: str) -> None:
        """Record that an object is saved only in part."""
        ...


_LOCK, _RLOCK = type(unpickler.threading.Lock()), type(unpickler.threading.RLock())
_CACHED = type(functools.lru_cache(len))
_VIEWS: dict[type, str] = {
    type(getattr(kind(), method)()): method for kind in (dict, OrderedDict) for method in ("keys", "values", "items")
}
_HANDLES = {
    ("asyncio.base_events", "Server"): "it listened in the kernel before",
    ("asyncio.events", "AbstractEventLoop"): "it ended with the kernel before",
    ("asyncio.runners", "Runner"): "its event loop ended with the kernel before",
    ("asyncio.streams", "StreamReader"): "it was a connection of the kernel before",
    ("asyncio.streams", "StreamWriter"): "it was a connection of the kernel before",
    ("asyncio.subprocess", "Process"): "it was a process of the kernel before",
    ("concurrent.futures._base", "Executor"): "its threads or processes ended with the kernel before",
    ("concurrent.futures._base", "Future"): "what would have set its result ended with the kernel before",
    ("contextlib", "_GeneratorContextManagerBase"): "the generator that it runs cannot be saved",
    ("dbm.dumb", "_Database"): "it was an open database",
    ("multiprocessing.connection", "_ConnectionBase"): "it was a connection of the kernel before",
    ("multiprocessing.managers", "BaseManager"): "it was a process of the kernel before",
    ("multiprocessing.managers", "BaseProxy"): "it was a connection of the kernel before",
    ("multiprocessing.pool", "Pool"): "its processes ended with the kernel before",
    ("multiprocessing.process", "BaseProcess"): "it was a process of the kernel before",
    ("multiprocessing.shared_memory", "SharedMemory"): "it was memory of the kernel before",
    ("os", "_wrap_close"): "it was a process of the kernel before",
    ("selectors", "BaseSelector"): "it watched files of the kernel before",
    ("shelve", "Shelf"): "it was an open database",
    ("socket", "socket"): "it was a connection of the kernel before",
    ("subprocess", "Popen"): "it was a process of the kernel before",
    ("tempfile", "TemporaryDirectory"): "its folder belonged to the kernel before",
    ("tempfile", "_TemporaryFileCloser"): "its file belonged to the kernel before",
    ("tempfile", "_TemporaryFileWrapper"): "its file belonged to the kernel before",
    ("weakref", "WeakMethod"): "it is a weak reference to a method",
    ("weakref", "finalize"): "it waited for the end of an object of the kernel before",
}
"""Classes of handles, by module and name, with what becomes of them. Their subclasses are handles too."""


def handle(kind: type) -> str:
    """Return why the instances of a class are lost, or an empty text when they are no handles."""
    return next((why for one in kind.__mro__ if (why := _HANDLES.get((one.__module__, one.__qualname__)))), "")


def has_ended(obj: Any) -> bool:
    """Return whether a process or a future has its result, and so is plain data."""
    if getattr(obj, "returncode", None) is not None:
        return True
    return "Future" in [one.__name__ for one in type(obj).__mro__] and bool(obj.done())


def _lock(_: Pickling, lock: Any) -> Any:
    return unpickler.lock, (lock.locked(),)


def _rlock(pickler: Pickling, lock: Any) -> Any:
    free = repr(lock).startswith("<unlocked")
    return (unpickler.rlock, ()) if free else pickler.lose(lock, "it is held by a thread")


def _file(pickler: Pickling, file: Any) -> Any:
    for name in ("stdin", "stdout", "stderr"):
        if file is getattr(sys, name):
            return unpickler.stream, (name,)
    if file.closed or not file.readable() or file.writable():
        return pickler.lose(file, "it is closed, or open for writing")
    path = getattr(file, "name", None)
    # A number would be another file in another kernel.
    if not isinstance(path, str | bytes) or not file.seekable():
        return pickler.lose(file, "it is not a file with a path")
    encoding = getattr(file, "encoding", None)
    return unpickler.reopened, (path, "r" if encoding else "rb", file.tell(), encoding)


def _module(pickler: Pickling, module: Any) -> Any:
    if sys.modules.get(module.__name__) is not module:
        return pickler.lose(module, "it was made by code")
    return unpickler.module, (module.__name__,)


def _cached(pickler: Pickling, function: Any) -> Any:
    if function.cache_info().currsize:
        pickler.note(function, "what it had cached is gone")
    return unpickler.cached, (function.__wrapped__, function.cache_parameters()), dict(function.__dict__)


def _mapping_proxy(_: Pickling, proxy: Any) -> Any:
    return unpickler.proxy, (gc.get_referents(proxy)[0],)


def _dict_view(_: Pickling, view: Any) -> Any:
    return unpickler.dict_view, (gc.get_referents(view)[0], _VIEWS[type(view)])


def _weak_container(_: Pickling, container: Any) -> Any:
    pairs = list(container.items()) if hasattr(container, "items") else list(container)
    return unpickler.weak, (type(container), pairs)


def _weak_reference(_: Pickling, reference: Any) -> Any:
    return unpickler.weak_reference, (referent(reference), reference.__callback__)


def _weak_proxy(pickler: Pickling, proxy: Any) -> Any:
    held = referent(proxy)
    return (unpickler.weak_proxy, (held,)) if held is not None else pickler.lose(proxy, "its object is gone")


def _match(_: Pickling, match: Any) -> Any:
    return unpickler.match, (match.re, match.string, match.pos, match.endpos, match.regs)


def _traceback(pickler: Pickling, traceback: Any) -> Any:
    entries = entries_of(traceback)
    pickler.files.update(file for file, *_ in entries)
    return unpickler.made_traceback, (entries,)


def _memory(pickler: Pickling, view: Any) -> Any:
    return pickler.lose(view, "it is a view of memory")


def _still_lost(pickler: Pickling, lost: Lost) -> Any:
    pickler.note(lost, lost.why)
    return Lost, (lost.what, lost.why)


SPECIAL: Mapping[Any, Callable[[Any, Any], Any]] = {
    _LOCK: _lock,
    _RLOCK: _rlock,
    io.TextIOWrapper: _file,
    io.BufferedReader: _file,
    types.ModuleType: _module,
    _CACHED: _cached,
    types.MappingProxyType: _mapping_proxy,
    **dict.fromkeys(WEAK, _weak_container),
    **dict.fromkeys(_VIEWS, _dict_view),
    weakref.ReferenceType: _weak_reference,
    **dict.fromkeys((weakref.ProxyType, weakref.CallableProxyType), _weak_proxy),
    re.Match: _match,
    types.TracebackType: _traceback,
    memoryview: _memory,
    Lost: _still_lost,
}
"""The function that reduces the objects of each kind, given the pickler and the object."""
