"""Fixtures: folders of input files, and a blob store."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from durable_rlm.state.blobs.store import Blobs

Tree = Callable[[Mapping[str, str | bytes]], Path]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """Write `{path: content}` into a folder named `given`, and return it; `path/` is an empty folder.

    The current folder is the one that contains it, so that names begin with `given/`.
    """
    monkeypatch.chdir(tmp_path)

    def write(files: Mapping[str, str | bytes]) -> Path:
        root = tmp_path / "given"
        root.mkdir(exist_ok=True)
        for name, content in files.items():
            path = root / name
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return root

    return write


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")
