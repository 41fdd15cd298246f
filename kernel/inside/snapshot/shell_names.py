"""The names that a shell puts into the namespace by itself, such as `_` and `In`: variables once code binds them."""

from collections.abc import Callable, Mapping
from typing import Any

_ABSENT = object()

Current = Callable[[str], Any]
"""Function that returns what the shell itself holds under a name, such as its last result for `_`."""


def none_current(name: str) -> Any:
    """Return nothing: the shell sets no names while cells run."""
    del name
    return _ABSENT


class ShellNames:
    """The objects that were in a namespace before any cell, and those that the shell puts there since."""

    def __init__(self, namespace: Mapping[str, Any], current: Current = none_current) -> None:
        self._begun = dict(namespace)
        self._current = current

    def are_own(self, name: str, value: Any) -> bool:
        """Return whether a name holds the shell's or Python's own object. A value that code bound is a variable."""
        if self._begun.get(name, _ABSENT) is value:
            return True
        return name[:1] == "_" and self._current(name) is value
