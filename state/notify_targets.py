"""Targets of notifications: commands and addresses, as settings."""

import re
import shlex
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator

from .model_options import ENV

_VARIABLE = re.compile(rf"{ENV}[A-Za-z_][A-Za-z0-9_]*")
_MOST_TARGETS = 10
_MOST_TARGET = 2_000


def is_url(target: str) -> bool:
    """Return whether a target is an address, and not a command."""
    return target.lower().startswith(("http://", "https://"))


def notify_targets(given: Any) -> tuple[str, ...]:
    """Return the targets as they are saved: each a command, an address or `env:NAME`.

    Raises ValueError for one that cannot be used, and for an address with a user name or a password, which would be
    saved with the run.
    """
    targets = (given,) if isinstance(given, str) else tuple(given or ())
    if len(targets) > _MOST_TARGETS:
        raise ValueError(f"there are more than {_MOST_TARGETS} of them")
    return tuple(dict.fromkeys(_checked(target) for target in targets if target != ""))


def _checked(target: Any) -> str:
    if not isinstance(target, str) or "\0" in target or len(target) > _MOST_TARGET:
        raise ValueError(f"a target is a text of at most {_MOST_TARGET:,} characters")
    if target.startswith(ENV):
        if not _VARIABLE.fullmatch(target):
            raise ValueError(f"{target!r} names no variable; write env:NAME")
    elif is_url(target):
        _check_url(target)
    elif not (words := words_of(target)):
        raise ValueError("a command needs a program")
    elif "://" in words[0]:
        raise ValueError("an address begins with http:// or https://")
    return target


def _check_url(target: str) -> None:
    parts = urlsplit(target)
    if not parts.hostname or parts.port == 0:
        raise ValueError("an address names a server, as https://host/path does")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address with a password would be saved; put it into a variable and write env:NAME")


def words_of(command: str) -> list[str]:
    """Return the words of a command, which no shell reads. Raises ValueError for quotation marks that do not end."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ValueError(f"a command cannot be read: {str(error).lower()}") from None


def notify_key(given: Any) -> str:
    """Return `env:NAME`, or an empty text when there is no key. Raises ValueError for a key itself."""
    if given in (None, ""):
        return ""
    if not isinstance(given, str) or not _VARIABLE.fullmatch(given):
        raise ValueError("write env:NAME: the key itself would be saved")
    return given


NotifyTargets = Annotated[tuple[str, ...], BeforeValidator(notify_targets)]
"""Commands, addresses and `env:NAME`."""
NotifyKey = Annotated[str, BeforeValidator(notify_key)]
"""The variable with the key that signs notifications, as `env:NAME`; empty: there is none."""
