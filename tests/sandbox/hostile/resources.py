"""Attempts to use up memory, disk, files and processes."""

import mmap
import os
import subprocess
import threading
from contextlib import suppress

from tests.sandbox.hostile.common import Place, attempt


@attempt()
def allocate(place: Place) -> None:
    """reserve 30 GB of memory."""
    # The memory is requested and never touched, so that it costs nothing where it is granted.
    size, quietly = 30 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000
    mmap.mmap(-1, size, flags=quietly).close()


@attempt("")
def allocate_and_fill(place: Place) -> None:
    """fill 30 GB of memory."""
    held: list[bytearray] = []
    for _ in range(60):
        held.append(bytearray(b"x") * (512 << 20))


@attempt()
def big_file(place: Place) -> None:
    """create a file of 2 GB."""
    with open("big", "wb") as file:
        file.truncate((2 << 30) + 1)
    os.unlink("big")


@attempt("")
def fill_disk(place: Place) -> None:
    """fill 4 GB of disk."""
    names: list[str] = []
    try:
        for number in range(8):
            names.append(f"full {number}")
            with open(names[-1], "wb") as file:
                os.posix_fallocate(file.fileno(), 0, 512 << 20)
    finally:
        for name in names:
            with suppress(OSError):
                os.unlink(name)


@attempt("")
def flood_inodes(place: Place) -> None:
    """create 150,000 files."""
    os.mkdir("flood")
    number = 0
    try:
        for number in range(150_000):
            os.symlink("x", f"flood/{number}")
    finally:
        for created in range(number):
            os.unlink(f"flood/{created}")
        os.rmdir("flood")


@attempt("")
def open_files(place: Place) -> None:
    """open 5,000 files."""
    opened: list[int] = []
    try:
        for _ in range(5000):
            opened.append(os.dup(0))
    finally:
        for descriptor in opened:
            os.close(descriptor)


@attempt("")
def thread_bomb(place: Place) -> None:
    """start 2,000 threads that stay for a minute."""
    threading.stack_size(64 << 10)
    ended = threading.Event()
    try:
        for _ in range(2000):
            threading.Thread(target=ended.wait, daemon=True).start()
    except RuntimeError as error:
        ended.set()
        raise PermissionError(str(error)) from error
    ended.wait(60)


@attempt("")
def fork_bomb(place: Place) -> None:
    """start 2,000 processes."""
    reader, writer = os.pipe()
    # Each waits for the pipe's end; a shell's processes are small, so that this takes no time.
    more = "exec 3<&0; i=0; while [ $i -lt 2000 ]; do { read nothing <&3; } & i=$((i+1)); done"
    try:
        done = subprocess.run(["/bin/sh", "-c", more], stdin=reader, stderr=subprocess.DEVNULL, check=False)
    finally:
        os.close(writer)
        os.close(reader)
        # The processes are this one's children if it is the first of its namespace.
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
    if done.returncode:
        raise PermissionError("the shell could not fork")
