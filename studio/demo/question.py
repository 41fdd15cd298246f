"""What the demo asks, and over which files."""

import sysconfig
from pathlib import Path

QUESTION = (
    "Which parts of Python's standard library warn that they are deprecated, what do they tell you to use instead, "
    "and in which version will they be removed? Count exactly how many places warn and in how many files, name the "
    "packages with the most, and list what replaces what."
)

OFFLINE = f"scripted:{Path(__file__).with_name('scripted.py')}"
"""The stand-in for a model."""

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
