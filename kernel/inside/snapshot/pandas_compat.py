"""The undocumented part of pandas that is used: the values and the defaults of all of its options.

pandas documents one option at a time, or a printed list of them, and both take longer than a small cell.
"""

import importlib
import sys
from typing import Any

_CONFIG = "pandas._config.config"


class Options:
    """The options of pandas that differ from its own defaults."""

    def __init__(self) -> None:
        self._seen: list[list[Any]] = []
        self._found: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """Return the changed options by name. pandas must have been imported."""
        config = sys.modules.get(_CONFIG)
        if config is None:
            return {}
        now = _values(config._global_config)
        if now != self._seen:
            self._seen, self._found = now, _changed(config)
        return self._found

    def put_back(self, wanted: "dict[str, Any]") -> None:
        """Set options."""
        pandas = importlib.import_module("pandas")
        for name, value in wanted.items():
            pandas.set_option(name, value)


def _values(level: "dict[str, Any]") -> list[list[Any]]:
    """Return the values of a level and of all levels in it, without their names, which takes little time."""
    found = [[*level.values()]]
    for one in found[0]:
        if type(one) is dict:
            found += _values(one)
    return found


def _changed(config: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, about in config._registered_options.items():
        value: Any = config._global_config
        for part in name.split("."):
            value = value[part]
        if value is not about.defval and value != about.defval:
            found[name] = value
    return found
