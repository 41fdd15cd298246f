"""Attempts to get more privileges and features from the system."""

import ctypes
import os
import resource
import socket
import struct
from contextlib import suppress
from pathlib import Path

from tests.sandbox.hostile.common import Place, attempt, library_call, run_program, system_call


@attempt("root")
def mount(place: Place) -> None:
    """mount a file system."""
    with suppress(OSError):
        os.mkdir("mounted")
    target = b"mounted" if os.path.isdir("mounted") else b"/proc"
    system_call("mount", b"none", target, b"tmpfs", 0, 0)
    library_call("umount2", target, 2)


_NEW_USER, _NEW_NETWORK = 0x1000_0000, 0x4000_0000


@attempt("root")
def new_mount(place: Place) -> None:
    """create a file system to mount."""
    os.close(system_call("fsopen", b"tmpfs", 0))


@attempt("root")
def clone_tree(place: Place) -> None:
    """clone a part of the file system."""
    os.close(system_call("open_tree", -100, b"/", 0x8_0001))


@attempt("")
def unmount(place: Place) -> None:
    """unmount the file systems that hide others."""
    for target in (b"/proc", b"/scratch", b"/tmp", os.fsencode(place["blobs"])):
        with suppress(OSError):
            library_call("umount2", target, 2)
            return
    raise PermissionError("umount2")


@attempt("root")
def unshare(place: Place) -> None:
    """create a network namespace."""
    library_call("unshare", _NEW_NETWORK)


@attempt("root")
def unshare_user(place: Place) -> None:
    """create a user namespace in a program."""
    run_program(
        "import ctypes; c = ctypes.CDLL(None, use_errno=True)\n"
        f"if c.unshare({_NEW_USER}) < 0: raise PermissionError(ctypes.get_errno())"
    )


@attempt("root")
def clone_user(place: Place) -> None:
    """start a process in a new user namespace."""
    # clone3: flags, pidfd, child_tid, parent_tid, exit_signal, then six more
    arguments = struct.pack("11Q", _NEW_USER, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
    child = system_call("clone3", arguments, len(arguments))
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


@attempt("root")
def clone_user_the_old_way(place: Place) -> None:
    """start a process in a new user namespace by the older call."""
    child = system_call("clone", _NEW_USER | 17, 0, 0, 0, 0)
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


@attempt("root")
def enter_namespace(place: Place) -> None:
    """enter the namespace of another process."""
    namespace = f"/proc/{place['process']}/ns/net" if place["control"] else "/proc/1/ns/net"
    try:
        descriptor = os.open(namespace, os.O_RDONLY)
    except OSError:
        descriptor = os.open("/", os.O_PATH)
    system_call("setns", descriptor, 0)


@attempt("root")
def change_root(place: Place) -> None:
    """change the root folder."""
    os.chroot("/")


@attempt("root")
def bpf(place: Place) -> None:
    """load a program into the system."""
    make_map = struct.pack("5I", 2, 4, 4, 1, 0)
    os.close(system_call("bpf", 0, make_map, len(make_map)))


@attempt("root")
def keys(place: Place) -> None:
    """use the system's keys."""
    system_call("keyctl", 0, -3, 1)


@attempt("root")
def add_key(place: Place) -> None:
    """store a key in the system's key ring."""
    system_call("add_key", b"user", b"escape", b"x", 1, -2)


@attempt("root")
def io_uring(place: Place) -> None:
    """let the system make its calls."""
    os.close(system_call("io_uring_setup", 1, ctypes.create_string_buffer(120)))


@attempt("root")
def performance(place: Place) -> None:
    """measure the whole machine."""
    attributes = ctypes.create_string_buffer(struct.pack("IIQ", 1, 112, 0) + bytes(96))
    os.close(system_call("perf_event_open", attributes, -1, 0, -1, 0))


@attempt("root")
def read_log(place: Place) -> None:
    """read the system's log."""
    library_call("klogctl", 10, None, 0)


@attempt("root")
def set_name(place: Place) -> None:
    """rename the machine."""
    socket.sethostname(socket.gethostname())


@attempt()
def set_clock(place: Place) -> None:
    """make the call that sets the clock."""
    library_call("adjtimex", ctypes.create_string_buffer(512))


@attempt("root")
def set_system(place: Place) -> None:
    """change a setting of the system."""
    setting = Path("/proc/sys/kernel/core_pattern")
    with setting.open("r+b", buffering=0):
        return


@attempt("root")
def become_root(place: Place) -> None:
    """become root."""
    os.setuid(0)
    if not place["control"]:
        # User 0 without a capability has no power: it cannot become another user either.
        os.setuid(1)


@attempt("")
def raise_limits(place: Place) -> None:
    """raise its limits."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (600, 600))
    except ValueError as error:
        raise PermissionError(str(error)) from error


@attempt("")
def become_important(place: Place) -> None:
    """avoid being the first process to be killed when memory is short."""
    Path("/proc/self/oom_score_adj").write_text("0")


@attempt()
def set_user_id_program(place: Place) -> None:
    """create a program that runs as another user."""
    shell = os.path.realpath("/bin/sh")
    with open("program", "wb") as copy:
        copy.write(Path(shell).read_bytes())
    try:
        os.chmod("program", 0o4755)
        # A mount without set-uid programs ignores the bit.
        if not place["control"] and os.statvfs(".").f_flag & os.ST_NOSUID:
            raise PermissionError("no set-uid programs here")
    finally:
        os.unlink("program")


@attempt()
def hidden_memory(place: Place) -> None:
    """keep memory that no limit counts."""
    descriptor = os.memfd_create("hidden")
    os.close(descriptor)


@attempt()
def shared_memory(place: Place) -> None:
    """keep shared memory that no limit counts."""
    number = library_call("shmget", 0, ctypes.c_size_t(4096), 0o1600)
    library_call("shmctl", number, 0, None)
