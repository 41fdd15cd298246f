"""seccomp: restricts the system calls that this process can make.

A filter is a small program (classic BPF) over the number and the plain arguments of a call. A denied call fails with
EPERM, as if a privilege were missing, so that libraries use their fallbacks.
https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import errno
import os
import struct

from .syscalls import checked, libc, no_new_privileges

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _JUMP_EQUAL, _JUMP_GREATER_OR_EQUAL, _JUMP_SET, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _FAIL, _KILL = 0x7FFF_0000, 0x0005_0000, 0x8000_0000
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND, _THIRD = 0, 4, 16, 24, 32
_X32 = 0x4000_0000

_AUDIT = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}

# name: (x86_64, aarch64); None where the architecture has no such call.
_NUMBERS: "dict[str, tuple[int | None, int | None]]" = {
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272)},
    **{"mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51)},
    **{"unshare": (272, 97), "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429)},
    **{"fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433)},
    **{"mount_setattr": (442, 442), "open_tree_attr": (467, 467), "statmount": (457, 457), "listmount": (458, 458)},
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "fanotify_init": (300, 262)},
    **{"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "memfd_secret": (447, 447)},
    **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427)},
    **{"name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "pidfd_getfd": (438, 438)},
    **{"pidfd_send_signal": (424, 424), "process_madvise": (440, 440), "process_mrelease": (448, 448)},
    **{"init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106)},
    **{"kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "personality": (135, 92)},
    **{"swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60)},
    **{"quotactl_fd": (443, 443), "syslog": (103, 116), "vhangup": (153, 58), "lookup_dcookie": (212, 18)},
    **{"settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171)},
    **{"sethostname": (170, 161), "setdomainname": (171, 162), "mknod": (133, None), "mknodat": (259, 33)},
    **{"iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "uselib": (134, None)},
    # Memory that is not counted by any limit on a process:
    **{"memfd_create": (319, 279), "shmget": (29, 194)},
    **{"migrate_pages": (256, 238), "move_pages": (279, 239), "bind": (49, 200), "connect": (42, 203)},
    # Also denied where a kernel shares the machine's processes and files with its user:
    **{"fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281)},
    **{"tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434)},
    **{"chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452)},
    **{"chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54)},
    **{"setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463)},
    **{"removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466)},
    **{"utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88)},
    # These take a path, and Landlock does not check them (it checks `truncate` since Linux 6.2):
    **{"truncate": (76, 45), "inotify_init": (253, None), "inotify_init1": (294, 26), "inotify_add_watch": (254, 27)},
    **{"getxattr": (191, 8), "lgetxattr": (192, 9), "fgetxattr": (193, 10), "getxattrat": (464, 464)},
    **{"listxattr": (194, 11), "llistxattr": (195, 12), "flistxattr": (196, 13), "listxattrat": (465, 465)},
    **{"file_getattr": (468, 468), "file_setattr": (469, 469)},
    **{"shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180)},
    **{"setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setattr": (314, 274)},
    **{"sched_setparam": (142, 118), "sched_setaffinity": (203, 122)},
    # Filtered by their arguments:
    **{"clone": (56, 220), "clone3": (435, 435), "socket": (41, 198), "socketpair": (53, 199)},
    **{"ioctl": (16, 29), "fcntl": (72, 25)},
    **{"kill": (62, 129), "tgkill": (234, 131), "prlimit64": (302, 261), "sched_setscheduler": (144, 119)},
}
_NEVER = tuple(_NUMBERS)[: tuple(_NUMBERS).index("fork")]
_NOT_BESIDE_THE_USER = tuple(_NUMBERS)[len(_NEVER) : tuple(_NUMBERS).index("clone")]

_NEW_NAMESPACES = 0x7E02_0080
"""The flags of clone that create namespaces, including the time namespace."""
_CLONE_THREAD = 0x0001_0000
_AF_UNIX, _SOCK_STREAM, _SOCK_SEQPACKET, _SOCK_TYPE = 1, 1, 5, 0xF
_SCHED_OTHER = 0
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_PLAIN_REQUESTS = (0x5401, 0x802C_542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""Requests of ioctl: terminal test and size, readable bytes, blocking, and inheritance by a program."""
_OWNERS_AND_LEASES = (8, 10, 15, 1024, 1026)
"""Commands of fcntl: the process to signal, the signal, and notices of what others do with a file."""


