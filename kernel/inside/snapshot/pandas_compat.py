"""The undocumented part of pandas that is used: the values and the defaults of all of its options.

pandas documents one option at a time, or a printed list of them.
"""

import importlib
import sys
from typing import Any

_CONFIG = "pandas._config.config"


def changed_options() -> dict[str, Any]:
    """Return the options that differ from pandas' own defaults, by name. pandas must have been imported."""
    config = sys.modules.get(_CONFIG)
    if config is None:
        return {}
    found: dict[str, Any] = {}
    for name, about in config._registered_options.items():
        value: Any = config._global_config
        for part in name.split("."):
            value = value[part]
        if value is not about.defval and value != about.defval:
            found[name] = value
    return found


def set_options(wanted: "dict[str, Any]") -> None:
    """Set options."""
    pandas = importlib.import_module("pandas")
    for name, value in wanted.items():
        pandas.set_option(name, value)
