"""Durable folders: a name in a folder survives a power loss once the folder has been synced (promise P1)."""

import contextlib
import os
from pathlib import Path

_DATABASES = ("checkpoints.sqlite", "search.sqlite")
_HOME_NAMES = ("blobs", "extracted", "search", "server", "logs")
"""The contents of a home, beside its databases and the files whose names begin with theirs."""
MARKS = {
    ".gitignore": "*\n",
    "CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder holds runs of durable-rlm. Programs that make backups may leave it out.\n"
    "# What this file means: https://bford.info/cachedir/\n",
}
"""Files that keep a home out of repositories and out of backups that honor them, with their contents."""


def make_folder(folder: Path) -> None:
    """Make the folder and its missing parents durably, with mode 0700. Raises OSError."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    except FileNotFoundError:
        if folder.parent.is_dir():
            raise
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in the folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def mark_home(folder: Path) -> None:
    """Write the home's `.gitignore` and `CACHEDIR.TAG` where they are missing, so that git ignores the home.

    An existing file is left unchanged. A folder that holds anything else may be a project of the user's, which git
    would then ignore too: no files are written there. The home works without them where they cannot be written.
    """
    with contextlib.suppress(OSError):
        if all(_of_home(entry.name) for entry in folder.iterdir()):
            for name, text in MARKS.items():
                with contextlib.suppress(FileExistsError):
                    _write_new(folder / name, text)


def _of_home(entry: str) -> bool:
    return entry in MARKS or entry.startswith(_DATABASES) or entry in _HOME_NAMES


def _write_new(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
