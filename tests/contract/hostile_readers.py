"""Readers that do what hostile files make readers do, imported by reader processes by their names."""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from durable_rlm.nodes.input.draft import Draft, GivenFile, Read, Skipped, Unusable


def well(given: GivenFile) -> Read:
    """Read the file as one document of UTF-8."""
    draft = Draft("well", "")
    draft.mark("pages")
    draft.write(given.file.read().decode())
    draft.meta["process"] = os.getpid()
    draft.lose("1 chart not shown")
    yield draft


def several(given: GivenFile) -> Read:
    """Read each line as a document, and skip the last one."""
    *lines, last = given.file.read().decode().splitlines()
    for number, line in enumerate(lines):
        draft = Draft("line", f"part/{number}")
        draft.write(line)
        yield draft
    yield Skipped(last, "an image", 7)


def unusable(given: GivenFile) -> Read:
    del given
    raise Unusable("password-protected", "Give its password.")
    yield from ()


def raises(given: GivenFile) -> Read:
    raise ValueError(f"{given.size} bytes are wrong")
    yield from ()


def raises_late(given: GivenFile) -> Read:
    yield from well(given)
    raise ValueError("the end is missing")


def panics(given: GivenFile) -> Read:
    raise BaseException("a panic of Rust's")
    yield from ()


def exits(given: GivenFile) -> Read:
    del given
    sys.exit(0)
    yield from ()


def recurses(given: GivenFile) -> Read:
    yield from recurses(given)


def gives_nothing(given: GivenFile) -> Read:
    del given
    yield from ()


def says_password(given: GivenFile) -> Read:
    draft = Draft("protected")
    draft.write("opened" if "opensesame" in given.options.passwords else "closed")
    yield draft


def reads_slowly(given: GivenFile) -> Read:
    time.sleep(float(given.file.read()))
    draft = Draft("slow")
    draft.write("slept")
    yield draft


# From here on, only a process of its own survives.


def aborts(given: GivenFile) -> Read:
    del given
    os.abort()
    yield from ()


def faults(given: GivenFile) -> Read:
    del given
    ctypes.string_at(0)
    yield from ()


def leaves(given: GivenFile) -> Read:
    del given
    os._exit(0)
    yield from ()


def killed(given: GivenFile) -> Read:
    del given
    os.kill(os.getpid(), signal.SIGKILL)
    # The first process of a process table cannot be killed from inside it.
    os._exit(9)
    yield from ()


def spins(given: GivenFile) -> Read:
    del given
    while True:
        pass
    yield from ()


def spins_in_c(given: GivenFile) -> Read:
    del given
    sum(range(10**15))
    yield from ()


def hangs(given: GivenFile) -> Read:
    del given
    time.sleep(1_000)
    yield from ()


def eats_memory(given: GivenFile) -> Read:
    del given
    held = [b"x" * (64 << 20) for _ in range(100)]
    draft = Draft("eaten")
    draft.write(str(len(held)))
    yield draft


def eats_memory_in_c(given: GivenFile) -> Read:
    """Do what a library does that does not check for a lack of memory."""
    del given
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    while place := libc.malloc(64 << 20):
        ctypes.memset(place, 1, 64 << 20)
    os.abort()
    yield from ()


def writes_without_end(given: GivenFile) -> Read:
    del given
    number = 0
    while True:
        draft = Draft("endless", str(number := number + 1))
        draft.write("x" * (8 << 20))
        yield draft


def fills_its_output(given: GivenFile) -> Read:
    """Write to the descriptor itself, past what the reader process counts."""
    del given
    while True:
        os.write(_output(0), b"x" * (8 << 20))
    yield from ()


def tells_nonsense(given: GivenFile) -> Read:
    """Write the lines that the file has as facts."""
    os.write(_output(1), given.file.read())
    yield from _and_end()


def answers_nonsense(given: GivenFile) -> Read:
    """Answer with what the file has, instead of the reader process."""
    with socket.socket(fileno=os.dup(_control())) as control:
        control.send(given.file.read() + b"\n")
    time.sleep(1_000)
    yield from ()


