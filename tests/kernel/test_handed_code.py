"""Variables that something outside of them may change, or run, are compared after every cell (letter d of P5)."""

import logging
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.kernel.inside.snapshot.shell_names import NoShell
from tests.kernel.namespaces import Namespace

PLACE: dict[str, Any] = {}
"""A library's own place for what it is given."""


class Library:
    """A class that belongs to a module, not to a cell."""

    hooks: list[Any] = []  # noqa: RUF012 - shared on purpose


@pytest.fixture(autouse=True)
def _left_as_it_was() -> Generator[None]:
    yield
    PLACE.clear()
    Library.hooks.clear()
    if "total" in vars(Library):
        del Library.total  # type: ignore[attr-defined]
    logging.getLogger("handed").handlers.clear()


def _live() -> Namespace:
    live = Namespace(given={"place": PLACE, "library": Library})
    live.cell("seen = []\nother = [1]")
    return live


def _held() -> dict[str, tuple[str, str]]:
    """Return the names, cells and events of `handed_code.txt`."""
    _, *sections = (Path(__file__).parent / "handed_code.txt").read_text().split("\n## ")
    found: dict[str, tuple[str, str]] = {}
    for section in sections:
        name, rest = section.split("\n", 1)
        cell, happens = rest.split("\n=> ")
        found[name] = cell, happens.strip()
    return found


HELD = _held()


@pytest.mark.parametrize(("cell", "happens"), HELD.values(), ids=HELD.keys())
def test_changes_that_a_library_makes_with_what_it_was_given_are_seen(cell: str, happens: str) -> None:
    live = _live()
    live.cell(cell)
    assert live.names.get("_error") is None
    assert live.again().see("seen") == []
    live.cell("x = 1")
    eval(happens, {"PLACE": PLACE, "Library": Library, "logging": logging})
    assert live.see("seen") == [1]
    live.cell("x = 2")  # names nothing of it
    assert live.again().see("seen") == [1]


NOT_HELD = [
    "def f(x): return x\ng = [f]",
    "class C:\n    def m(self): return super().__init__()\nc = C()\ncs = [C() for _ in range(9)]",
    "import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int = 0\nps = [P(1)]",
    "import enum\nclass E(enum.Enum):\n    A = 1\ne = E.A",
    "import numpy as np\na = np.arange(9)\nb = a[2:]\nd = {'a': a}",
    "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})\ns = df['a']\ng = df.groupby('a')",
    "r = sorted([3, 1], key=lambda x: -x)\nm = list(map(lambda x: x, r))",
    "def make():\n    b = []\n    return lambda: b\ng = make()",
    "import functools\n@functools.lru_cache\ndef f(x): return x\np = functools.partial(f, 1)",
    "import logging\nlog = logging.getLogger('a name')",
    "records = [{'a': i, 'b': [i]} for i in range(1000)]\none = records[0]",
    "try:\n    1 / 0\nexcept Exception as e:\n    error = e",
    "import collections\nq = collections.deque([[1]])\nd = collections.defaultdict(list)\nd[1].append(2)",
    "import weakref\nclass C: pass\nc = C()\nw, p = weakref.ref(c), weakref.proxy(c)",
    "import logging\nclass H(logging.Handler): pass\nh = H()",
    "import weakref\nclass C: pass\nc = C()\nw = weakref.ref(c)\nk = weakref.WeakKeyDictionary({c: 1})",
]


@pytest.mark.parametrize("cell", NOT_HELD)
def test_objects_that_only_variables_hold_cause_no_comparison_of_all(cell: str) -> None:
    live = _live()
    live.cell(cell)
    live.names["other"].append(2)  # behind the back: nothing names it
    live.cell("x = 1")
    assert live.see("other") == [1, 2]
    assert live.again().see("other") == [1]


def test_all_are_compared_no_longer_once_the_library_lets_go() -> None:
    live = _live()
    live.cell("place['f'] = lambda: seen.append(1)")
    PLACE.clear()
    live.cell("x = 1")
    live.names["other"].append(2)
    live.cell("x = 2")
    assert live.again().see("other") == [1]


def test_a_callback_that_is_not_there_after_a_restore_is_named() -> None:
    live = _live()
    live.cell("def tell(): seen.append(1)\nplace['f'] = tell")
    restored = live.again().restored
    assert restored is not None
    assert "held tell" in restored.lost["library.callbacks()"]
    live.cell("place.clear()")
    live.cell("x = 1")
    after = live.again().restored
    assert after is not None and not after.lost


def test_changes_by_a_timer_that_has_ended_are_seen() -> None:
    live = Namespace()
    live.cell(
        "import threading\nseen = []\ndone, go = threading.Event(), threading.Event()\n"
        "def later():\n    go.wait(); seen.append(1); done.set()\n"
        "threading.Thread(target=later).start()"
    )
    live.names["go"].set()
    live.names["done"].wait()
    for thread in __import__("threading").enumerate():
        if thread.name.endswith("(later)"):
            thread.join()
    live.cell("x = 1")
    assert live.again().see("seen") == [1]


def test_the_unused_garbage_of_a_cell_is_not_held_by_anything() -> None:
    live = _live()
    live.cell("class Node: pass\nn = Node()\nn.me = n\ndel n\n")
    live.names["other"].append(2)
    live.cell("x = 1")
    assert live.again().see("other") == [1]


def test_a_handler_that_replaced_another_one_is_not_named() -> None:
    live = Namespace(own_process=True)
    before = signal.getsignal(signal.SIGUSR2)
    try:
        define = "import signal\ndef on_signal(number, frame): pass\nsignal.signal(signal.SIGUSR2, on_signal)"
        live.cell(define)
        live = live.again()
        live.cell(define)
        restored = live.again().restored
        assert restored is not None and "library.callbacks()" not in restored.lost
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_function_that_the_shell_has_shown_is_not_named() -> None:
    shown: list[Any] = []
    shell = NoShell()
    shell.shown = lambda: shown  # type: ignore[method-assign]
    live = Namespace(shell=shell)
    live.cell("def f(): pass")
    shown.append(live.names["f"])
    live.cell("def f(x): pass")
    restored = live.again().restored
    assert restored is not None and not restored.lost
