"""The start of a kernel in a forked process.

The child receives six descriptors: one end of a SOCK_SEQPACKET pair whose other end the host has, and a listening
Unix socket for each of Jupyter's channels (`protocol.CHANNELS`), which lie in a folder that the child never sees. It
confines itself, prepares, sends `{"ready": true}` or `{"error"}`, and waits for
`{"memory", "files": {path: index of its descriptor}}` with the descriptors of those files. Then it closes the pair
and serves.
"""

import gc
import json
import os
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
from .settle import FIRST, fail, settle

_MAX_MESSAGE = 1 << 20
_MAX_FILES = 16
_NOTHING = {
    "pack": None,
    "index": None,
    "start": 0,
    "end": None,
    "text": True,
    "sub_calls": True,
    "sub_rlms": False,
    "models": [],
    "prompt_tokens": 12_000,
}
"""The setup (`session.KernelSpec.setup`) of a REPL without input."""


def run(descriptors: "list[int]", request: "dict[str, Any]", confinement: Confinement) -> NoReturn:
    """Run the kernel that was requested (`server.py`), and end the process with it."""
    place = descriptors[0]
    try:
        settle(descriptors, request["environment"])
        place = FIRST
        confinement.apply(request["scratch"])
        # Set, because searching for a folder fails where there is none. IPython names cells after it.
        tempfile.tempdir = request["scratch"] or "/tmp"
        app = _ready(request["key"])
        app.kernel.scratch = request["scratch"] or ""
    except BaseException as error:
        fail(place, error)
    try:
        _wait_for_its_turn(socket.socket(fileno=FIRST))
        app.start()
    finally:
        os._exit(0)


def _ready(key: str) -> RlmApp:
    listeners = {channel: place for place, channel in enumerate(CHANNELS, FIRST + 1)}
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
