"""The start of a program in a forked process: confined like a kernel, and without anything of Jupyter's.

A program is a function of a module that the fork server's plan makes visible. It gets its end of a SOCK_SEQPACKET pair,
on which it has sent `{"ready": true}`, or `{"error"}` if it could not be confined or imported.
"""

import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import tempfile
from typing import Any, NoReturn

from ..sandbox.confine import Confinement
from .settle import FIRST, fail, settle

_STATUSES = (signal.SIGABRT, signal.SIGXCPU)


def run(descriptors: "list[int]", request: "dict[str, Any]", confinement: Confinement) -> NoReturn:
    """Run the program that was requested (`server.py`), and end the process with it."""
    place = descriptors[0]
    try:
        settle(descriptors, request["environment"])
        place = FIRST
        confinement.apply(request["scratch"])
        # Set, because searching for a folder fails where there is none.
        tempfile.tempdir = request["scratch"] or "/tmp"
        _end_by_status()
        gc.enable()
        module, _, name = request["program"].partition(":")
        program = getattr(importlib.import_module(module), name)
        control = socket.socket(fileno=FIRST)
        control.send(json.dumps({"ready": True}).encode())
    except BaseException as error:
        fail(place, error)
    try:
        program(control)
    finally:
        os._exit(0)


def _end_by_status() -> None:
    """Have signals of these kinds end the process with their number as its status, in C, whatever it is doing.

    The first process of a process table does not receive a signal that has no handler.
    """
    libc = ctypes.CDLL(None)
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    exit_at_once = ctypes.cast(libc["_exit"], ctypes.c_void_p)
    for one in _STATUSES:
        libc.signal(one, exit_at_once)
