"""Access to homes: only one that the user has named, made or agreed to is written to, and its runs resumed.

A home that came with a stranger's folder is a program: its runs name servers, scripts and variables of the environment,
and LangGraph's server unpickles its files. Until the user agrees to it, it is open for reading only, as a copy.
"""

import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from . import agreements
from .db.home_id import is_empty, read_id
from .errors import NotAgreed, StoreError, cli_command
from .fsync import MARKS

DATABASE = "checkpoints.sqlite"
BLOBS = "blobs"
_log = logging.getLogger("durable_rlm")


@dataclass(frozen=True)
class Standing:
    """The standing of a home that no flag and no variable names."""

    agreed: bool
    """True when the user has made it, has agreed to it, or when there is nothing in it."""
    home: Path

    def need_agreement(self) -> None:
        """Raise NotAgreed unless the home may be written to."""
        if not self.agreed:
            raise NotAgreed(
                f"The home {self.home} is not one that you have made or agreed to: its runs may name servers and "
                "programs.",
                hint=f"Agree to it: {cli_command('home', 'trust', str(self.home))}. For this call alone: --trust. "
                "Reading it (`rlm list`, `rlm show`) needs no agreement.",
            )


def standing_of(home: Path) -> Standing:
    """Return whether the user has agreed to a home that nobody named. Changes nothing in it."""
    if is_untouched(home):
        return Standing(True, home)
    home_id = read_id(home / DATABASE)
    return Standing(home_id is not None and agreements.is_agreed(digest(home_id)), home)


def digest(home_id: str) -> str:
    """Return the hash by which an agreement to a home is remembered."""
    return agreements.digest_of("home", home_id)


def is_untouched(home: Path) -> bool:
    """Return whether there is nothing in a home yet, or only what a process makes first that is creating it now."""
    try:
        if home.is_symlink():
            return False
        names = {entry.name for entry in home.iterdir()} - set(MARKS)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    of_database = {f"{DATABASE}{suffix}" for suffix in ("", "-wal", "-shm", "-journal")}
    return not names or (DATABASE in names and names <= of_database and is_empty(home / DATABASE))


def remember_made(home: Path, home_id: str) -> None:
    """Remember that the user has made a home; log a warning where that is impossible."""
    try:
        agreements.agree("home", digest(home_id), home.absolute())
    except OSError as error:
        _log.warning(
            "It cannot be remembered that this home is yours (%s: %s): later calls need --home %s, or --trust.",
            error.filename or "the state folder",
            error.strerror,
            home,
        )


def belongs_to_others(home: Path) -> bool:
    """Return whether the home, its database or its blobs belong to another user."""
    for path in (home, home / DATABASE, home / BLOBS):
        try:
            if path.stat().st_uid != os.geteuid():
                return True
        except OSError:
            continue
    return False


def make_safe(home: Path) -> None:
    """Take the right to write to a home's files from other users, and log that.

    Raises StoreError for files of other users, and for links in place of the home's own files.
    """
    for path in (home, home / DATABASE, home / BLOBS):
        try:
            facts = path.stat() if path == home else path.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreError(
                f"Cannot open {path}: {error.strerror}.", hint="Check the folder given with --home."
            ) from None
        if stat.S_ISLNK(facts.st_mode):
            raise StoreError(
                f"{path} is a link, which is not followed.",
                hint="Name the folder that it belongs to with --home, or copy the home: `rlm home copy FROM TO`.",
            )
        if facts.st_uid != os.geteuid():
            raise StoreError(
                f"{path} belongs to another user, who could change the runs in it.",
                hint="Make it yours (chown), copy it (`rlm home copy FROM TO`), or allow it for this call: --trust.",
            )
        if facts.st_mode & 0o022:
            _tighten(path, facts.st_mode)


def _tighten(path: Path, mode: int) -> None:
    if mode & stat.S_ISVTX:
        # /tmp and its like are everybody's on purpose.
        raise StoreError(f"Everybody may write to {path}.", hint="Name a folder of your own with --home.")
    try:
        path.chmod(stat.S_IMODE(mode) & ~0o022)
    except OSError as error:
        raise StoreError(
            f"Other users may write to {path}, and that cannot be changed: {error.strerror}.",
            hint=f"Change it (chmod go-w {path}), or allow it for this call: --trust.",
        ) from None
    _log.warning("Other users could write to %s; now only you can.", path)
