"""The files of LangGraph's development server lie under the home, not in the folder where `rlm dev` is called.

`langgraph_runtime_inmem` writes to `.langgraph_api` in the current folder and knows no setting for another one. The
current folder must stay the user's, for `rlm.toml` and for the paths of inputs; so the name is replaced in the modules
of that package as they are loaded, and it is checked afterwards that this was enough.
"""

import ast
import fcntl
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from ...state.errors import RlmError, StoreError, UsageError
from ...state.fsync import make_folder
from .langgraph_api_compat import file_places

_PACKAGE = "langgraph_runtime_inmem"
_NAME = ".langgraph_api"


class OtherServer(RlmError):
    """The installed version of LangGraph's server is not one that this version knows how to start."""


@contextmanager
def own_folder(folder: Path) -> Generator[None]:
    """Make `folder`, 0700, and keep other servers out of it: each would overwrite what the other has written.

    Raises StoreError where it cannot be had, UsageError where another server has it.
    """
    try:
        make_folder(folder)
        folder.chmod(0o700)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise StoreError(f"The folder {folder} cannot be used: {error.strerror}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"Another server serves the runs in {folder.parent}.",
                hint="Stop it, or name another folder with --home.",
            ) from error
        yield


@contextmanager
def files_in(folder: Path) -> Generator[None]:
    """While LangGraph's server is imported: what it writes then goes to `folder`.

    Raises OtherServer where the installed version writes elsewhere.
    """
    finder = _Finder(folder)
    sys.meta_path.insert(0, finder)
    try:
        yield
        places = file_places()
    finally:
        sys.meta_path.remove(finder)
    if not all(Path(place).is_relative_to(folder) for place in places):
        raise OtherServer(
            "The installed langgraph-api keeps its files in another way than this version of durable-rlm knows.",
            hint="`pip install --upgrade 'durable-rlm[server]'` installs versions that fit.",
        )


class _Finder(MetaPathFinder):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != _PACKAGE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(self._folder, spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, folder: Path, name: str, path: str) -> None:
        super().__init__(name, path)
        self._folder = folder

    def get_code(self, fullname: str) -> CodeType:
        # Not from the compiled file, and not into it: that is everybody's.
        tree = ast.parse(self.get_data(self.path), self.path)
        return compile(_Placed(self._folder).visit(tree), self.path, "exec", dont_inherit=True)


class _Placed(ast.NodeTransformer):
    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def visit_Constant(self, node: ast.Constant) -> Any:
        return ast.copy_location(ast.Constant(self._folder), node) if node.value == _NAME else node
