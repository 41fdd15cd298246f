"""The numbers of system calls, in one table for each architecture: `kernel/inside/sandbox` asks for them by name.

Those of x86_64 are from Linux's arch/x86/entry/syscalls/syscall_64.tbl, those of aarch64 from
include/uapi/asm-generic/unistd.h. Calls from 424 on have the same number on both.
"""

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Both = tuple[int | None, int | None]
    """The number on x86_64 and on aarch64; None where the architecture has no such call."""

AUDIT = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
"""The architectures that are known, with the names that a filter sees for them."""

NEVER: "dict[str, Both]" = {
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
    **{"memfd_create": (319, 279)},
    # What the user's processes share with each other under numbers and names, and its memory is not counted either:
    **{"shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "shmdt": (67, 197)},
    **{"semget": (64, 190), "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192)},
    **{"msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187)},
    **{"mq_open": (240, 180), "mq_unlink": (241, 181), "mq_timedsend": (242, 182), "mq_timedreceive": (243, 183)},
    **{"mq_notify": (244, 184), "mq_getsetattr": (245, 185)},
    **{"migrate_pages": (256, 238), "move_pages": (279, 239), "bind": (49, 200), "connect": (42, 203)},
}
"""Denied in every kernel."""

BESIDE_THE_USER: "dict[str, Both]" = {
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
    **{"setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setattr": (314, 274)},
    **{"sched_setparam": (142, 118), "sched_setaffinity": (203, 122)},
}
"""Also denied where a kernel shares the machine's processes and files with its user."""

BY_ARGUMENT: "dict[str, Both]" = {
    **{"clone": (56, 220), "clone3": (435, 435), "socket": (41, 198), "socketpair": (53, 199)},
    **{"ioctl": (16, 29), "fcntl": (72, 25), "rt_sigaction": (13, 134)},
    **{"kill": (62, 129), "tgkill": (234, 131), "prlimit64": (302, 261), "sched_setscheduler": (144, 119)},
}
"""Filtered by their arguments."""

USED: "dict[str, Both]" = {
    **{"landlock_create_ruleset": (444, 444), "landlock_add_rule": (445, 445), "landlock_restrict_self": (446, 446)},
}
"""Made by the confinement itself, without a function of the C library."""


def numbers(machine: str) -> "dict[str, int]":
    """Return the number of each call that this architecture has. Raises OSError for an unknown one."""
    if machine not in AUDIT:
        raise OSError(errno.ENOSYS, f"the system calls of {machine} are not known")
    column = list(AUDIT).index(machine)
    tables = (NEVER, BESIDE_THE_USER, BY_ARGUMENT, USED)
    return {name: found for table in tables for name, both in table.items() if (found := both[column]) is not None}
