"""Random sessions: after every cell the snapshot is restored into a fresh namespace, and is what the live one is.

Compared are structure and aliasing: which objects are the same one. More sessions: `RLM_FUZZ=20000 pytest …`.
"""

import os
import types
from collections import deque
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from .namespaces import Namespace

SESSIONS = int(os.environ.get("RLM_FUZZ", "150"))

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
def mk{j}(b):\n    def g(): b.append({i}) if isinstance(b, list) and len(b) < 9 else None\n    return g
def mk{j}(b):\n    n = {i}\n    def g():\n        nonlocal n\n        n += 1\n        return n, b\n    g.twin = lambda: n\n    return g
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
""".strip().splitlines()

BEFORE = """
from collections import deque
from functools import partial
class L0(list): pass
class L1(list):
    def append(self, x): raise RuntimeError
class L2(L0): n = 1
class Boom(Exception):
    def __init__(self, i): super().__init__(); self.i = [i]
"""

numbers = st.integers(0, 2)
cells = st.builds(
    lambda cell, v, w, i, j, k: cell.replace("\\n", "\n").format(v=v, w=w, i=i, j=j, k=k),
    *(st.sampled_from(CELLS), st.sampled_from("abcd"), st.sampled_from("abcd"), st.integers(0, 99), numbers, numbers),
)


@seed(20261124)
@settings(
    max_examples=SESSIONS, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
@given(st.lists(cells, min_size=1, max_size=30))
def test_every_cell_of_a_random_session_can_be_restored(session: list[str]) -> None:
    live = Namespace()
    live.cell(BEFORE)
    for number, cell in enumerate(session):
        live.cell(cell)
        live.names.pop("_error", None)
        # Now and then the session goes on in the restored namespace, as after a crash.
        other = live.again()
        assert other.restored is not None
        lost = {name for group in live.groups.values() for name in group["lost"]}
        assert set(other.restored.lost) == lost
        assert seen(other.names, lost) == seen(live.names, lost), session[: number + 1]
        if number % 7 == 6:
            live = other


def seen(names: dict[str, Any], lost: set[str]) -> list[tuple[str, Any]]:
    """The variables as plain data in which the same object has the same number."""
    memo: dict[int, int] = {}
    keep: list[Any] = []

    def of(one: Any) -> Any:
        if isinstance(one, int | str | float | type(None)):
            return one
        if one is names:
            return "the namespace"
        if id(one) in memo:
            return ("same as", memo[id(one)])
        memo[id(one)] = len(memo)
        keep.append(one)  # no id is used twice
        return parts(one, type(one))

    def parts(one: Any, kind: type) -> Any:
        if isinstance(one, types.ModuleType | types.BuiltinFunctionType):
            return one.__name__
        if kind is types.FunctionType:
            cells = [of(cell) for cell in one.__closure__ or ()]
            own = one.__globals__ is names
            return ("function", one.__qualname__, one.__code__.co_code, cells, of(one.__defaults__), of(vars(one)), own)
        if kind is types.CellType:
            return ("cell", of(one.cell_contents))
        if kind is types.MethodType:
            return ("method", of(one.__func__), of(one.__self__))
        if isinstance(one, type):
            hidden = ("__dict__", "__weakref__", "__doc__", "__module__", "__slotnames__")
            own = [(key, of(value)) for key, value in sorted(vars(one).items()) if key not in hidden]
            return ("class", one.__name__, [of(base) for base in one.__bases__], own)
        if kind is partial:
            return ("partial", of(one.func), [of(item) for item in one.args])
        content: list[Any] = []
        if isinstance(one, dict):
            content = [(of(key), of(value)) for key, value in one.items()]
        elif isinstance(one, list | tuple | deque):
            content = [of(item) for item in list.__iter__(one) if True] if isinstance(one, list) else list(map(of, one))
        elif isinstance(one, set):
            content = sorted(map(repr, one))
        slots = [(name, of(getattr(one, name))) for name in getattr(kind, "__slots__", ()) if hasattr(one, name)]
        plain = (
            kind in (list, tuple, dict, set, deque) or "member" in kind.__name__ or kind.__name__.endswith("property")
        )
        return (kind.__name__ if plain else of(kind), content, slots, of(getattr(one, "__dict__", None)))

    user = sorted(name for name in names if not name.startswith("_") and name not in lost)
    return [(name, of(names[name])) for name in user]


def test_a_difference_would_be_seen() -> None:
    one, other = Namespace(), Namespace()
    one.cell("a = []\nb = a")
    other.cell("a = []\nb = []")
    assert seen(one.names, set()) != seen(other.names, set())
    with pytest.raises(AssertionError):
        assert seen(one.names, {"b"}) == seen(other.names, set())
