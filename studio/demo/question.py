"""What the demo asks, and over which files."""

import sysconfig
from pathlib import Path
from typing import Any

QUESTION = (
    "Which parts of Python's standard library warn that they are deprecated, what do they tell you to use instead, "
    "and in which version will they be removed? Count exactly how many places warn and in how many files, name the "
    "packages with the most, and list what replaces what."
)

OFFLINE = f"scripted:{Path(__file__).with_name('model.py')}"
"""The stand-in for a model."""

MOST_CALLS = 400


def offline_settings(*, unsandboxed: bool | None = None, approve: str = "") -> dict[str, Any]:
    """Settings of a run of the stand-in, whatever RLM_… or rlm.toml say: it spends no money.

    An empty schema takes any answer: one that is set for this folder would refuse ours.
    """
    return {
        **{"model": OFFLINE, "sub_model": OFFLINE, "base_url": "", "approve": approve, "schema": {}},
        **{"max_calls": MOST_CALLS, "max_depth": 1, "unsandboxed": unsandboxed},
    }


# Not the library itself, not written for people to call, or tables of characters.
_LEFT_OUT = {
    *("site-packages", "dist-packages", "__pycache__", "__phello__", "test", "tests", "idlelib", "lib2to3"),
    *("turtledemo", "pydoc_data", "encodings", "ensurepip", "distutils"),
}


def corpus() -> list[str]:
    """The source of the standard library of the Python that runs this, as patterns for `rlm run`."""
    library = Path(sysconfig.get_path("stdlib"))
    packages = sorted(
        folder.name
        for folder in library.iterdir()
        if (folder / "__init__.py").is_file() and folder.name not in _LEFT_OUT
    )
    return [f"{library}/*.py", *(f"{library}/{package}/**/*.py" for package in packages)]
