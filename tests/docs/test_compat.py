"""Undocumented parts of other packages are used only in `compat` modules, and exist in the installed releases.

The parts of LangGraph's server are tested by `tests/e2e/server_safety`, which starts it. What those of ipykernel do
together is tested by every test that starts a kernel.
"""

import ast
import importlib
import inspect
import re
import sqlite3
import sys
from abc import ABCMeta
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import aiosqlite
import pytest
from cloudpickle import cloudpickle  # noqa: TID251
from ipykernel import ipkernel
from ipykernel.iostream import IOPubThread, OutStream
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel
from IPython.core.profiledir import ProfileDir
from jupyter_client.manager import AsyncKernelManager
from langgraph._internal import _constants as langgraph_names
from zmq.utils.garbage import GarbageCollectorThread

from durable_rlm.kernel.inside import ipykernel_compat
from durable_rlm.kernel.inside.snapshot import cloudpickle_compat
from durable_rlm.kernel.inside.snapshot.zmq_compat import is_of_zmq
from durable_rlm.nodes.runtime import langgraph_compat
from durable_rlm.state.db.aiosqlite_compat import run_in_thread

ROOT = Path(__file__).parents[2]
FOLDERS = ("graph", "kernel", "matching", "nodes", "state", "studio")


def two_plus(connection: sqlite3.Connection, number: int) -> int:
    return int(connection.execute("SELECT 2").fetchone()[0]) + number


async def test_aiosqlite_runs_functions_in_its_thread(tmp_path: Path) -> None:
    async with aiosqlite.connect(tmp_path / "db") as connection:
        assert await run_in_thread(connection, two_plus, 3) == 5


def test_langgraph_has_the_names_that_are_used() -> None:
    names = {value for name, value in vars(langgraph_names).items() if name.isupper() and isinstance(value, str)}
    own = {name: value for name, value in vars(langgraph_compat).items() if name.isupper() and name != "FORWARDED_KEYS"}
    used = {one for value in own.values() for one in ([value] if isinstance(value, str) else value)}
    assert used <= names and len(used) >= 10


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (IOPubThread.__init__, "self socket pipe session"),
        (IOPubThread._handle_subscription, "self frames"),
        (OutStream.write, "self string"),
        (Kernel.process_control, "self msg"),
        (Kernel._publish_status, "self status channel parent"),
        (Kernel._publish_execute_input, "self code parent execution_count"),
        (IPKernelApp._try_bind_socket, "self s port"),
        (IPKernelApp._bind_socket, "self s port"),
        (IPKernelApp._apply_curve_server_options, "self socket"),
        (IPKernelApp.init_connection_file, "self"),
        (IPKernelApp.write_connection_file, "self kwargs"),
        (IPKernelApp.init_control, "self context"),
        (IPKernelApp.init_iopub, "self context"),
        (IPKernelApp.init_heartbeat, "self"),
        (IPKernelApp.init_kernel, "self"),
        (IPKernelApp.init_crash_handler, "self"),
        (IPKernelApp.init_pdb, "self"),
        (IPKernelApp.configure_tornado_logger, "self"),
        (AsyncKernelManager.pre_start_kernel, "self transport_encryption kw"),
        (AsyncKernelManager._async_launch_kernel, "self kernel_cmd kw"),
    ],
    ids=lambda one: getattr(one, "__qualname__", ""),
)
def test_a_method_that_is_called_or_replaced_has_these_parameters(
    function: Callable[..., Any], parameters: str
) -> None:
    assert list(inspect.signature(function).parameters) == parameters.split()


def test_ipykernel_reads_the_attributes_that_are_set() -> None:
    """An attribute that ipykernel no longer reads would be set in vain, and kernels would only be slower."""
    assert isinstance(vars(Kernel)["_supports_kernel_subshells"], property)
    assert "_execute_sleep" in vars(Kernel)
    read = {
        "self._supports_kernel_subshells": Kernel.dispatch_shell,
        "self._execute_sleep": Kernel.execute_request,
        "if self.shell_channel_thread:": Kernel.start,
        "self.shell_channel_thread.parent_thread": IPythonKernel.do_execute,
        "sys.modules": IPythonKernel.__init__,
        "self._attempted_start": importlib.import_module("jupyter_client.manager").in_pending_state,
    }
    assert [name for name, function in read.items() if name not in inspect.getsource(function)] == []
    assert ipkernel.sys is not sys and ipkernel.sys.version == sys.version  # type: ignore[attr-defined]


def test_ipykernel_keeps_its_handlers_and_sockets_under_these_names() -> None:
    made = {
        Kernel.__init__: ("self.shell_handlers = ", "self.control_handlers = "),
        IOPubThread.__init__: ("self.background_socket = ", "self.io_loop = "),
        IPKernelApp.init_control: ("self.control_socket = ", "self.control_thread = ", "self.shell_channel_thread = "),
        IPKernelApp.init_io: ("self.displayhook = ",),
    }
    for function, names in made.items():
        assert [name for name in names if name not in inspect.getsource(function)] == [], function.__qualname__


