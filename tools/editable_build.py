"""Refuse an editable install of a checkout whose symbolic links are plain files.

A wheel and an sdist are built without the links (`sources` in `pyproject.toml`). An editable install imports the
package from `.package/durable_rlm`, whose folders are links into the repository.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PARTS = ("graph", "kernel", "matching", "nodes", "state", "studio")
PROBLEM = (
    "This checkout has no symbolic links (.package/durable_rlm/graph is a plain file), so it cannot be installed as "
    "editable: clone it again with `git clone -c core.symlinks=true …`, on Windows in WSL."
)


class EditableBuildHook(BuildHookInterface[Any]):
    """Runs before each build; `version` is `editable` or `standard`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises RuntimeError for an editable build where a part of the package is not there."""
        del build_data
        package = Path(self.root) / ".package" / "durable_rlm"
        if version == "editable" and not all((package / part).is_dir() for part in PARTS):
            raise RuntimeError(PROBLEM)
