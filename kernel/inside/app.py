"""The kernel's application: ipykernel's, without what a kernel of ours has no use for.

Neither a debugger nor a profile folder, and no TCP socket: ipykernel would open one for output of subprocesses.
"""

import sys
from typing import Any

import zmq
from ipykernel.control import ControlThread
from ipykernel.heartbeat import Heartbeat
from ipykernel.iostream import IOPubThread
from ipykernel.kernelapp import IPKernelApp
from ipykernel.shellchannel import ShellChannelThread
from IPython.core.profiledir import ProfileDir

from .kernel import RlmKernel, captured

OPTIONS = (
    "--HistoryManager.enabled=False",
    "--IPCompleter.use_jedi=False",
    "--InteractiveShell.colors=nocolor",
    "--InteractiveShell.banner1=",
    "--ZMQTerminalInteractiveShell.confirm_exit=False",
)
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
"""In the order of their ports, 1 to 5."""


class RlmApp(IPKernelApp):
    """One kernel process."""

    # Set by ipykernel; its traits allow None.
    context: Any
    session: Any
    shell_socket: Any
    iopub_socket: Any
    heartbeat: Any

    def __init__(self, *, listeners: "dict[str, int] | None" = None, **kwargs: Any) -> None:
        """`listeners`: sockets by channel that listen already, as file descriptors; else it binds its own."""
        super().__init__(kernel_class=RlmKernel, **kwargs)
        self._listeners = listeners
        self.profile_dir = _NoProfile(location="/")

    def set_up(self, options: "list[str]") -> None:
        """Be ready to serve, with all that cells print captured."""
        self.initialize(options)
        for stream in (sys.stdout, sys.stderr):
            stream.echo = captured  # type: ignore[union-attr]

    def init_config_files(self) -> None:
        """There are none."""

    def load_config_file(self, suppress_errors: "bool | None" = True) -> None:
        """There is none."""

    def init_connection_file(self) -> None:
        if self._listeners is None:
            super().init_connection_file()
            return
        self.transport, self.ip = "ipc", "listening"
        self.shell_port, self.iopub_port, self.stdin_port, self.control_port, self.hb_port = range(1, 6)

    def write_connection_file(self, **kwargs: Any) -> None:
        if self._listeners is None:
            super().write_connection_file(**kwargs)

    def _try_bind_socket(self, s: Any, port: int) -> int:
        if self._listeners is not None:
            _take(s, self._listeners[CHANNELS[port - 1]])
            return port
        return super()._try_bind_socket(s, port)

    def init_control(self, context: Any) -> None:
        self.control_socket = self._router(context)
        self.control_port = self._bind_socket(self.control_socket, self.control_port)
        self.control_socket.router_handover = 1
        self.debugpy_socket = context.socket(zmq.STREAM)
        self.debug_shell_socket = context.socket(zmq.DEALER)
        self.control_thread = ControlThread(daemon=True)
        self.shell_channel_thread = ShellChannelThread(context, daemon=True)

    def init_iopub(self, context: Any) -> None:
        publisher = context.socket(zmq.XPUB)
        publisher.linger = 1000
        self._apply_curve_server_options(publisher)
        self.iopub_port = self._bind_socket(publisher, self.iopub_port)
        self.configure_tornado_logger()
        self.iopub_thread = IOPubThread(publisher, pipe=False, session=self.session)
        self.iopub_thread.start()
        self.iopub_socket = self.iopub_thread.background_socket

    def init_heartbeat(self) -> None:
        if self._listeners is None:
            super().init_heartbeat()
            return
        self.heartbeat = _Heartbeat(self._listeners["hb"])
        self.heartbeat.start()

    def _router(self, context: Any) -> Any:
        socket = context.socket(zmq.ROUTER)
        socket.linger = 1000
        self._apply_curve_server_options(socket)
        return socket


class _Heartbeat(Heartbeat):
    """Answers on a socket that listens already."""

    def __init__(self, listener: int) -> None:
        # Its own context, as ipykernel's: it must not wait for the interpreter's lock.
        super().__init__(zmq.Context(), ("ipc", "listening", 5))
        self._listener = listener

    def _try_bind_socket(self) -> None:
        _take(self.socket, self._listener)


class _NoProfile(ProfileDir):
    """A profile folder that is never looked into, nor made."""

    def check_dirs(self) -> None:
        """Nothing to make."""

    def _mkdir(self, path: str, mode: "int | None" = None) -> bool:
        del path, mode
        return False


def _take(socket: Any, listener: int) -> None:
    """Serve a socket that listens already. The name is said nowhere else."""
    socket.setsockopt(zmq.USE_FD, listener)
    socket.bind("ipc://listening")
