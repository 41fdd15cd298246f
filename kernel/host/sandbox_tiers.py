"""The sandbox tiers, and the command that starts a fork server in each.

Bubblewrap: https://github.com/containers/bubblewrap
"""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..inside.protocol import DEVICES
from .python_env import INSIDE, KernelEnvironment

_LINKED = ("bin", "lib", "lib32", "lib64", "sbin")
_FILES = ("/etc/ld.so.cache", "/etc/localtime")


def enclosing(visible: Iterable[str], inputs: Iterable[str], hidden: Iterable[str], *, root: bool) -> list[str]:
    """Return bubblewrap's command line before the program: a new root with `visible` and `inputs` read-only in place.

    The capabilities are those over its own namespaces; as `root`, which needs no user namespace, they are real ones,
    and the fork server's kernels become another user.
    """
    spaces = ("pid", "net", "ipc", "uts", *(() if root else ("user",)))
    arguments = [shutil.which("bwrap") or "bwrap", *(f"--unshare-{name}" for name in spaces), "--unshare-cgroup-try"]
    arguments += ["--as-pid-1", "--die-with-parent", "--new-session", "--cap-add", "ALL", "--ro-bind", "/usr", "/usr"]
    for name in _LINKED:
        place = Path("/", name)
        if place.is_symlink():
            arguments += ["--symlink", str(place.readlink()), str(place)]
        elif place.is_dir():
            arguments += ["--ro-bind", str(place), str(place)]
    arguments += _bound([*_FILES, *sorted(visible)])
    for path in hidden:
        arguments += ["--perms", "0755", "--size", "1048576", "--tmpfs", path] if _within(path, visible) else []
    arguments += _bound(sorted(inputs))
    # Not --dev: for a user who is not root that needs a second user namespace, in which nothing can be forked.
    arguments += ["--proc", "/proc", *_parents("/dev/shm/here")]
    for name in DEVICES:
        arguments += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    arguments += ["--symlink", "/proc/self/fd", "/dev/fd", "--perms", "0755", "--dir", "/tmp"]
    return [*arguments, "--perms", "0755", "--dir", "/scratch", "--remount-ro", "/", "--chdir", "/", "--"]


def _bound(paths: Iterable[str]) -> list[str]:
    return [part for path in paths for part in (*_parents(path), "--ro-bind-try", path, path)]


def _parents(path: str) -> list[str]:
    """Return arguments that create the parent folders, which bubblewrap itself would create for this user alone."""
    return [part for folder in list(Path(path).parents)[-2::-1] for part in ("--perms", "0755", "--dir", str(folder))]


def _within(path: str, visible: Iterable[str]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in ("/usr", *visible))


Tier = Literal["bubblewrap", "namespaces", "landlock", "none"]
TIERS: tuple[Tier, ...] = ("bubblewrap", "namespaces", "landlock")
"""The strongest first. `none` is only used when it is requested."""
SCRATCH_BYTES = 1 << 30
_NOBODY = 65_533
"""The user id of kernels when this process is root: a user that owns nothing."""


@dataclass(frozen=True)
class Start:
    """One way to start a fork server."""

    tier: Tier
    command: list[str]
    environment: dict[str, str]
    plan: str
    """The fork server's first message; not on its command line, which every kernel can read."""


@dataclass(frozen=True)
class SandboxSpec:
    """The environment and the folders of a fork server's kernels."""

    environment: KernelEnvironment
    inputs: Sequence[Path]
    hidden: Sequence[Path]
    programs: bool = False
    """True when it forks programs and no kernels."""
    given_bytes: int = 0
    """The size to which files that a program was given may grow, where it can make none itself."""
    binds: bool = False
    """True when programs may give Unix sockets an address, which nobody can connect to."""


def available(tiers: Sequence[Tier]) -> list[Tier]:
    """Return those of `tiers` that can be tried here; each is verified when it starts."""
    return [tier for tier in tiers if tier != "bubblewrap" or shutil.which("bwrap")]


def missing(tiers: Sequence[str]) -> str:
    """Return advice on what to install or allow when none of `tiers` holds."""
    advice = [] if "bubblewrap" not in tiers or shutil.which("bwrap") else ["install bubblewrap (the command bwrap)"]
    advice += ["allow unprivileged user namespaces", "use Linux 5.13 or later with Landlock"]
    return f"{', or '.join(advice)}; or say --unsandboxed, and read what that means"


def start_in(tier: Tier, wanted: SandboxSpec, canary: dict[str, Any], descriptor: int) -> Start:
    """Return the way to start a fork server in this tier, connected by the socket `descriptor`."""
    environment = wanted.environment
    inputs = [str(folder) for folder in wanted.inputs if folder.is_dir()]
    hidden = [str(folder) for folder in wanted.hidden]
    plan: dict[str, Any] = {
        "tier": tier,
        "enclosed": tier == "bubblewrap",
        "packages": environment.packages,
        "preload": environment.preload,
        "programs": wanted.programs,
        "visible": _visible(environment, wanted.hidden) if tier == "landlock" else environment.visible,
        "inputs": inputs,
        "hidden": hidden,
        "uid": _other_user() if tier in ("bubblewrap", "namespaces") else None,
        "scratch_bytes": SCRATCH_BYTES,
        "given_bytes": wanted.given_bytes,
        "binds": wanted.binds,
        "canary": None if tier == "none" else canary,
    }
    program = [environment.python, "-s", "-S", "-B", "-P", str(INSIDE / "launch.py")]
    command = [*program, "fork-server", str(descriptor)]
    if tier == "bubblewrap":
        command = [*enclosing(environment.visible, inputs, hidden, root=os.geteuid() == 0), *command]
    return Start(tier, command, _server_environment(environment), json.dumps(plan))


def _visible(environment: KernelEnvironment, hidden: Sequence[Path]) -> list[str]:
    """Return the paths that Landlock allows: those that the other tiers make visible, without what is `hidden`."""
    system = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64", "/usr/share/zoneinfo")
    seen = [*system, "/etc/ld.so.cache", "/etc/localtime", *environment.visible]
    away = [folder.resolve() for folder in hidden]
    return [str(part) for path in seen for part in _without(Path(path), away)]


def _without(path: Path, hidden: Sequence[Path]) -> list[Path]:
    """Return the parts of `path` that contain none of `hidden`: Landlock rules can only allow."""
    real = path.resolve()
    if any(real.is_relative_to(folder) for folder in hidden):
        return []
    if not any(folder.is_relative_to(real) for folder in hidden):
        return [path]
    return [part for below in path.iterdir() for part in _without(below, hidden)]


def _server_environment(environment: KernelEnvironment) -> dict[str, str]:
    """Return a clean environment: a kernel can read that of the process it is forked from."""
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        # A second thread in the fork server would be lost in its children.
        **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        "MALLOC_ARENA_MAX": "2",
    }


def _other_user() -> int | None:
    """Return the user id to give kernels when this process is root and the id exists here; else None."""
    if os.geteuid() != 0 or sys.platform != "linux":
        return None
    ranges = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return _NOBODY if any(first <= _NOBODY < first + count for first, _, count in ranges) else None


def as_canary(file: str, socket: str) -> dict[str, Any]:
    """Return the targets that the probes try to reach (`inside/sandbox/probes.py`)."""
    return {"file": file, "socket": socket, "process": os.getpid()}
