"""Folders that last: a name in a folder survives a power loss once the folder has been synced (promise P1)."""

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make the folder, 0700, and those above it that are missing, each for good. Raises OSError."""
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
