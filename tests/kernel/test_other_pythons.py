"""Functions and classes saved by another Python are compiled again from their source, or named as lost; never loaded.

`Namespace.as_of_another_python` changes the recorded number of the bytecode. With the path of another Python that has
this program installed in `RLM_OTHER_PYTHON`, its snapshots are restored here, and those of this Python there.
"""

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.kernel.inside.snapshot import code_objects
from durable_rlm.kernel.inside.snapshot.placeholder import LostVariable
from tests.kernel.namespaces import Namespace
from tests.kernel.test_state_zoo import KEPT


def moved(*cells: str) -> Namespace:
    """Return the namespace restored after these cells by a Python that has other bytecode."""
    live = Namespace()
    for cell in cells:
        live.cell(cell)
    live.as_of_another_python()
    return live.again()


@pytest.fixture
def no_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it an error to build a code object out of saved bytecode."""

    class Types(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name == "CodeType":
                raise AssertionError("bytecode of another Python was loaded")
            return getattr(types, name)

    monkeypatch.setattr("durable_rlm.kernel.inside.snapshot.unpickler.types", Types("types"))


@pytest.mark.usefixtures("no_bytecode")
@pytest.mark.parametrize(
    ("cells", "holds"),
    [(cells, holds) for cells, holds in KEPT.values() if "context" not in cells[0]],
    ids=[name for name, (cells, _) in KEPT.items() if "context" not in cells[0]],
)
def test_a_value_is_restored_from_its_source(cells: list[str], holds: str) -> None:
    restored = moved(*cells)
    assert restored.restored is not None
    assert {name: why for name, why in restored.restored.lost.items() if name != "gen"} == {}
    assert restored.see(holds), holds


def test_a_function_without_source_is_named_and_raises_when_it_is_called() -> None:
    restored = moved("exec('def f(x): return x')\ndef g(): return f(1)\nclass C: pass\nC.m = f\nother = [1]")
    assert restored.restored is not None
    assert set(restored.restored.lost) == {"f", "C"} or set(restored.restored.lost) == {"f"}
    assert "Python 3.0.0 compiled it" in restored.restored.lost["f"]
    assert restored.see("other, callable(f), f.__name__") == ([1], True, "f")
    for use in ("f(1)", "g()", "C.m(1)"):
        with pytest.raises(LostVariable, match=r"function f was lost.*define it again"):
            restored.see(use)
    restored.cell("again = f")
    assert "lost before" in restored.again().restored.lost["f"]  # type: ignore[union-attr]
    restored.cell("def f(x): return x + 1")
    assert restored.again().see("g()") == 2


@pytest.mark.usefixtures("no_bytecode")
def test_code_itself_is_named_as_lost() -> None:
    restored = moved("def f(): pass\ncode = f.__code__\nmade = compile('1', '<made>', 'eval')")
    assert restored.restored is not None
    assert {name: why.split(":")[0] for name, why in restored.restored.lost.items()} == {"code": "code", "made": "code"}


@pytest.mark.usefixtures("no_bytecode")
def test_two_lambdas_of_a_line_are_distinguished_by_their_place() -> None:
    restored = moved("pair = [lambda x: x + 1, lambda x: x + 1, lambda x: (x,\n 2), lambda x: None, lambda x: 7]")
    assert restored.see("[f(1) for f in pair]") == [2, 2, (1, 2), None, 7]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def make(q):\n    def f(x, y): return q\n    return f", True),
        ("def make(q):\n    def f(x, z): return q\n    return f", False),
        ("def make(q):\n    def f(x): return q\n    return f", False),
        ("def make(q):\n    def f(x, *, y): return q\n    return f", False),
        ("def make(q, r=1):\n    def f(x, y): return r\n    return f", False),
        ("\ndef make(q):\n    def f(x, y): return q\n    return f", False),
        ("def other(q):\n    def f(x, y): return q\n    return f", False),
        ("make = 1", False),
        ("((", False),
    ],
)
def test_a_function_is_taken_only_from_a_source_that_has_it(source: str, found: bool) -> None:
    live = Namespace()
    live.cell("def make(q):\n    def f(x, y): return q\n    return f\nf = make(1)")
    saved = code_objects.SavedCode(*code_objects.arguments_of(live.see("f").__code__), "3.0.0")
    assert (saved.compiled(source, None) is not None) is found


def test_a_restored_function_has_its_source_in_tracebacks_and_for_inspect(monkeypatch: pytest.MonkeyPatch) -> None:
    live = Namespace()
    live.cell("def f():\n    text = 'a\u2028b\x0cc'\n    raise ValueError(text)")
    monkeypatch.setattr("linecache.cache", {})
    restored = live.again()
    restored.cell("import inspect, traceback\ntry: f()\nexcept ValueError: shown = traceback.format_exc()")
    assert "raise ValueError(text)" in restored.see("shown")
    assert restored.see("inspect.getsource(f)").startswith("def f():")
    assert live.groups.keys() <= restored.groups.keys()


def test_a_source_is_kept_as_long_as_code_of_it() -> None:
    live = Namespace()
    live.cell("def f(): return 1\ndef g(): return 2")
    sources = [name for name in live.groups if name.startswith(code_objects.SOURCE)]
    live.cell("del f")
    assert len(sources) == 1 and sources[0] in live.groups
    live.cell("del g")
    live.cell("x = 1")
    assert [name for name in live.groups if name.startswith(code_objects.SOURCE)] == []


def test_data_is_recorded_without_a_python() -> None:
    live = Namespace()
    live.cell("import numpy as np\na = [1]\nb = np.arange(3)\ndef f(): pass")
    forms = {name: json.loads(live.groups[name]["form"]) for name in "abf"}
    assert "magic" not in forms["a"] and "packages" not in forms["a"]
    assert list(forms["b"]["packages"]) == ["numpy"] and "magic" not in forms["b"]
    assert forms["f"]["magic"] == code_objects.MAGIC and forms["f"]["python"] == code_objects.PYTHON


def test_other_versions_are_reported() -> None:
    live = Namespace()
    live.cell("import numpy as np\nb = np.arange(3)\ndef f(): pass")
    assert live.again().restored.notes == []  # type: ignore[union-attr]
    live.as_of_another_python()
    live.groups["b"]["form"] = json.dumps(json.loads(live.groups["b"]["form"]) | {"packages": {"numpy": "1.0"}})
    notes = live.again().restored.notes  # type: ignore[union-attr]
    assert [note.split(",")[0] for note in notes] == [
        f"code that Python 3.0.0 had compiled was compiled again by Python {code_objects.PYTHON}",
        "it was saved with numpy 1.0",
    ]


def test_sessions_of_two_pythons_are_restored_by_each_other(tmp_path: Path) -> None:
    other = os.environ.get("RLM_OTHER_PYTHON")
    if other is None:
        pytest.skip("RLM_OTHER_PYTHON names no other Python")

    def run(python: str, work: str, file: str) -> dict[str, Any]:
        command = [python, "-m", "tests.kernel.between_pythons", work, str(tmp_path / file)]
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)

    for saving, loading in ((sys.executable, other), (other, sys.executable)):
        saved, restored = run(saving, "save", "s"), run(loading, "restore", "s")
        assert restored["values"] == saved["values"]
        assert list(restored["lost"]) == ["unknown"]
