"""From a fork to a kernel that serves.

The child is handed six descriptors: one end of a SOCK_SEQPACKET pair whose other end the host has, and a listening
Unix socket for each of Jupyter's channels (`app.CHANNELS`), which lie in a folder that the child never sees. It
confines itself, gets ready, says `{"ready": true}` or `{"error"}`, and waits for
`{"memory", "files": {path: which descriptor}}` with those files beside it; then it serves, and the pair is closed.
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
from ..kernel_app import CHANNELS, RlmApp
from ..repl import Repl
from ..sandbox import limits
from ..sandbox.confine import Confinement

_MAX_MESSAGE = 1 << 20
_MAX_FILES = 16
_HIGH, _MOST_OPEN = 100, 4096
"""Above every descriptor of the fork server."""
_NOTHING = {"pack": None, "index": None, "start": 0, "end": None, "sub_calls": True, "sub_rlms": False, "models": []}
"""The setup (`session.KernelSpec.setup`) of a REPL without an input."""
_FIRST = 3
"""The descriptors below are the standard streams."""


def run(descriptors: "list[int]", request: "dict[str, Any]", confinement: Confinement) -> NoReturn:
    """Be the kernel that was asked for (`server.py`) until it ends."""
    place = descriptors[0]
    try:
        _settle(descriptors, request["environment"])
        place = _FIRST
        confinement.apply(request["scratch"])
        # Not looked for, which would fail where there is none: IPython names cells after it.
        tempfile.tempdir = request["scratch"] or "/tmp"
        app = _ready(request["key"])
    except BaseException as error:
        socket.socket(fileno=place).send(json.dumps({"error": f"{type(error).__name__}: {error}"[:1000]}).encode())
        os._exit(70)
    try:
        _wait_for_its_turn(socket.socket(fileno=_FIRST))
        app.start()
    finally:
        os._exit(0)


def _settle(descriptors: "list[int]", environment: "dict[str, str]") -> None:
    """Leave behind what the fork server had: signal handlers, environment, streams, open files.

    What the kernel was handed is then in order from `_FIRST` on.
    """
    signal.set_wakeup_fd(-1)
    for one in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(one, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    # Above all others first, then down to where they are to be.
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
    """Do what a first cell does, which takes long once: now, while nobody waits."""
    app.shell.run_cell("1", store_history=False, silent=True)
    repl = Repl({"x": 1}, lambda: None, _NOTHING, own_process=False)
    repl.begin([], ["x = 1"])
    json.dumps([repl.end(succeeded=True), repl.snapshot(["x = 1"])[0]])


def _wait_for_its_turn(status: socket.socket) -> None:
    """Say that it is ready, and take what it is started with. Ends the process when nobody wants it."""
    status.send(b'{"ready": true}')
    message, descriptors, _, _ = socket.recv_fds(status, _MAX_MESSAGE, _MAX_FILES)
    status.close()
    if not message:
        os._exit(0)
    said = json.loads(message)
    for path, which in said["files"].items():
        Pack.give(path, descriptors[which])
    limits.limit_memory(said["memory"])
