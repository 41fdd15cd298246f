"""The command line of bubblewrap that encloses a fork server. https://github.com/containers/bubblewrap"""

import shutil
from collections.abc import Iterable
from pathlib import Path

_LINKED = ("bin", "lib", "lib32", "lib64", "sbin")
_DEVICES = ("null", "zero", "full", "random", "urandom")
"""`inside/sandbox/namespaces.py` has the same."""
_FILES = ("/etc/ld.so.cache", "/etc/localtime")


def enclosing(visible: Iterable[str], inputs: Iterable[str], hidden: Iterable[str], *, root: bool) -> list[str]:
    """What goes before the program: a root of its own with `visible` and `inputs` read-only and where they are.

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
    # Not its own --dev: for a user who is not root that needs a second user namespace, in which nothing can be forked.
    arguments += ["--proc", "/proc", *_parents("/dev/shm/here")]
    for name in _DEVICES:
        arguments += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    arguments += ["--symlink", "/proc/self/fd", "/dev/fd", "--perms", "0755", "--dir", "/tmp"]
    return [*arguments, "--perms", "0755", "--dir", "/scratch", "--remount-ro", "/", "--chdir", "/", "--"]


def _bound(paths: Iterable[str]) -> list[str]:
    return [part for path in paths for part in (*_parents(path), "--ro-bind-try", path, path)]


def _parents(path: str) -> list[str]:
    """The folders above, which bubblewrap itself would make for this user alone."""
    return [part for folder in list(Path(path).parents)[-2::-1] for part in ("--perms", "0755", "--dir", str(folder))]


def _within(path: str, visible: Iterable[str]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in ("/usr", *visible))
