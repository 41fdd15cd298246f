"""The settings that code of cells gives to loggers: levels, handlers and filters, read and put back."""

import logging
from typing import Any

_root, _manager = logging.getLogger(), logging.Logger.manager
_get = logging.getLogger
_kind = logging.Logger

Settings = tuple[Any, ...]


class Loggers:
    """The loggers whose settings are not those with which the kernel began."""

    def __init__(self) -> None:
        self._start: dict[str, Settings] = {}
        self._start = self._all()

    def read(self) -> tuple[int, dict[str, Settings]]:
        """Return the level up to which nothing is logged, and the settings of each changed logger, by its name."""
        start = self._start
        return _manager.disable, {name: now for name, now in self._all().items() if start.get(name) != now}

    def _all(self) -> dict[str, Settings]:
        found = {"": _settings(_root)}
        for name, one in list(_manager.loggerDict.items()):
            settings = _settings(one) if isinstance(one, _kind) else _UNSET
            if settings != _UNSET or name in self._start:
                found[name] = settings
        return found

    def put_back(self, wanted: tuple[int, dict[str, Settings]]) -> None:
        """Give loggers these settings."""
        disable, loggers = wanted
        _manager.disable = disable
        for name, (level, propagate, disabled, handlers, filters) in loggers.items():
            logger = _get(name)
            logger.setLevel(level)
            logger.propagate, logger.disabled = propagate, disabled
            logger.handlers[:], logger.filters[:] = handlers, filters


def _settings(logger: logging.Logger) -> Settings:
    return logger.level, logger.propagate, logger.disabled, [*logger.handlers], [*logger.filters]


_UNSET = (0, True, False, [], [])
