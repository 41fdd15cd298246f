"""Random sessions: after every cell, the snapshot restored into a fresh namespace equals the live one.

Structure and aliasing are compared: which objects are the same one. More sessions: `RLM_FUZZ=20000 pytest …`.
"""

import contextlib
import gc
import os
import re
import tempfile
import types
import weakref
from collections import deque
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from durable_rlm.kernel.inside.snapshot import groups
from tests.kernel.namespaces import Namespace

SESSIONS = int(os.environ.get("RLM_FUZZ", "60"))

CELLS = """
{v} = [{i}]
{v} = {{"k{i}": {i}}}
{v} = {w}
{v} = [{w}, {w}]
{v} = ({w}, {i})
{v} = {{{i}, "x"}}
{v} = "x" * {i}
{v} = deque([{w}], 3)
{v} = L{j}([{w}])
{v} = Boom({i})
{v}.append({i}) if isinstance({v}, (list, deque)) else None
{v}.append({w}) if isinstance({v}, list) and len({v}) < 6 else None
{v}["x{i}"] = {w} if isinstance({v}, dict) and len({v}) < 6 else None
{v} = list(range({i} * 9))
{v}[0] = {w} if isinstance({v}, list) and {v} else None
del {v}
def f{j}(x=0): {v}.append({i}) if isinstance({v}, list) and len({v}) < 9 else None; return x
def f{j}(x={v}): return x
f{j}()
f{j} = lambda: {v}
h{j} = [f{k}]
h{j}[0]()
class C{j}:\n    reg = []\n    def m(self): f{k}(); C{j}.reg.append({i}); return 1
class C{j}(C{k}):\n    def z(self): return o{i}\n    def m(self): super().m()
class C{j}:\n    __slots__ = ("a", "b")
o{j} = C{k}()
o{j}.m()
o{j}.a = {v}
{v} = o{j}
{v} = o{j}.a
o{j}.a.append({i})
o{j}.cls = C{k}
{v} = o{j}.m
{v} = C{j}.reg
C{j}.extra = {v}
C{j}.inst = o{k}
C{j}.other = C{k}
def mk{j}(b):\n    def g(): b.append({i}) if isinstance(b, list) else None\n    return g
def mk{j}(b):\n    n = {i}\n    def g():\n        nonlocal n; n += 1; return n\n    g.on = lambda: (n, b)\n    return g
g{j} = mk{k}({v})
g{j}()
p{j} = partial(f{k}, {i})
p{j}()
{v} = {{"in": g{j}, "on": p{k}}}
t{j} = ({v}, {i})
t{j}[0].append({i})
G = globals
G()["{v}"].append({i})
exec("{v} = [{w}]")
f{j}.peer = f{k}
f{j}.cache = {v}
f{j}.cache.append({i})
e{j} = f{k}
e{j}()
del f{j}
{v} = (x for x in [{i}])
{v} = C{j}
import json as {v}
{v} = context[{i} * 300 :][:2500]
{v} = [context[{i} * 100 :][: 2100 + {i}], "what? " + context[{i} * 200 :][:3000] + str({i}), {w}]
{v} = {{context[{i} * 70 :][:2300]: {w}, {i}: context[{i} * 80 :][:2300] + context[{i} * 50 :][:2100]}}
{v}.append("x" + context[{i} * 90 :][:2200]) if isinstance({v}, list) and len({v}) < 6 else None
{v} = [{v}] * 3 if isinstance({v}, str) else None
{v} = {v}[:1200] + {v} if isinstance({v}, str) and len({v}) < 9000 else {w}
{v} = S(context[{i} * 300 :][:2800])
{v} = [S(context[i * 500 :][:2500]) for i in range({i} % 9)]
{v} = context[:{i}] + chr(0xD800) + context[{i} * 30 :][:2600]
class C{j}(Known): x{j} = {i}
class C{j}(Known, tag={i}): pass
class C{j}(metaclass=Meta): made = {v}
class C{j}(C{k}, metaclass=Meta): pass
KNOWN[{i}] = {v}
Meta.made.append({i})
for kind in Known.__subclasses__(): kind.seen = {i}
{v} = Known.__subclasses__()
class E{j}(Enum):\n    A = {i}\n    B = ({i}, "b")\n    C = {i}\n    def __init__(self, *args): INITS.append(args)
{v} = E{j}.B
E{j}.A.note = {v}
del C{j}.x{k}
C{j}.x{k} = C{k}
_ = {v}
_{j} = [{v}, _]
_i = {i}
In = {v}
del _
{v} = weakref.ref(o{j})
{v} = weakref.proxy(o{j})
{v} = {v}.append if isinstance({v}, list) else {w}
{v}({i}) if isinstance({v}, types.BuiltinMethodType) and len({v}.__self__) < 9 else None
{v} = re.search("x*", {w}) if isinstance({w}, str) else {w}
{v} = vars(o{j})
{v} = {{id({w}): {i}}}
{v} = [id({w}), {i}]
try: o{j}.nothing\nexcept AttributeError as error: {v} = error
try: f{j}(1, 2, 3)\nexcept TypeError as error: {v} = error.__traceback__
{v} = socket()\n{v}.close()
{v} = Pool(1)
exec("def f{j}(): return {v}")
x{j}: C{k} = {v}
f{j} = lambda: {i}; f{k} = lambda: {j}
library.append(f{j})
library.append(lambda: {v}.append({i}) if isinstance({v}, list) and len({v}) < 9 else None)
library.append({v}.copy if isinstance({v}, (list, dict)) else print)
library.append(partial({v}.append, {i}) if isinstance({v}, list) and len({v}) < 9 else f{k})
library.append(o{j}.m)
library.append(C{j}())
library.append(mk{j}({v}))
library.append({v})
library.clear()
library.pop()
happens()
happens()
""".strip().splitlines()

