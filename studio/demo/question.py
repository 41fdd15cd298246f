"""What the demo asks, and over which files."""

import sysconfig
from pathlib import Path

QUESTION = (
    "Which calls and arguments in Python's standard library warn that they are deprecated when they are used, and "
    "what do they tell you to use instead? Give the number of places that warn, the modules with the most of them, "
    "and a list of what is replaced by what."
)

# Not the library itself, or not written for people to call.
_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo", "__pycache__"}


def corpus() -> list[str]:
    """The source of the standard library of the Python that runs this, as paths and patterns for `rlm run`."""
    library = Path(sysconfig.get_path("stdlib"))
    packages = sorted(
        entry.name for entry in library.iterdir() if (entry / "__init__.py").is_file() and entry.name not in _LEFT_OUT
    )
    return [f"{library}/*.py", *(f"{library}/{package}/**/*.py" for package in packages)]
