"""Snapshots restore, or report as lost, every kind of value that cells leave in variables."""

import random
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from durable_rlm.kernel.inside.snapshot import snapshotter
from durable_rlm.kernel.inside.snapshot.placeholder import LostVariable
from tests.kernel.namespaces import Namespace


def after(*cells: str, own_process: bool = False) -> Namespace:
    """Return the namespace restored after these cells, each of which was saved."""
    live = Namespace(own_process=own_process)
    for cell in cells:
        live.cell(cell)
    return live.again()


def _kept() -> dict[str, tuple[list[str], str]]:
    """Return the names, cells and expected conditions of `state_zoo.txt`, and of the files beside it."""
    files = sorted(Path(__file__).parent.glob("state_zoo*.txt"))
    found: dict[str, tuple[list[str], str]] = {}
    for section in (one for file in files for one in file.read_text().split("\n## ")[1:]):
        name, rest = section.split("\n", 1)
        cells, holds = rest.split("\n=> ")
        found[name] = (cells.split("\n---\n"), holds.strip())
    return found


KEPT = _kept()


@pytest.fixture(scope="module", params=["ASCII", "mixed"])
def pack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An input of a few hundred kilobytes."""
    path = tmp_path_factory.mktemp("input") / "pack"
    line = "line {0} of the input\n" if request.param == "ASCII" else "Zeile {0} größer als 日本 𝄞\n"
    path.write_text("".join(line.format(number) for number in range(20_000)))
    return path


@pytest.mark.parametrize(("cells", "holds"), KEPT.values(), ids=KEPT.keys())
def test_a_value_is_restored(cells: list[str], holds: str, pack: Path) -> None:
    live = Namespace(pack=pack if "context" in cells[0] else None)
    for cell in cells:
        live.cell(cell)
    assert live.names.get("_error") is None
    twice = live.again().again()
    assert twice.restored is not None
    lost = {name: why for name, why in twice.restored.lost.items() if name != "gen"}
    assert lost == {}
    assert twice.see(holds), holds
    assert live.see(holds), "the condition holds before saving"


@pytest.mark.parametrize(("cells", "holds"), KEPT.values(), ids=KEPT.keys())
def test_a_replayed_value_equals_its_snapshot_and_an_earlier_one_does_not(
    cells: list[str], holds: str, pack: Path
) -> None:
    del holds
    live, replayed, other = (Namespace(pack=pack if "context" in cells[0] else None) for _ in range(3))
    for cell in cells:
        live.cell(cell)
        replayed.cell(cell)
    for cell in cells[:1]:
        other.cell(cell)
    if "gen" in live.names:
        live.cell("del gen")
        replayed.cell("del gen")
    assert live.differs(live) == []
    assert replayed.differs(live) == []
    assert live.again().differs(live) == []
    if len(cells) > 1 and not cells[1].startswith("del "):
        assert other.differs(live) != []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a = b = []", "a, b = [], []"),
        ("a = [1]", "a = [True]"),
        ("a = [1.0]", "a = [1]"),
        ("a = list(range(99))", "a = [*range(50), 50.0, *range(51, 99)]"),
        ("a = {1: 2, 3: 4}", "a = {3: 4, 1: 2}"),
        ("def f(): return 1", "def f(): return 2"),
        ("def f(x=1): pass", "def f(x=2): pass"),
        ("def m(n):\n    return lambda: n\nf = m(1)", "def m(n):\n    return lambda: n\nf = m(2)"),
        ("class C:\n    x = 1\nc = C()", "class C:\n    x = 2\nc = C()"),
        ("class C: pass\nc = C()\nc.x = 1", "class C: pass\nc = C()\nc.x = 2"),
        ("import numpy as np\na = np.arange(9)", "import numpy as np\na = np.arange(9) * 1.0"),
        ("import numpy as np\na = np.arange(9)", "import numpy as np\na = np.arange(9)\na[4] = 0"),
        ("import random\nr = random.Random(1)", "import random\nr = random.Random(2)"),
        ("s = {'a', 'b'}", "s = {'a', 'c'}"),
        ("f = print", "f = len"),
        ("a = 1", ""),
    ],
)
def test_a_difference_is_detected(one: str, other: str) -> None:
    saved, live = Namespace(), Namespace()
    saved.cell(one)
    live.cell(other)
    assert live.differs(saved)


def test_an_empty_array_of_objects_equals_its_snapshot() -> None:
    saved = Namespace()
    saved.cell("import pandas as pd\ne = pd.Series([], dtype=object)")
    assert saved.differs(saved) == []
    assert saved.again().differs(saved) == []


def test_types_of_elements_may_be_shared_or_not() -> None:
    saved, live = Namespace(), Namespace()
    saved.cell("import numpy as np\nd = np.dtype('O')\ne = [np.dtype('O'), np.dtype('O')]")
    live.cell("import numpy as np\nfrom pickle import dumps, loads\nd = np.dtype('O')")
    live.cell("e = [d, loads(dumps(d))]")
    assert live.differs(saved) == []
    live.cell("e[1] = np.dtype('i8')")
    assert live.differs(saved) == ["e"]


def test_an_empty_array_needs_no_empty_piece() -> None:
    # A message with an empty piece alone has nothing attached, so that the piece would be missing.
    live = Namespace()
    live.cell("import numpy as np\na = np.array([])\nb = {'e': np.zeros((0, 3)), 's': ''}")
    assert all(len(piece) for piece in live.chunks.values())
    assert live.again().see("a.shape == (0,) and b['e'].shape == (0, 3) and b['s'] == ''")


def test_nan_equals_its_snapshot() -> None:
    saved = Namespace()
    saved.cell("a = [float('nan')] * 99 + [1]\nb = float('nan')")
    assert saved.again().differs(saved) == []


def test_comparing_does_not_trust_a_class_with_a_false_eq() -> None:
    saved, live = Namespace(), Namespace()
    lies = "class Liar:\n    def __eq__(self, o): return True\n    def __hash__(self): return 1\n"
    saved.cell(lies + "a = Liar()\na.x = 1")
    live.cell(lies + "a = Liar()\na.x = 2")
    assert live.differs(saved) == ["a"]


LOST = {
    "a generator": ("v = (i for i in [1])", "generator"),
    "a coroutine": ("async def f(): pass\nv = f()", "coroutine"),
    "a socket": ("import socket\nv = socket.socket()", "socket"),
    "a thread": ("import threading\nv = threading.Thread(target=print)", "Thread"),
    "a file open for writing": ("import tempfile\nv = tempfile.TemporaryFile('w')", "open for writing"),
    "a database connection": ("import sqlite3\nv = sqlite3.connect(':memory:')", "Connection"),
    "a module made by code": ("import types\nv = types.ModuleType('mine')", "made by code"),
    "a lock that a thread holds": ("import threading\nv = threading.RLock()\nv.acquire()", "held by a thread"),
    "a memory view": ("v = memoryview(b'abc')", "memoryview"),
    "a weak method": (
        "import weakref\nclass C:\n    def m(self): pass\nv = weakref.WeakMethod(C().m)",
        "method",
    ),
    "a weak proxy without its object": (
        "import weakref\nclass C: pass\nc = C()\nv = weakref.proxy(c)\ndel c",
        "its object is gone",
    ),
    "a frame": ("import sys\nv = sys._getframe()", "frame"),
    "a process": ("import subprocess\nv = subprocess.Popen(['true'])", "Popen: it was a process"),
    "a pipe to a process": (
        "import subprocess\np = subprocess.Popen(['true'], stdout=subprocess.PIPE)\np.wait()\nv = p.stdout\ndel p",
        "not a file with a path",
    ),
    "a pipe to a shell": ("import os\nv = os.popen('true')", "it was a process"),
    "a file opened by number": (
        "import os\nv = os.fdopen(os.open('/dev/null', 0))",
        "not a file with a path",
    ),
    "a connection to a process": (
        "import multiprocessing\nv, w = multiprocessing.Pipe()\nw.close()\ndel w",
        "a connection",
    ),
    "a process of multiprocessing": ("import multiprocessing\nv = multiprocessing.Process(target=len)", "a process"),
    "shared memory": (
        "from multiprocessing.shared_memory import SharedMemory\nv = SharedMemory(create=True, size=9)\nv.unlink()",
        "it was memory",
    ),
    "a pool of threads": (
        "from concurrent.futures import ThreadPoolExecutor\nv = ThreadPoolExecutor(1)\nv.submit(len, 'a').result()\n"
        "v.shutdown()",
        "ThreadPoolExecutor: its threads",
    ),
    "a future without a result": ("from concurrent.futures import Future\nv = Future()", "set its result"),
    "an event loop": ("import asyncio\nv = asyncio.new_event_loop()\nv.close()", "it ended with the kernel"),
    "a future of an event loop": (
        "import asyncio\nl = asyncio.new_event_loop()\nv = l.create_future()\nv.set_result(1)\nl.close()\ndel l",
        "Future",
    ),
    "a context variable's token": (
        "import contextvars\nc = contextvars.ContextVar('c')\nv = c.set(1)\ndel c",
        "Token",
    ),
    "mapped memory": ("import mmap\nv = mmap.mmap(-1, 9)", "mmap"),
    "a selector": ("import selectors\nv = selectors.DefaultSelector()\nv.close()", "it watched files"),
    "a temporary folder": ("import tempfile\nv = tempfile.TemporaryDirectory()\nv.cleanup()", "its folder belonged"),
    "a temporary file": ("import tempfile\nv = tempfile.NamedTemporaryFile()\nv.close()", "its file belonged"),
    "a context manager that is entered": (
        "import contextlib\n@contextlib.contextmanager\ndef f(): yield 1\nv = f()\nv.__enter__()",
        "the generator that it runs",
    ),
    "an open database": ("import shelve, tempfile\nv = shelve.open(tempfile.mktemp())\nv.close()", "an open database"),
    "a reader of a table": ("import csv\nv = csv.reader(['a,b'])", "reader"),
    "the state of a hash": ("import hashlib\nv = hashlib.sha256(b'a')", "HASH"),
    "a dict by address": (
        "objects = [[1], [2]]\nv = {id(one): one for one in objects}",
        "dict: it is made of addresses",
    ),
    "a set of addresses": ("objects = [[1], [2]]\nv = {id(one) for one in objects}", "set: it is made of addresses"),
    "a list of addresses": ("objects = [[1], [2]]\nv = [id(one) for one in objects]", "addresses of objects"),
    "a counter by address": (
        "import collections\nobjects = [[1], [2]]\nv = collections.Counter(map(id, objects))",
        "Counter: it is made of addresses",
    ),
    "a dict by address in another": (
        "class C: pass\nc = C()\nv = {'seen': {id(c): 'yes', id(before): 'no'}}",
        "dict: it is made of addresses",
    ),
    "a dict of texts by address": ("v = {id(one): one for one in ('a' * 99, 'b' * 99)}", "addresses of objects"),
    "many by address": (
        "class C: pass\nmany = [C() for _ in range(99)]\nv = {id(one): number for number, one in enumerate(many)}",
        "addresses of objects",
    ),
    "too deep a nest": ("v = []\nfor _ in range(100_000):\n    v = [v]", "deep recursion"),
    "a filled cache": ("import functools\n@functools.lru_cache\ndef v(x): return x\nv(1)", "cached"),
}


@pytest.mark.filterwarnings(
    "ignore:coroutine:RuntimeWarning", "ignore:unclosed:ResourceWarning", "ignore:subprocess:ResourceWarning"
)
@pytest.mark.parametrize(("cell", "why"), LOST.values(), ids=LOST.keys())
def test_a_value_that_cannot_be_saved_is_lost_alone_with_the_reason(cell: str, why: str) -> None:
    live = Namespace()
    live.cell(f"before = [1]\n{cell}\nafter = [before]")
    assert live.names.get("_error") is None
    restored = live.again()
    assert restored.restored is not None
    assert set(restored.restored.lost) == {"v"}
    assert why in restored.restored.lost["v"]
    assert restored.see("after[0] is before")
    restored.again()  # still lost, and still not a failure


def test_a_finalizer_is_lost_and_what_held_its_object_is_named() -> None:
    restored = after("import weakref\nclass C: pass\nc = C()\nv = weakref.finalize(c, len, 'a')").restored
    assert restored is not None
    assert set(restored.lost) == {"v", "library.callbacks()"}
    assert "it waited for the end of an object" in restored.lost["v"]
    assert "a library held a C" in restored.lost["library.callbacks()"]


def test_a_process_that_ended_keeps_its_result() -> None:
    restored = after("import subprocess\np = subprocess.Popen(['false'])\np.wait()")
    assert restored.restored is not None and restored.restored.lost == {}
    assert restored.see("p.returncode, p.wait(), p.poll(), p.args") == (1, 1, 1, ["false"])


def test_a_traceback_prints_the_same_lines() -> None:
    live = Namespace()
    live.cell(
        "import traceback\ndef fail(n):\n    if n: fail(n - 1)\n    return {}['key']\ntry: fail(1)\n"
        "except KeyError as error: held = error\nprinted = traceback.format_exception(held)"
    )
    restored = live.again().again()
    printed = restored.see("traceback.format_exception(held)")
    assert [line.split("\n")[:2] for line in printed] == [line.split("\n")[:2] for line in live.see("printed")]
    assert "return {}['key']" in "".join(printed)
    assert restored.see("held.__traceback__.tb_frame.f_back") is None, "it would keep all of the restore in memory"
    with pytest.raises(LostVariable, match="the variables of a frame are not saved"):
        restored.see("len(held.__traceback__.tb_frame.f_locals['variables'])")


def test_using_a_lost_variable_raises_with_the_reason() -> None:
    restored = after("gen = (i for i in [1])\nheld = {'gen': gen, 'n': 1}")
    assert restored.see("held['n']") == 1
    for use in (
        "next(gen)",
        "list(gen)",
        "gen.send(1)",
        "held['gen']()",
        "len(gen)",
        "bool(gen)",
        "gen == 1",
        "gen + 1",
    ):
        with pytest.raises(LostVariable, match="generator was lost when the REPL was restored"):
            restored.see(use)
    assert "lost generator" in restored.see("repr(gen)")
    restored.cell("gen = 5")
    assert restored.again().see("gen") == 5


def test_only_variables_that_hold_a_lost_value_are_lost() -> None:
    live = Namespace()
    live.cell("shared = []\na = [shared]\nb = [shared, (i for i in [1])]")
    restored = live.again().restored
    assert restored is not None
    assert set(restored.lost) == {"b"}


def test_a_file_open_for_reading_is_reopened_at_its_position(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("one\ntwo\n")
    live = Namespace()
    live.cell(f"f = open({str(tmp_path / 'f')!r})\nf.readline()")
    restored = live.again()
    assert restored.see("f.readline()") == "two\n"
    (tmp_path / "f").unlink()
    gone = live.again()
    assert gone.restored is not None and "cannot be opened again" in gone.restored.lost["f"]
    for one in (live, restored):
        one.names["f"].close()


def test_objects_given_to_every_kernel_are_saved_by_name() -> None:
    text, history = "x" * 100_000, [{"role": "user"}]

    def ask() -> None: ...

    given = {"context": text, "history": history, "ask": ask}
    live = Namespace(given=given)
    live.cell("t = context\nl = [context, history]\nf = ask\npart = context[:10]")
    assert sum(map(len, live.chunks.values())) < 5_000
    restored = live.again()
    assert restored.see("t is context and l[0] is context and l[1] is history and f is ask and part == 'x' * 10")


def test_a_missing_chunk_loses_only_the_variables_that_need_it() -> None:
    live = Namespace()
    live.cell("a = [1]\nb = [2]\nclass C: pass\nc = C()")
    for name in live.groups["C"]["chunks"]:
        del live.chunks[name]
    restored = live.again().restored
    assert restored is not None
    assert set(restored.lost) == {"C", "c"}
    assert "missing" in restored.lost["C"]


def test_restoring_runs_no_code_of_a_group_except_in_a_load() -> None:
    live = Namespace()
    live.cell("class Boom:\n    def __reduce__(self): return exec, ('raise SystemExit',)\nb = Boom()")
    assert type(live.again().names["b"]).__name__ == "Boom"


class TestAmbient:
    """State outside of the namespace. It is this process's own here, so each test puts it back."""

    @pytest.fixture(autouse=True)
    def _untouched(self) -> Any:
        import json

        state, dumps = random.getstate(), json.dumps
        yield
        random.setstate(state)
        json.dumps = dumps

    def test_random_numbers_continue_from_the_snapshot(self) -> None:
        live = Namespace(own_process=True)
        live.cell("import random, numpy\nfirst = random.random(), numpy.random.rand()")
        saved = dict(live.groups), dict(live.chunks)
        expected = live.see("(random.random(), numpy.random.rand())")
        live.groups, live.chunks = saved
        assert live.again().see("(random.random(), numpy.random.rand())") == expected

    def test_two_kernels_begin_with_the_same_random_numbers(self) -> None:
        drawn = [
            Namespace(own_process=True).cell("import random\nx = random.random()") and random.random() for _ in "ab"
        ]
        assert drawn[0] == drawn[1]

    def test_a_patched_module_is_patched_again(self) -> None:
        import json

        live = Namespace(own_process=True)
        live.cell("import json\ndef mine(x): return 'mine'")
        live.cell("json.dumps = mine")
        json.dumps = None  # type: ignore[assignment]
        restored = live.again()
        assert restored.see("json.dumps(1)") == "mine"
        assert restored.see("json.dumps is mine")

    def test_a_patch_of_the_module_of_random_numbers_is_compared(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(random, "shuffle", random.shuffle)
        live = Namespace(own_process=True)
        live.cell("import random\ndef mine(x): return x")
        live.cell("random.shuffle = mine")
        assert live.differs(live) == []
        random.shuffle = print
        assert live.differs(live) == ["random.shuffle"]

    def test_a_cell_that_changes_nothing_pickles_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        live = Namespace(own_process=True)
        live.cell("x = 1")
        made = Mock()
        monkeypatch.setattr(snapshotter, "make", made)
        for _ in range(3):
            live.cell("x = 1")
        made.assert_not_called()

    def test_an_object_shared_with_a_module_stays_shared(self) -> None:
        live = Namespace(own_process=True)
        live.cell("import json\nlog = []\njson.log = log")
        live.cell("json.log.append(1)")
        restored = live.again()
        assert restored.see("log == [1] and json.log is log")
        del restored.see("json").log
