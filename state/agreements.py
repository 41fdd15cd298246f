"""The homes and settings files of folders that the user has agreed to, remembered in the user's state folder.

A folder may come from somebody else, with a home and an `rlm.toml` in it. What the user agrees to is therefore
remembered outside of it: one small file for each agreement, named by a hash of what was agreed to, under
`$XDG_STATE_HOME/durable-rlm/agreed` (by default `~/.local/state`). One file each, so that processes need no lock.

A home is known by its random id, which stands in its database and is shown nowhere: the agreement holds for the home
wherever it is moved, and nobody can forge it who has not read the home's files. A settings file is known by its path,
its content, and the content of the scripts that it names.
"""

import contextlib
import hashlib
import json
import os
import pwd
import secrets
import stat
from collections.abc import Generator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["home", "file"]
_HASH_LENGTH = 64
_DIGITS = frozenset("0123456789abcdef")

_TRUSTS_ALL: ContextVar[bool] = ContextVar("trusts_all", default=False)
_TRUSTED_FILES: set[str] = set()


@dataclass(frozen=True)
class Agreement:
    """One agreement of the user's."""

    digest: str
    """The hash of what was agreed to."""
    kind: Kind
    path: str
    """The place where it was then."""


def digest_of(kind: Kind, *parts: str | bytes) -> str:
    """Return the name under which an agreement to these parts is remembered: SHA-256 in hex."""
    hashed = hashlib.sha256(kind.encode())
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        hashed.update(len(data).to_bytes(8) + data)
    return hashed.hexdigest()


def agreements_folder() -> Path:
    """Return the folder of the agreements, which may not exist. Raises OSError when the user has no home folder.

    A relative path in a variable is ignored: it would lead into the folder that is asked about.
    """
    if (given := os.environ.get("XDG_STATE_HOME", "")) and Path(given).is_absolute():
        state = Path(given)
    else:
        home = os.environ.get("HOME", "")
        if not Path(home).is_absolute():
            try:
                home = pwd.getpwuid(os.getuid()).pw_dir
            except KeyError:
                raise FileNotFoundError(2, "the user has no home folder", "HOME") from None
        state = Path(home) / ".local" / "state"
    return state / "durable-rlm" / "agreed"


@contextlib.contextmanager
def trusting() -> Generator[None]:
    """Agree to everything within the context, as with `--trust`."""
    token = _TRUSTS_ALL.set(True)
    try:
        yield
    finally:
        _TRUSTS_ALL.reset(token)


def all_trusted() -> bool:
    """Return whether the user agrees to everything in this call."""
    return _TRUSTS_ALL.get()


def trust_file(digest: str) -> None:
    """Count a file as agreed to in this process, also where that cannot be remembered."""
    _TRUSTED_FILES.add(digest)


def is_agreed(digest: str) -> bool:
    """Return whether the user has agreed to what has this hash. A folder that others may write to says nothing."""
    if all_trusted() or digest in _TRUSTED_FILES:
        return True
    try:
        folder = agreements_folder()
        return _is_own(folder) and stat.S_ISREG((folder / digest).lstat().st_mode)
    except OSError:
        return False


def agree(kind: Kind, digest: str, path: Path) -> None:
    """Remember that the user has agreed to what has this hash and lies at `path`. Raises OSError."""
    folder = agreements_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_own(folder):
        folder.chmod(0o700)
        if not _is_own(folder):
            raise PermissionError(1, "it belongs to another user", str(folder))
    # Whole under its name or not at all: another process may look at the same time, or agree to the same.
    partial = folder / f".partial-{secrets.token_hex(8)}"
    text = json.dumps({"kind": kind, "path": str(path)}).encode()
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
        partial.replace(folder / digest)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def withdraw(digest: str) -> bool:
    """Forget an agreement. Return whether there was one. Raises OSError."""
    try:
        (agreements_folder() / digest).unlink()
    except FileNotFoundError:
        return False
    return True


def agreements() -> Iterator[Agreement]:
    """Yield what the user has agreed to, sorted by place."""
    found: list[Agreement] = []
    with contextlib.suppress(OSError):
        folder = agreements_folder()
        for entry in folder.iterdir() if _is_own(folder) else ():
            if len(entry.name) == _HASH_LENGTH and set(entry.name) <= _DIGITS:
                found.append(_read(entry))
    yield from sorted(found, key=lambda one: (one.path, one.kind))


def _read(entry: Path) -> Agreement:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        said: Any = json.loads(entry.read_text(encoding="utf-8"))
        return Agreement(entry.name, "file" if said["kind"] == "file" else "home", str(said["path"]))
    return Agreement(entry.name, "home", "")


def _is_own(folder: Path) -> bool:
    """Return whether the folder belongs to this user, and nobody else may write to it. Raises OSError."""
    facts = folder.stat()
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and not facts.st_mode & 0o022
