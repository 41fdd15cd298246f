"""The names that a shell puts into the namespace by itself, such as `_` and `In`: variables once code binds them."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

_ABSENT = object()


class Shell(Protocol):
    """The shell that runs the cells, as far as it has a part in their namespace."""

    def held_under(self, name: str) -> Any:
        """Return the object that the shell itself holds under a name, such as its last result for `_`.

        It is one that no variable holds when the shell does not set this name.
        """
        ...

    def shown(self) -> Iterable[Any]:
        """Return the values that the shell keeps of what it has shown, each as often as it keeps it."""
        ...


class NoShell:
    """Cells run without a shell: it sets no names, and keeps nothing."""

    def held_under(self, name: str) -> Any:
        """Return an object that no variable holds."""
        del name
        return _ABSENT

    def shown(self) -> Iterable[Any]:
        """Return nothing."""
        return ()


class ShellNames:
    """The objects that were in a namespace before any cell, and those that the shell puts there since."""

    def __init__(self, namespace: Mapping[str, Any], shell: "Shell | None" = None) -> None:
        """Record what is in the namespace now. `shell` is None for cells that run without one."""
        self._begun = dict(namespace)
        self._shell: Shell = shell or NoShell()
        self.shown = self._shell.shown

    def are_own(self, name: str, value: Any) -> bool:
        """Return whether a name holds the shell's or Python's own object. A value that code bound is a variable."""
        if self._begun.get(name, _ABSENT) is value:
            return True
        return name[:1] == "_" and self._shell.held_under(name) is value