def restrict(*, own_processes: bool) -> None:
    """Deny the system calls that a computation does not need. Raises OSError.

    `own_processes`: True when this process has its own process table and files. It can then start programs, send
    signals and change the modes of files; otherwise these are denied too.
    """
    program = b"".join(_program(own_processes=own_processes))
    buffer = ctypes.create_string_buffer(program, len(program))
    filtering = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    no_new_privileges()
    checked(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, filtering, 0, 0), "seccomp")


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _fail(number: int = errno.EPERM) -> bytes:
    return _step(_RETURN, _FAIL | number)


def _program(*, own_processes: bool) -> "list[bytes]":
    machine = os.uname().machine
    column = list(_AUDIT).index(machine)
    numbers = {name: both[column] for name, both in _NUMBERS.items()}
    program = [_step(_LOAD, _ARCHITECTURE), _step(_JUMP_EQUAL, _AUDIT[machine], 1), _step(_RETURN, _KILL)]
    program.append(_step(_LOAD, _NUMBER))
    if machine == "x86_64":
        program += [_step(_JUMP_GREATER_OR_EQUAL, _X32, 0, 1), _fail()]

    def deny(name: str, number: int = errno.EPERM) -> None:
        if (call := numbers[name]) is not None:
            program.extend([_step(_JUMP_EQUAL, call, 0, 1), _fail(number)])

    def when(name: str, tests: "list[bytes]") -> None:
        """Add tests for a call. They end in a return, or fall through with the number to be loaded again."""
        if (call := numbers[name]) is not None:
            tests = [*tests, _step(_LOAD, _NUMBER)]
            program.extend([_step(_JUMP_EQUAL, call, 0, len(tests)), *tests])

    for name in _NEVER if own_processes else (*_NEVER, *_NOT_BESIDE_THE_USER):
        deny(name)
    # Its flags are in memory, which a filter cannot read; glibc then uses clone.
    deny("clone3", errno.ENOSYS)
    when("clone", [_step(_LOAD, _FIRST), _step(_JUMP_SET, _NEW_NAMESPACES, 0, 1), _fail()])
    for name in ("socket", "socketpair"):
        when(name, [_step(_LOAD, _FIRST), _step(_JUMP_EQUAL, _AF_UNIX, 1), _fail(errno.EAFNOSUPPORT)])
        # Datagrams can be sent to any address without connecting, and a raw Unix socket sends datagrams.
        kinds = [_step(_JUMP_EQUAL, _SOCK_STREAM, 2), _step(_JUMP_EQUAL, _SOCK_SEQPACKET, 1)]
        when(name, [_step(_LOAD, _SECOND), _step(_AND, _SOCK_TYPE), *kinds, _fail(errno.EPROTONOSUPPORT)])
    for request in (_TIOCSTI, _TIOCLINUX):
        when("ioctl", [_step(_LOAD, _SECOND), _step(_JUMP_EQUAL, request, 0, 1), _fail()])
    if not own_processes:
        when("clone", [_step(_LOAD, _FIRST), _step(_JUMP_SET, _CLONE_THREAD, 1), _fail()])
        for name in ("kill", "tgkill"):
            when(name, [_step(_LOAD, _FIRST), _step(_JUMP_EQUAL, os.getpid(), 1), _fail()])
        # On a file that it was given it could change more than the text.
        plain = [_step(_JUMP_EQUAL, one, len(_PLAIN_REQUESTS) - at) for at, one in enumerate(_PLAIN_REQUESTS)]
        when("ioctl", [_step(_LOAD, _SECOND), *plain, _fail(errno.ENOTTY)])
        for command in _OWNERS_AND_LEASES:
            when("fcntl", [_step(_LOAD, _SECOND), _step(_JUMP_EQUAL, command, 0, 1), _fail()])
        # libzmq sets its threads to the ordinary policy that they already have, and aborts when that is denied.
        when("sched_setscheduler", [_step(_LOAD, _SECOND), _step(_JUMP_EQUAL, _SCHED_OTHER, 1), _fail()])
        own = [_step(_JUMP_EQUAL, 0, 2), _step(_JUMP_EQUAL, os.getpid(), 1), _fail()]
        when("prlimit64", [_step(_LOAD, _FIRST), *own])
    program.append(_step(_RETURN, _ALLOW))
    return program
