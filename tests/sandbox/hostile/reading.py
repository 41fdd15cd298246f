"""Attempts to read the user's files, processes and memory."""

import ctypes
import os
import struct
from contextlib import suppress
from pathlib import Path

from tests.sandbox.hostile.common import Place, attempt, library_call, run_program, system_call


@attempt()
def read_secret(place: Place) -> None:
    """read a file of the user's."""
    Path(place["secret"]).read_bytes()


@attempt()
def list_home(place: Place) -> None:
    """list the user's home folder."""
    # Parts of the path to Python may be visible in it.
    if set(place["home_names"]) - set(os.listdir(place["home"])):
        raise FileNotFoundError("its contents")


@attempt("root")
def read_shadow(place: Place) -> None:
    """read /etc/shadow."""
    Path("/etc/shadow").read_bytes()


@attempt()
def read_passwd(place: Place) -> None:
    """read /etc/passwd."""
    Path("/etc/passwd").read_bytes()


@attempt()
def read_database(place: Place) -> None:
    """read the database of runs."""
    Path(place["state"], "checkpoints.sqlite").read_bytes()


@attempt()
def list_state(place: Place) -> None:
    """list the state folder."""
    os.listdir(place["state"])


@attempt()
def read_other_blob(place: Place) -> None:
    """read the input of another run."""
    Path(place["blob"]).read_bytes()


@attempt()
def list_blobs(place: Place) -> None:
    """list the inputs of all runs."""
    # An empty folder in its place shows nothing.
    if not os.listdir(place["blobs"]):
        raise FileNotFoundError(place["blobs"])


@attempt()
def read_project(place: Place) -> None:
    """read the project."""
    Path(place["project"], "pyproject.toml").read_bytes()


@attempt()
def read_environment(place: Place) -> None:
    """read the environment of another process."""
    if b"SECRET" not in Path(f"/proc/{place['process']}/environ").read_bytes():
        raise FileNotFoundError("another process")


@attempt()
def read_parent_environment(place: Place) -> None:
    """read the environment of the run's own process."""
    Path(f"/proc/{place['runner']}/environ").read_bytes()


@attempt()
def see_process(place: Place) -> None:
    """read the command line of another process."""
    if b"3600" not in Path(f"/proc/{place['process']}/cmdline").read_bytes():
        raise FileNotFoundError("another process")


@attempt()
def read_through_process(place: Place) -> None:
    """reach files through another process's root."""
    Path(f"/proc/{place['process']}/root{place['secret']}").read_bytes()


@attempt("")
def read_machine_memory(place: Place) -> None:
    """read the machine's memory or disk."""
    for path in ("/proc/kcore", "/proc/kpageflags", "/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sda", "/dev/nvme0n1"):
        with suppress(OSError):
            os.close(os.open(path, os.O_RDONLY))
            return
    raise PermissionError("none of them")


@attempt("root")
def make_device(place: Place) -> None:
    """make a device file."""
    os.mknod("device", 0o20600, os.makedev(1, 1))
    os.unlink("device")


@attempt()
def walk_out_of_descriptors(place: Place) -> None:
    """reach a file by an open descriptor of a folder."""
    if place["control"]:
        os.open(place["blobs"], os.O_RDONLY)
    for number in range(1024):
        with suppress(OSError):
            os.close(os.open(place["secret_from_blobs"], os.O_RDONLY, dir_fd=number))
            return
    raise FileNotFoundError("a descriptor of a folder outside")


@attempt("root")
def open_by_handle(place: Place) -> None:
    """open a file by its handle."""
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    try:
        system_call("name_to_handle_at", -100, os.fsencode(place["secret"]), handle, ctypes.byref(mount), 0)
    except OSError:
        struct.pack_into("Iiq", handle, 0, 8, 1, 2)
    folder = os.open(place["user"] if place["control"] else "/", os.O_RDONLY)
    try:
        os.close(system_call("open_by_handle_at", folder, handle, os.O_RDONLY))
    finally:
        os.close(folder)


@attempt()
def watch_folder(place: Place) -> None:
    """watch a folder of the user's for changes."""
    watcher = library_call("inotify_init1", 0)
    try:
        library_call("inotify_add_watch", watcher, os.fsencode(place["user"]), 0xFFF)
    finally:
        os.close(watcher)


@attempt()
def read_attributes(place: Place) -> None:
    """read the extended attributes of a file of the user's."""
    os.listxattr(place["secret"])


@attempt()
def read_from_a_program(place: Place) -> None:
    """read a file of the user's with another program."""
    run_program(f"open({place['secret']!r}).read()")
