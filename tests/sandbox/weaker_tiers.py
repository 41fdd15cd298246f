"""A program that takes features from a command: `python -m tests.sandbox.weaker_tiers [OPTION …] -- COMMAND …`.

--user UID            as another user, who cannot read this user's private files, except for Python and the project
--no-user-namespaces  no user namespace can be created
--no-landlock         the system calls of Landlock do not exist
"""

import os
import struct
import sys
from pathlib import Path

from durable_rlm.kernel.inside.sandbox import seccomp, syscalls
from tests.sandbox.outside import PROJECT

OTHER = 4242
_LANDLOCK, _NO_SUCH_CALL = 444, 38


def command(*arguments: str, user: int | None = None, namespaces: bool = True, landlock: bool = True) -> list[str]:
    """Return the whole command line; only root can become another user."""
    options = [] if user is None else ["--user", str(user)]
    options += [] if namespaces else ["--no-user-namespaces"]
    options += [] if landlock else ["--no-landlock"]
    return [sys.executable, "-m", __name__, *options, "--", *arguments]


def main() -> None:
    """Apply the options to this process, and then execute the command."""
    at = sys.argv.index("--")
    options, rest = sys.argv[1:at], sys.argv[at + 1 :]
    if "--user" in options:
        _open_what_is_needed()
        syscalls.become(int(options[options.index("--user") + 1]))
    if "--no-user-namespaces" in options:
        # A namespace of its own, in which no more can be created. The next program has none of its capabilities.
        user, group = os.getuid(), os.getgid()
        syscalls.unshare(syscalls.NEWUSER)
        syscalls.map_user(user, group)
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
        syscalls.drop_capabilities()
    if "--no-landlock" in options:
        _without_landlock()
    os.execv(rest[0], rest)


def _open_what_is_needed() -> None:
    """Hide every folder that contains Python or the project and is closed to others, and mount only these two in it."""
    syscalls.unshare(syscalls.NEWNS)
    syscalls.mount("none", "/", None, syscalls.MS_PRIVATE | syscalls.MS_REC)
    needed = {str(Path(path).resolve()) for path in (sys.base_prefix, sys.prefix, PROJECT)}
    closed = {path: folder for path in needed if (folder := _first_closed(Path(path)))}
    held = {path: os.open(path, os.O_PATH) for path in closed}
    for folder in set(closed.values()):
        syscalls.mount("tmpfs", str(folder), "tmpfs", 0, "mode=755")
    for path, descriptor in sorted(held.items()):
        Path(path).mkdir(parents=True, exist_ok=True)
        syscalls.mount(f"/proc/self/fd/{descriptor}", path, None, syscalls.MS_BIND | syscalls.MS_REC)
        os.close(descriptor)


def _first_closed(path: Path) -> Path | None:
    """Return the outermost folder above `path` that others may not enter."""
    return next((folder for folder in list(path.parents)[::-1] if not folder.stat().st_mode & 1), None)


def _without_landlock() -> None:
    steps = [
        seccomp._step(seccomp._LOAD, seccomp._NUMBER),
        seccomp._step(seccomp._JUMP_EQUAL, _LANDLOCK, 0, 1),
        seccomp._fail(_NO_SUCH_CALL),
        seccomp._step(seccomp._RETURN, seccomp._ALLOW),
    ]
    program = seccomp.ctypes.create_string_buffer(b"".join(steps))
    syscalls.no_new_privileges()
    filtering = struct.pack("<HxxxxxxQ", len(steps), seccomp.ctypes.addressof(program))
    syscalls.checked(syscalls.libc.prctl(22, 2, filtering, 0, 0), "seccomp")


if __name__ == "__main__":
    main()
