"""Attempts to change the user's files and the input."""

import ctypes
import fcntl
import os
from contextlib import suppress
from pathlib import Path

from tests.sandbox.hostile.common import Place, attempt, library_call, own_input


@attempt()
def write_secret(place: Place) -> None:
    """write to a file of the user's."""
    with open(place["secret"], "ab") as file:
        file.write(b"written")


@attempt()
def truncate_secret(place: Place) -> None:
    """truncate a file of the user's."""
    library_call("truncate", os.fsencode(place["secret"]), ctypes.c_long(1))


@attempt()
def remove_secret(place: Place) -> None:
    """remove a file of the user's."""
    os.unlink(place["removable"])


@attempt()
def rename_secret(place: Place) -> None:
    """rename a file of the user's."""
    os.rename(place["secret"], place["secret"] + "2")
    os.rename(place["secret"] + "2", place["secret"])


@attempt()
def chmod_secret(place: Place) -> None:
    """change the mode of a file of the user's."""
    os.chmod(place["secret"], 0o640)


@attempt()
def touch_secret(place: Place) -> None:
    """change the times of a file of the user's."""
    os.utime(place["secret"], (1, 1))


@attempt()
def mark_secret(place: Place) -> None:
    """give a file of the user's an extended attribute."""
    os.setxattr(place["secret"], "user.marked", b"1")


@attempt()
def make_file(place: Place) -> None:
    """create a file in a folder of the user's."""
    Path(place["user"], "made").write_bytes(b"made")


@attempt()
def make_folder(place: Place) -> None:
    """create a folder in a folder of the user's."""
    Path(place["user"], "made folder").mkdir()


@attempt()
def make_shared_file(place: Place) -> None:
    """create a file in a shared folder."""
    for folder in place["shared"]:
        file = Path(folder, place["name"])
        # In a sandbox, /tmp is another folder, as `Outside.touched` checks.
        file.write_bytes(b"made")
        if not place["control"] and file.parent.stat().st_dev == Path(os.getcwd()).stat().st_dev:
            raise FileNotFoundError("only its own scratch folder")


@attempt("root")
def make_file_at_root(place: Place) -> None:
    """create a file in the folders of the system."""
    for folder in [place["user"]] if place["control"] else ["/", "/etc", "/usr", "/usr/lib", "/home", "/var", "/run"]:
        with suppress(OSError):
            Path(folder, place["name"]).write_bytes(b"made")
            return
    raise PermissionError("nowhere")


@attempt("root")
def write_library(place: Place) -> None:
    """change Python's own library."""
    # Opening for writing is enough; nothing is written.
    os.close(os.open(os.__file__, os.O_WRONLY | os.O_APPEND))


@attempt()
def write_by_symlink(place: Place) -> None:
    """write by a symbolic link in the scratch folder."""
    os.symlink(place["secret"], "symlink")
    try:
        with open("symlink", "ab") as file:
            file.write(b"by symlink")
    finally:
        os.unlink("symlink")


@attempt()
def read_by_symlink(place: Place) -> None:
    """read by a symbolic link in the scratch folder."""
    os.symlink(os.path.dirname(place["secret"]), "folder")
    try:
        Path("folder", os.path.basename(place["secret"])).read_bytes()
    finally:
        os.unlink("folder")


@attempt()
def write_by_hard_link(place: Place) -> None:
    """write by a hard link in the scratch folder."""
    os.link(place["secret"], "hard link")
    try:
        with open("hard link", "ab") as file:
            file.write(b"by hard link")
    finally:
        os.unlink("hard link")


@attempt()
def link_own_input(place: Place) -> None:
    """make a hard link to its own input."""
    number = own_input()
    follow_links = 0x400
    library_call("linkat", -100, f"/proc/self/fd/{number}".encode(), -100, b"input", follow_links)
    os.unlink("input")


@attempt()
def chmod_own_input(place: Place) -> None:
    """change the mode of its own input."""
    os.fchmod(own_input(), 0o666)


@attempt()
def reopen_own_input(place: Place) -> None:
    """open its own input for writing."""
    number = own_input()
    with suppress(OSError):
        os.chmod(f"/proc/self/fd/{number}", 0o666)
    with open(f"/proc/self/fd/{number}", "r+b") as file:
        file.write(b"INPUT CHANGED")


@attempt("")
def write_own_input(place: Place) -> None:
    """write to its own input by the descriptor that it has."""
    os.pwrite(own_input(), b"INPUT CHANGED", 0)


@attempt("")
def truncate_own_input(place: Place) -> None:
    """truncate its own input."""
    number = own_input()
    with suppress(OSError):
        os.ftruncate(number, 3)
        return
    library_call("truncate", f"/proc/self/fd/{number}".encode(), ctypes.c_long(3))


@attempt()
def touch_own_input(place: Place) -> None:
    """change the times of its own input."""
    os.utime(own_input(), (1, 1))


@attempt()
def mark_own_input(place: Place) -> None:
    """change the flags of its own input."""
    number, flags = own_input(), bytearray(8)
    fcntl.ioctl(number, 0x8008_6601, flags)
    flags[0] |= 0x40  # the flag that excludes it from backups
    fcntl.ioctl(number, 0x4008_6602, bytes(flags))


@attempt()
def other_paths_to_input(place: Place) -> None:
    """open its own input by its path for writing."""
    os.close(os.open(place["pack"], os.O_WRONLY))