def changes_its_text_later(given: GivenFile) -> Read:
    """Have a thread change the text as soon as the reader process has answered."""
    place = os.dup(_output(0))

    def change() -> None:
        time.sleep(0.1)
        os.pwrite(place, b"\xff" * 5, 0)

    yield from well(given)
    threading.Thread(target=change, daemon=True).start()


def forks(given: GivenFile) -> Read:
    """Have processes spin that outlive the reading, and say how many there are."""
    started = 0
    with contextlib.suppress(OSError):
        for _ in range(4):
            if not os.fork():
                time.sleep(1_000)
            started += 1
    draft = Draft("forked")
    draft.write(f"{started} started")
    draft.meta["process"] = os.getpid()
    yield draft


def probes(given: GivenFile) -> Read:
    """Try to reach what the file names, as JSON, and write what could be reached."""
    place = json.loads(given.file.read())
    draft = Draft("probed")
    draft.write(json.dumps({name: _outcome(attempt, place) for name, attempt in _ATTEMPTS.items()}))
    yield draft


def _outcome(attempt: Any, place: dict[str, Any]) -> str:
    try:
        return f"could: {attempt(place)!r}"[:100]
    except Exception as error:
        return type(error).__name__


_ATTEMPTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "read a secret": lambda place: Path(place["secret"]).read_text(),
    "list the folder": lambda place: list(Path(place["folder"]).iterdir()),
    "read the project": lambda place: Path(place["project"]).read_text(),
    "write to a file": lambda place: Path(place["secret"]).write_text("changed"),
    "write to the given file": lambda place: _write_to_given(place),
    "connect by TCP": lambda place: socket.create_connection(("127.0.0.1", place["port"]), 1),
    "connect to a Unix socket": lambda place: _connect(place["socket"]),
    "read the environment": lambda place: Path(f"/proc/{place['process']}/environ").read_bytes(),
    "signal the host": lambda place: os.kill(place["process"], 0),
    "read who may log in": lambda place: Path("/etc/shadow").read_text(),
    "read its own package": lambda place: Path(sys.modules[Draft.__module__].__file__ or "").read_text()[:4],
    "have a secret in the environment": lambda place: os.environ["A_SECRET"],
}


def _write_to_given(place: dict[str, Any]) -> int:
    """Open what was given for reading for writing, by its descriptor and by its name."""
    for one in _descriptors(os.O_RDONLY):
        try:
            return os.write(os.open(f"/proc/self/fd/{one}", os.O_WRONLY), b"changed")
        except OSError:
            continue
    return os.write(os.open(place["given"], os.O_WRONLY), b"changed")


def writes_to_given(given: GivenFile) -> Read:
    """Write to the descriptor that was given, and say how many bytes that were."""
    draft = Draft("changed")
    draft.write(str(_write_to_given(json.loads(given.file.read()))))
    yield draft


def _connect(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(path)
    return "connected"


def converts(given: GivenFile) -> Read:
    """Convert by LibreOffice, and say how many bytes came of it."""
    from durable_rlm.nodes.input.readers.legacy.converter import convert

    draft = Draft("converted")
    draft.write(convert(given.soffice, given.file.read(), ".rtf", "docx")[:2].decode())
    yield draft


def starts_a_program(given: GivenFile) -> Read:
    del given
    draft = Draft("started")
    draft.write(subprocess.run(["/bin/echo", "started"], capture_output=True, check=True).stdout.decode())
    yield draft


def _output(which: int) -> int:
    """Return the descriptor of the text (0) or the facts (1)."""
    return _descriptors(os.O_RDWR)[which]


def _descriptors(mode: int) -> list[int]:
    """Return those of regular files that are open in this mode."""
    found: list[int] = []
    for one in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISREG(os.fstat(one).st_mode) and fcntl.fcntl(one, fcntl.F_GETFL) & os.O_ACCMODE == mode:
                found.append(one)
    return found


def _control() -> int:
    """Return the descriptor of the reader process's socket."""
    for one in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(one).st_mode):
                return one
    raise OSError("no socket")


def _and_end() -> Read:
    """End as a reader that has given one document: its facts are there already."""
    yield Skipped("", "written", 0)
    draft = Draft("ended")
    yield draft