@pytest.mark.parametrize("name", ipykernel_compat.PRELOADED)
def test_a_preloaded_module_exists(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "debugpy", None)  # as in a kernel
    importlib.import_module(name)


def test_a_profile_folder_is_not_created(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ipykernel_compat._NoProfile(location=str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    ProfileDir(location=str(tmp_path))
    assert {place.name for place in tmp_path.iterdir()} == {"security", "log", "pid", "startup"}


def test_cloudpickle_records_classes_in_the_given_records() -> None:
    there = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS
    records = cloudpickle_compat.ClassRecords()
    before = cloudpickle_compat.use_records(records)
    try:
        kind = type("Kind", (), {"__module__": "__main__", "__slots__": ("one",)})
        pickled = cloudpickle.dumps(kind)
    finally:
        cloudpickle_compat.use_records(before)
    assert list(records.by_class) == [kind] and list(records.by_id.values()) == [kind]
    assert before.by_class is there is cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS and kind not in there
    assert records.by_class[kind].encode() in pickled


def test_registered_classes_are_found() -> None:
    kind: Any = ABCMeta("Kind", (), {})
    kind.register(int)
    assert cloudpickle_compat.registered_with(kind) == [int]


def test_zmq_has_its_thread_in_this_module() -> None:
    assert is_of_zmq(GarbageCollectorThread.__new__(GarbageCollectorThread))


PRIVATE = re.compile(r"_[^_]")
DOCUMENTED = {"os._exit"}
"""Names that begin like private ones and are not."""
KNOWN = {"validator._resolver", "self._resolver"}
"""jsonschema's."""


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, ast.parse(path.read_text())


SOURCES = dict(sources())


def own_names() -> set[str]:
    """All names of the project's own: of functions and classes, of variables, and of attributes of `self`."""
    names: set[str] = set()
    for tree in SOURCES.values():
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    names.add(name)
                case ast.Name(id=name, ctx=ast.Store()):
                    names.add(name)
                case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                    names.add(name)
                case _:
                    pass
    return names


def test_private_names_of_other_packages_are_used_only_in_compat_modules() -> None:
    own = own_names()
    found: list[str] = []
    for path, tree in SOURCES.items():
        if path.stem.endswith("_compat"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and PRIVATE.match(node.attr):
                text = ast.unparse(node)
                if (node.attr not in own or text.startswith("super()")) and text not in DOCUMENTED | KNOWN:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {text}")
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                parts = [*node.module.split("."), *(one.name for one in node.names)]
                if any(map(PRIVATE.match, parts)) and not node.module.startswith("durable_rlm"):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


OF_KERNELS = ("ipykernel", "IPython", "jupyter_client", "cloudpickle", "zmq", "traitlets")


def derived(path: Path, tree: ast.Module) -> Iterator[tuple[ast.ClassDef, type]]:
    """The classes at the top of a module that are derived from others, as they are written and as they are."""
    module: ModuleType | None = None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.bases:
            name = ".".join(("durable_rlm", *path.relative_to(ROOT).with_suffix("").parts))
            module = module or importlib.import_module(name)
            yield node, getattr(module, node.name)


def private_names(written: ast.ClassDef) -> set[str]:
    """The private names that a class defines, sets or reads."""
    nodes = list(ast.walk(written))
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    names |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return {name for name in names if PRIVATE.match(name)}


def test_no_class_of_a_kernel_has_a_private_name_of_the_class_that_it_is_derived_from() -> None:
    """Not even by chance: it would replace what the other package has there."""
    found: list[str] = []
    for path, tree in SOURCES.items():
        if path.relative_to(ROOT).parts[0] != "kernel" or path.stem.endswith("_compat"):
            continue
        for written, kind in derived(path, tree):
            others = [base for base in kind.__mro__ if base.__module__.split(".")[0] in OF_KERNELS]
            found += [
                f"{path.relative_to(ROOT)}: {written.name}.{name} is {base.__qualname__}'s"
                for name in private_names(written)
                for base in others
                if name in vars(base)
            ]
    assert found == []


def test_undocumented_modules_are_named_only_in_compat_modules() -> None:
    private = re.compile(
        r"\._conn\b|__pregel_\w+\"|from langgraph_(api|runtime)|from langchain_openai"
        r"|zmq\.utils|ipykernel\.(kernelapp|control|ipkernel|kernelbase|shellchannel)|jupyter_client\.manager"
    )
    found = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if private.search(path.read_text()) and not path.stem.endswith("_compat")
    ]
    assert found == []
