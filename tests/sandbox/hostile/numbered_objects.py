"""Attempts to reach memory, semaphores and messages that the user's processes share under numbers and names."""

import ctypes
import os
import struct
from contextlib import suppress

from tests.sandbox.hostile.common import Place, attempt, library_call

_STAT, _VALUE, _NO_WAIT, _LONG = 2, 12, 0o4000, 64


@attempt()
def look_at_memory(place: Place) -> None:
    """look at shared memory of the user's by its number."""
    library_call("shmctl", place["memory"], _STAT, ctypes.create_string_buffer(256))


@attempt()
def attach_memory(place: Place) -> None:
    """attach shared memory of the user's by its number."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    if (found := libc.shmat(place["memory"], None, 0)) in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "shmat")
    libc.shmdt(ctypes.c_void_p(found))


@attempt("")
def remove_objects(place: Place) -> None:
    """remove memory, semaphores and messages of the user's by their numbers."""
    removed = 0
    for name, which, more in (("shmctl", "memory", ()), ("semctl", "semaphore", (0,)), ("msgctl", "queue", ())):
        with suppress(OSError):
            library_call(name, place[which], *more, 0, None)
            removed += 1
    if not removed:
        raise PermissionError("nothing could be removed")


@attempt()
def read_semaphore(place: Place) -> None:
    """read a semaphore of the user's by its number."""
    library_call("semctl", place["semaphore"], 0, _VALUE, 0)


@attempt("")
def raise_semaphore(place: Place) -> None:
    """change a semaphore of the user's by its number."""
    library_call("semop", place["semaphore"], struct.pack("Hhh", 0, 1, _NO_WAIT), ctypes.c_size_t(1))


@attempt()
def look_at_queue(place: Place) -> None:
    """look at a queue of the user's by its number."""
    library_call("msgctl", place["queue"], _STAT, ctypes.create_string_buffer(256))


@attempt("")
def take_message(place: Place) -> None:
    """take a message of the user's by the number of its queue."""
    message = ctypes.create_string_buffer(_LONG)
    library_call("msgrcv", place["queue"], message, ctypes.c_size_t(8), ctypes.c_long(0), _NO_WAIT)


@attempt("")
def send_message(place: Place) -> None:
    """send a message to the user by the number of its queue."""
    library_call("msgsnd", place["queue"], struct.pack("l8s", 1, b"escaped"), ctypes.c_size_t(8), _NO_WAIT)


@attempt()
def make_semaphores(place: Place) -> None:
    """make semaphores that no limit counts."""
    library_call("semctl", library_call("semget", 0, 1, 0o1600), 0, 0, 0)


@attempt()
def make_queue(place: Place) -> None:
    """make a queue of messages that no limit counts."""
    library_call("msgctl", library_call("msgget", 0, 0o1600), 0, None)


@attempt()
def make_named_queue(place: Place) -> None:
    """make a queue of messages with a name."""
    name = f"/{place['name']}".encode()
    os.close(library_call("mq_open", name, os.O_CREAT | os.O_RDWR, 0o600, None))
    library_call("mq_unlink", name)


@attempt("")
def remove_named_queue(place: Place) -> None:
    """remove a queue of messages of the user's by its name."""
    library_call("mq_unlink", f"/{place['queue_name']}".encode())
