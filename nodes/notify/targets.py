"""Find out where a target leads: the address or the command that the user gave, or that a variable has."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ...state.errors import UsageError
from ...state.model_options import ENV
from ...state.notify_targets import is_url, notify_targets, words_of
from ..runtime.untrusted_text import shortened_line
from .failures import SendingFailed

_MOST_SHOWN = 100


@dataclass(frozen=True)
class Resolved:
    """A target whose variable has been read."""

    url: str = ""
    """The address; empty when it is a command."""
    words: tuple[str, ...] = ()
    """The program and its arguments."""
    secret: bool = False
    """True when it comes from a variable: then neither it nor what it says may be shown."""


def resolved(target: str) -> Resolved:
    """Read the variable of a target that names one. Raises SendingFailed when nothing usable is in it."""
    secret = target.startswith(ENV)
    whole = variable(target) if secret else target
    try:
        if is_url(whole):
            parts = urlsplit(whole)
            if parts.hostname and parts.port != 0:
                return Resolved(url=whole, secret=secret)
            raise ValueError
        if whole.startswith(ENV):
            raise ValueError
        return Resolved(words=tuple(words_of(notify_targets(whole)[0])), secret=secret)
    except ValueError:
        raise SendingFailed(f"{target} holds neither an address nor a command", "elsewhere") from None


def variable(name: str) -> str:
    """Return the value of `env:NAME`. Raises SendingFailed when it is not set."""
    value = os.environ.get(name.removeprefix(ENV), "").strip()
    if not value:
        raise SendingFailed(f"the variable {name.removeprefix(ENV)} is not set", "elsewhere")
    return value


def check_targets(targets: Iterable[str], key: str, folder: Path) -> None:
    """Check what can be known before a run: that variables are set, and that commands exist. Raises UsageError."""
    for target in targets:
        try:
            found = resolved(target)
            if key and found.url:
                variable(key)
        except SendingFailed as failed:
            raise UsageError(
                f"--notify {described(target)}: {failed}.", hint="Set it, or leave out --notify."
            ) from None
        if found.words and not _is_program(found.words[0], folder):
            what = "of that name" if found.secret else found.words[0]
            raise UsageError(
                f"--notify {described(target)}: there is no program {shortened_line(what, _MOST_SHOWN)}.",
                hint=f"A command is looked for in PATH, and from {folder} when it has a slash.",
            )


def _is_program(word: str, folder: Path) -> bool:
    if "/" not in word:
        return shutil.which(word) is not None
    return os.access(folder / word, os.X_OK)


def described(target: str) -> str:
    """Return a target in words: a variable by its name, an address by its server, a command by its program.

    Paths, queries and arguments may be secrets, and are left out.
    """
    if target.startswith(ENV):
        return shortened_line(target, _MOST_SHOWN)
    try:
        if is_url(target):
            parts = urlsplit(target)
            port = f":{parts.port}" if parts.port else ""
            return shortened_line(f"{parts.scheme}://{parts.hostname}{port}", _MOST_SHOWN)
        [program, *_] = words_of(target)
    except ValueError:
        return "a target that cannot be read"
    return shortened_line(program, _MOST_SHOWN)
