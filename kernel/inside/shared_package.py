"""Makes the project's package `matching` importable in a kernel, under the name that it has in the host.

A kernel sees this folder and `matching`, and nothing else of the project: its `durable_rlm` has no other part. What
the two share is imported by its whole name, `from durable_rlm.matching.quotations import …`.
"""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

_PROJECT, _SHARED = "durable_rlm", "matching"


def provide() -> None:
    """Register the package, unless the project itself is imported in this process."""
    if _PROJECT in sys.modules:
        return
    folder = Path(__file__).resolve().parents[2] / _SHARED
    name = f"{_PROJECT}.{_SHARED}"
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec and spec.loader
    # It finds nothing: whatever else the project has is not here.
    project = importlib.util.module_from_spec(ModuleSpec(_PROJECT, None, is_package=True))
    shared = importlib.util.module_from_spec(spec)
    setattr(project, _SHARED, shared)
    sys.modules.update({_PROJECT: project, name: shared})
    spec.loader.exec_module(shared)