BEFORE = """
from collections import deque
from functools import partial
from enum import Enum
from socket import socket
from concurrent.futures import ThreadPoolExecutor as Pool
import re, types, weakref
class L0(list): pass
class L1(list):
    def append(self, x): raise RuntimeError
class L2(L0): n = 1
class S(str): pass
KNOWN = {}
INITS = []
class Known:
    def __init_subclass__(cls, tag=0): KNOWN[cls.__name__] = cls; cls.tag = tag
class Meta(type):
    made = []
    def __new__(m, name, bases, ns): c = super().__new__(m, name, bases, ns); m.made.append(name); return c
    def __init__(c, *args): c.order = len(Meta.made)
class Boom(Exception):
    def __init__(self, i): super().__init__(); self.i = [i]
"""


INPUTS = {
    "ASCII": "".join(f"line {number} of the input\n" for number in range(1_500)),
    "mixed": "".join(f"Zeile {number} größer als 日本 𝄞\n" for number in range(1_500)),
    "repetitive": "the same line\n" * 3_000,
}


def filled(cell: str, v: str, w: str, i: int, j: int, k: int) -> str:
    """Return a cell with its variables and numbers filled in."""
    return cell.replace("\\n", "\n").format(v=v, w=w, i=i, j=j, k=k)


numbers = st.integers(0, 2)
cells = st.builds(
    filled,
    *(st.sampled_from(CELLS), st.sampled_from("abcd"), st.sampled_from("abcd"), st.integers(0, 99), numbers, numbers),
)


pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left() -> Generator[None]:
    """Have the sockets of cells end here, where warnings about them are ignored."""
    yield
    LIBRARY.clear()
    gc.collect()


