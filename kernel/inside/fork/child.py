"""The start of a kernel in a forked process.

The child receives six descriptors: one end of a SOCK_SEQPACKET pair whose other end the host has, and a listening
Unix socket for each of Jupyter's channels (`protocol.CHANNELS`), which lie in a folder that the child never sees. It
confines itself, prepares, sends `{"ready": true}` or `{"error"}`, and waits for
`{"memory", "files": {path: index of its descriptor}}` with the descriptors of those files. Then it closes the pair
and serves.
"""

import fcntl
import gc
import json
import os
import signal
import socket
import sys
import tempfile
from typing import Any, NoReturn

from ..context_file import Pack
from ..kernel_app import RlmApp
from ..protocol import CHANNELS
from ..repl import KernelRepl
from ..sandbox import limits
from ..sandbox.confine import Confinement

_MAX_MESSAGE = 1 << 20
_MAX_FILES = 16
_HIGH, _MOST_OPEN = 100, 4096
"""Descriptors above all of the fork server: the first free one, and the end of those that are closed."""
_NOTHING = {
    "pack": None,
    "index": None,
    "start": 0,
    "end": None,
    "text": True,
    "sub_calls": True,
    "sub_rlms": False,
    "models": [],
}
"""The setup (`session.KernelSpec.setup`) of a REPL without input."""
_FIRST = 3
"""The first descriptor after the standard streams."""


def run(descriptors: "list[int]", request: "dict[str, Any]", confinement: Confinement) -> NoReturn:
    """Run the kernel that was requested (`server.py`), and end the process with it."""
    place = descriptors[0]
    try:
        _settle(descriptors, request["environment"])
        place = _FIRST
        confinement.apply(request["scratch"])
        # Set, because searching for a folder fails where there is none. IPython names cells after it.
        tempfile.tempdir = request["scratch"] or "/tmp"
        app = _ready(request["key"])
        app.kernel.scratch = request["scratch"] or ""
    except BaseException as error:
        socket.socket(fileno=place).send(json.dumps({"error": f"{type(error).__name__}: {error}"[:1000]}).encode())
        os._exit(70)
    try:
        _wait_for_its_turn(socket.socket(fileno=_FIRST))
        app.start()
    finally:
        os._exit(0)


def _settle(descriptors: "list[int]", environment: "dict[str, str]") -> None:
    """Drop the fork server's signal handlers, environment, streams and open files.

    The descriptors that the kernel received are then in order from `_FIRST` on.
    """
    signal.set_wakeup_fd(-1)
    for one in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(one, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    # First moved above all others, then down to their places.
    high = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, _HIGH) for one in descriptors]
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(_FIRST):
        os.dup2(nothing, stream)
    for place, one in enumerate(high, _FIRST):
        os.dup2(one, place, inheritable=False)
    os.closerange(_FIRST + len(high), _MOST_OPEN)


def _ready(key: str) -> RlmApp:
    listeners = {channel: place for place, channel in enumerate(CHANNELS, _FIRST + 1)}
    sys.argv = ["kernel"]
    app = RlmApp.instance(listeners=listeners)
    app.session.key = key.encode()
    app.set_up()
    _warm_up(app)
    gc.collect()
    gc.freeze()
    gc.enable()
    return app


def _warm_up(app: RlmApp) -> None:
    """Run code as the first cell would, which is slow only once, before a cell waits for it."""
    app.shell.run_cell("1", store_history=False, silent=True)
    repl = KernelRepl({"x": 1}, lambda: None, _NOTHING, own_process=False)
    repl.begin([], ["x = 1"])
    json.dumps([repl.end(succeeded=True), repl.snapshot(["x = 1"])[0]])


def _wait_for_its_turn(status: socket.socket) -> None:
    """Report that the kernel is ready, and apply its start message. End the process when the host does not need it."""
    status.send(b'{"ready": true}')
    message, descriptors, _, _ = socket.recv_fds(status, _MAX_MESSAGE, _MAX_FILES)
    status.close()
    if not message:
        os._exit(0)
    said = json.loads(message)
    for path, which in said["files"].items():
        Pack.give(path, descriptors[which])
    limits.limit_memory(said["memory"])
