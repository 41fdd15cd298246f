"""Files, processes and sockets outside a sandbox, and the detection of attempts that reached them."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.sandbox.hostile.common import Place
from tests.sandbox.shared_objects import SharedObjects

PROJECT = Path(__file__).parents[2]
_SHARED = ("/tmp", "/dev/shm")
_SYSTEM = ("/", "/etc", "/usr", "/usr/lib", "/home", "/var", "/run")


class Outside:
    """Files, sockets and a process of the user's in `folder`. A context manager."""

    def __init__(self, folder: Path, *, control: bool = False) -> None:
        """`control`: attempts are to reach it."""
        self.folder = folder
        self.state = folder / "state"
        self.blobs = self.state / "blobs"
        self.pack = self.blobs / "own" / "pack"
        self._name = f"escaped-{uuid.uuid4().hex}"
        self._control = control
        self._held = ExitStack()
        self._listeners: dict[str, socket.socket] = {}

    def __enter__(self) -> Self:
        for path in (self.folder / "user", self.pack.parent, self.blobs / "other", self.folder / "scratch"):
            path.mkdir(parents=True)
        self.pack.write_text("INPUT of this run\n")
        self.pack.chmod(0o400)
        for path in ("user/secret", "user/removable", "state/checkpoints.sqlite", "state/blobs/other/pack"):
            (self.folder / path).write_text(f"the user's {path}")
        for name, family, kind, address in (
            ("tcp", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            ("tcp6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
            ("udp", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            ("udp6", socket.AF_INET6, socket.SOCK_DGRAM, ("::1", 0)),
            ("stream", socket.AF_UNIX, socket.SOCK_STREAM, self._address("stream")),
            ("datagram", socket.AF_UNIX, socket.SOCK_DGRAM, self._address("datagram")),
            ("abstract stream", socket.AF_UNIX, socket.SOCK_STREAM, "\0" + self._address("stream")),
            ("abstract datagram", socket.AF_UNIX, socket.SOCK_DGRAM, "\0" + self._address("datagram")),
        ):
            listener = self._held.enter_context(socket.socket(family, kind))
            try:
                listener.bind(address)
            except OSError:
                if family != socket.AF_INET6:
                    raise
                continue
            self._listeners[name] = listener
            listener.setblocking(False)
            if kind == socket.SOCK_STREAM:
                listener.listen(16)
        # It prints a dot once it runs; a signal that it does not handle ends it.
        code = "import os, time; os.write(1, b'.'); time.sleep(3600)"
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", code],
            env={"SECRET": "sk-planted"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout and self._process.stdout.read(1) == b"."
        self._shared = self._held.enter_context(SharedObjects(self._name))
        self._before = self._files()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()
        self._held.close()
        for folder in _SHARED:
            Path(folder, self._name).unlink(missing_ok=True)

    @property
    def place(self) -> Place:
        """The names and addresses of it all, as attempts get them."""
        by_number = ("tcp", "tcp6", "udp", "udp6")
        return {
            **{name: self._listeners[name].getsockname()[1] if name in self._listeners else 9 for name in by_number},
            "control": self._control,
            "name": self._name,
            "user": str(self.folder / "user"),
            "secret": str(self.folder / "user/secret"),
            "removable": str(self.folder / "user/removable"),
            "secret_from_blobs": "../../user/secret",
            "home": str(Path.home()),
            "home_names": [path.name for path in Path.home().iterdir()],
            "state": str(self.state),
            "blobs": str(self.blobs),
            "pack": str(self.pack),
            "blob": str(self.blobs / "other/pack"),
            "project": str(PROJECT),
            "shared": list(_SHARED),
            **self._shared.numbers,
            "queue_name": self._shared.name,
            "stream": self._address("stream"),
            "datagram": self._address("datagram"),
            "process": self._process.pid,
            "runner": os.getpid(),
        }

    @property
    def without_ipv6(self) -> bool:
        """True if this machine has no IPv6 on loopback."""
        return "tcp6" not in self._listeners

    def touched(self) -> list[str]:
        """Return a description of everything that was reached or changed since the beginning."""
        now = self._files()
        found = [f"{path} was changed" for path in {*self._before, *now} if self._before.get(path) != now.get(path)]
        found += [f"{name} was reached" for name, listener in self._listeners.items() if _visited(listener)]
        places = [place for place in (*_SHARED, *_SYSTEM) if Path(place, self._name).exists()]
        found += [f"{self._name} was created in {place}" for place in places]
        found += self._shared.changes()
        if (status := self._process.poll()) is not None:
            found.append(f"the process ended: {signal.strsignal(-status) if status < 0 else status}")
        return found

    def _address(self, kind: str) -> str:
        return str(self.folder / "user" / kind)

    def _files(self) -> dict[str, tuple[object, ...]]:
        """Return the mode, the number of links, the times of modification and change, and the bytes of every file."""
        kept: dict[str, tuple[object, ...]] = {}
        for path in (*(self.folder / "user").rglob("*"), *self.state.rglob("*")):
            about = path.lstat()
            text = path.read_bytes() if path.is_file() else b""
            kept[str(path)] = (about.st_mode, about.st_nlink, about.st_mtime_ns, about.st_ctime_ns, text)
        return kept


def _visited(listener: socket.socket) -> bool:
    try:
        if listener.type == socket.SOCK_STREAM:
            listener.accept()[0].close()
        else:
            listener.recv(1)
    except BlockingIOError:
        return False
    return True