@seed(20261124)
@settings(
    max_examples=SESSIONS, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
@given(st.lists(cells, min_size=1, max_size=30), st.sampled_from(sorted(INPUTS)))
def test_every_cell_of_a_random_session_can_be_restored(session: list[str], kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        # Otherwise every variable would need hundreds of kilobytes.
        patch.setattr(groups, "_WORTH_A_LOOK", 0)
        pack = Path(folder) / "pack"
        pack.write_text(INPUTS[kind])
        _every_cell_can_be_restored(session, Namespace(pack=pack, given={"library": LIBRARY, "happens": happens}))


LIBRARY: list[Any] = []
"""Objects that the cells have handed to a library."""


def happens() -> None:
    """Do what a library does with what it was given, at a time of its own: the cell names none of it."""
    for one in LIBRARY[-5:]:
        with contextlib.suppress(Exception):
            if isinstance(one, list):
                cast(list[Any], one).append(0)
            elif callable(one):
                one()
            elif hasattr(one, "m"):
                one.m()


def _every_cell_can_be_restored(session: list[str], live: Namespace) -> None:
    LIBRARY.clear()
    live.cell(BEFORE)
    for number, cell in enumerate(session):
        live.cell(cell)
        live.names.pop("_error", None)
        # Now and then the session continues in the restored namespace, as after a crash.
        other = live.again()
        assert other.restored is not None
        lost = {name for groups in live.groups.values() for name in groups["lost"]}
        assert set(other.restored.lost) == lost
        assert seen(other.names, lost) == seen(live.names, lost), session[: number + 1]
        assert set(other.differs(live)) <= lost
        if number % 7 == 6:
            live = other
            LIBRARY.clear()  # as in a fresh kernel


def seen(names: dict[str, Any], lost: set[str]) -> list[tuple[str, Any]]:
    """Return the variables as plain data in which equal numbers stand for the same object."""
    others = {*lost, "library", "happens"}
    user = sorted(name for name in names if not name.startswith("_") and name not in others)
    view = _View(names)
    return [(name, view.of(names[name])) for name in user]


_POINTERS = (
    *(classmethod, staticmethod, weakref.ReferenceType, weakref.ProxyType, weakref.CallableProxyType),
    *(types.TracebackType, re.Match),
)


class _View:
    """One reading of a namespace."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names
        self._numbers: dict[int, int] = {}
        self._keep: list[Any] = []

    def of(self, one: Any) -> Any:
        if isinstance(one, int | str | float | type(None)):
            return one
        if one is self._names:
            return "the namespace"
        if id(one) in self._numbers:
            return ("same as", self._numbers[id(one)])
        self._numbers[id(one)] = len(self._numbers)
        self._keep.append(one)  # kept alive, so that no id is reused
        return self._parts(one, type(one))

    def _parts(self, one: Any, kind: type) -> Any:
        if isinstance(one, types.BuiltinFunctionType) and not isinstance(one.__self__, types.ModuleType | type | None):
            return ("method of", self.of(one.__self__), one.__name__)
        if kind in _POINTERS:
            return self._pointed(one, kind)
        if isinstance(one, types.ModuleType | types.BuiltinFunctionType):
            return one.__name__
        if kind is types.FunctionType:
            cells = [self.of(cell) for cell in one.__closure__ or ()]
            own = one.__globals__ is self._names
            about = (one.__qualname__, one.__code__.co_code, own)
            return ("function", about, cells, self.of(one.__defaults__), self.of(vars(one)))
        if kind is types.CellType:
            return ("cell", self.of(one.cell_contents))
        if kind is types.MethodType:
            return ("method", self.of(one.__func__), self.of(one.__self__))
        if isinstance(one, type):
            hidden = ("__dict__", "__weakref__", "__doc__", "__module__", "__slotnames__")
            own = [(key, self.of(value)) for key, value in vars(one).items() if key not in hidden]
            bases = [self.of(base) for base in one.__bases__]
            return ("class", one.__name__, self.of(type(one)) if type(one).__module__ == "__main__" else "", bases, own)
        if kind is partial:
            return ("partial", self.of(one.func), [self.of(item) for item in one.args])
        slots = [(name, self.of(getattr(one, name))) for name in getattr(kind, "__slots__", ()) if hasattr(one, name)]
        name = self.of(kind) if kind.__module__ == "__main__" else kind.__name__
        return (name, self._content(one), slots, self.of(getattr(one, "__dict__", None)))

    def _pointed(self, one: Any, kind: type) -> Any:
        if kind is classmethod or kind is staticmethod:
            return (kind.__name__, self.of(one.__func__))
        if isinstance(one, weakref.ReferenceType):
            return ("reference", self.of(one()), self.of(one.__callback__))
        if kind is types.TracebackType:
            return ("traceback", one.tb_lineno, one.tb_frame.f_code.co_name, self.of(one.tb_next))
        if kind is re.Match:
            return ("match", self.of(one.string), one.regs)
        return ("proxy", self.of(one.__reduce_ex__.__self__))

    def _content(self, one: Any) -> list[Any]:
        if isinstance(one, dict):
            items = cast(dict[Any, Any], one).items()
            return [(self.of(key), self.of(value)) for key, value in items]
        if isinstance(one, list | tuple | deque):
            return [self.of(item) for item in cast(list[Any], one)]
        return sorted(map(repr, cast(set[Any], one))) if isinstance(one, set) else []


def test_a_difference_in_aliasing_would_be_detected() -> None:
    one, other = Namespace(), Namespace()
    one.cell("a = []\nb = a")
    other.cell("a = []\nb = []")
    assert seen(one.names, set()) != seen(other.names, set())
    with pytest.raises(AssertionError):
        assert seen(one.names, {"b"}) == seen(other.names, set())
