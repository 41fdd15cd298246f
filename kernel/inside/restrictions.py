"""Messages for code that tries what a confined REPL cannot do: without network, nothing can be installed either."""

import errno
import re
import socket
from collections.abc import Iterator
from typing import Any

INSTALLERS = ("pip", "conda", "mamba", "micromamba", "uv")
NO_NETWORK = "There is no network in this REPL: work with `context` and what is installed."
_NO_INSTALLING = "Nothing can be installed in this REPL, which has no network: work with the packages that are there."
_INSTALLING = re.compile(rf"\s*(?:\S*python\S*\s+-m\s+)?(?:{'|'.join(INSTALLERS)})3?\s+.*\binstall\b")
_FAMILY = (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ENETUNREACH, errno.EHOSTUNREACH)
_DEEPEST = 20


class NothingToInstall(Exception):
    """An attempt to install packages where that is impossible."""


def refuse_installing(command: str) -> None:
    """Raise NothingToInstall for a command that would install packages."""
    if _INSTALLING.match(command):
        raise NothingToInstall(_NO_INSTALLING)


def install_magic(line: str = "") -> None:
    """Refuse `%pip` and similar magics. Raises NothingToInstall."""
    del line
    raise NothingToInstall(_NO_INSTALLING)


def wanted_network(error: "BaseException | None") -> bool:
    """Return whether this error, or one behind it, comes from the lack of network."""
    try:
        return any(
            isinstance(one, socket.gaierror) or (isinstance(one, OSError) and one.errno in _FAMILY)
            for one in _behind(error)
        )
    except Exception:
        # Code may define an error whose attributes raise.
        return False


def _behind(error: Any) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from, wraps, or was raised while handling."""
    todo, seen = [error], 0
    while todo and seen < _DEEPEST:
        one = todo.pop(0)
        if isinstance(one, BaseException):
            seen += 1
            yield one
            todo += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
