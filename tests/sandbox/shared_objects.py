"""Memory, a semaphore and queues of messages that processes of one user share under numbers and names."""

import ctypes
import os
import struct
from types import TracebackType
from typing import Self

from tests.sandbox.hostile.common import library_call

_MESSAGE, _REMOVE, _STAT, _VALUE = b"kept one", 0, 2, 12
_NEW = 0o1666
"""Anyone may read and write it: only a sandbox keeps others from that."""


class SharedObjects:
    """One object of each kind. A context manager that removes them."""

    def __init__(self, name: str) -> None:
        """`name`: of the POSIX queue, without its slash."""
        self.name = f"kept-{name}"
        self.numbers: dict[str, int] = {}

    def __enter__(self) -> Self:
        self.numbers = {
            "memory": library_call("shmget", 0, ctypes.c_size_t(4096), _NEW),
            "semaphore": library_call("semget", 0, 1, _NEW),
            "queue": library_call("msgget", 0, _NEW),
        }
        library_call("msgsnd", self.numbers["queue"], struct.pack("l8s", 1, _MESSAGE), ctypes.c_size_t(8), 0)
        os.close(library_call("mq_open", self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666, None))
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for call, name, more in (("shmctl", "memory", ()), ("semctl", "semaphore", (0,)), ("msgctl", "queue", ())):
            _there(call, self.numbers[name], *more, _REMOVE, None)
        _there("mq_unlink", self._path)

    def changes(self) -> list[str]:
        """Return a description of everything that was changed or removed."""
        about = ctypes.create_string_buffer(256)
        found = [] if _there("shmctl", self.numbers["memory"], _STAT, about) else ["the shared memory was removed"]
        if not _there("semctl", self.numbers["semaphore"], 0, _VALUE, 0):
            found.append("the semaphore was removed")
        elif library_call("semctl", self.numbers["semaphore"], 0, _VALUE, 0):
            found.append("the semaphore was changed")
        if _messages(self.numbers["queue"]) != [_MESSAGE]:
            found.append("the queue of messages was changed")
        if not _there("mq_open", self._path, os.O_RDONLY):
            found.append("the named queue of messages was removed")
        return found

    @property
    def _path(self) -> bytes:
        return f"/{self.name}".encode()


def _there(name: str, *arguments: object) -> bool:
    try:
        result = library_call(name, *arguments)
    except OSError:
        return False
    if name == "mq_open":
        os.close(result)
    return True


def _messages(queue: int) -> list[bytes]:
    """Take all messages of a queue, and put them back."""
    taken: list[bytes] = []
    message = ctypes.create_string_buffer(64)
    while _there("msgrcv", queue, message, ctypes.c_size_t(8), ctypes.c_long(0), 0o4000):
        taken.append(message.raw[8:16])
    for one in taken:
        _there("msgsnd", queue, struct.pack("l8s", 1, one), ctypes.c_size_t(8), 0)
    return taken
