"""The kernel's application: ipykernel's, without the parts that a kernel of this project does not use.

It has no debugger, no profile folder and no TCP socket, which ipykernel would open for the output of subprocesses.
Most of a kernel's start is spent here, and every page that is written to is copied from the fork server.

Nothing is published before a client has subscribed. What cells print is captured (`output.py`) and sent with the
cell's result, and publishing it as well takes longer than a small cell.
"""

import importlib
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

import zmq
from ipykernel import ipkernel
from ipykernel.control import ControlThread
from ipykernel.iostream import IOPubThread, OutStream
from ipykernel.kernelapp import IPKernelApp
from IPython.core.profiledir import ProfileDir
from traitlets.config import Config
from zmq.eventloop.zmqstream import ZMQStream

from .kernel import NoThread, RlmKernel
from .output import captured
from .protocol import CHANNELS


class Publisher(IOPubThread):
    """ipykernel's publishing thread, which records in `heard` that a client has subscribed."""

    heard = False

    def _handle_subscription(self, frames: Any) -> None:
        self.heard = True
        super()._handle_subscription(frames)


class Stream(OutStream):
    """Standard output or standard error of a cell."""

    pub_thread: Any

    def write(self, string: str) -> int:
        """Capture `string`, and publish it when a client has subscribed. Raises TypeError when it is not a str."""
        captured.write(_text(string))
        if self.pub_thread.heard:
            super().write(string)
        return len(string)

    def flush(self) -> None:
        """Flush the published output, if a client has subscribed: ipykernel flushes after each message."""
        if self.pub_thread.heard:
            super().flush()


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"write() argument must be str, not {type(given)}")
    return given


_SETTINGS = {
    "HistoryManager": {"enabled": False},
    "IPCompleter": {"use_jedi": False},
    "InteractiveShell": {"colors": "nocolor", "banner1": ""},
}
_LATE = ("IPython.core.completerlib", "IPython.core.oinspect", "faulthandler", "tornado.platform.asyncio")
"""Modules that ipykernel imports only when a kernel starts."""

for _name in _LATE:
    importlib.import_module(_name)


class _NoModules:
    """`sys` for `ipykernel.ipkernel`, without modules: it would read the file name of each and so copy their pages."""

    modules: ClassVar[dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


ipkernel.sys = _NoModules()  # type: ignore[attr-defined]


class RlmApp(IPKernelApp):
    """The application of one kernel process."""

    # Set by ipykernel, whose traits allow None.
    context: Any
    session: Any
    shell_socket: Any
    iopub_socket: Any
    control_thread: Any
    shell_channel_thread: Any
    displayhook: Any
    kernel: Any
    shell: Any

    def __init__(self, *, listeners: "dict[str, int] | None" = None, **kwargs: Any) -> None:
        """Initialize the application.

        `listeners`: descriptors of sockets that listen already, by channel. None: the application binds its own.
        """
        super().__init__(kernel_class=RlmKernel, **kwargs)
        self._listeners = listeners
        self.outstream_class = f"{Publisher.__module__}.Stream"
        self.profile_dir = _NoProfile(location="/")

    def set_up(self, options: "Sequence[str]" = ()) -> None:
        """Prepare to serve, with all that cells print captured."""
        self.initialize(list(options))
        for stream in (sys.stdout, sys.stderr):
            stream.echo = None  # type: ignore[union-attr]

    def parse_command_line(self, argv: Any = None) -> None:
        if argv:
            super().parse_command_line(argv)
        self.update_config(Config(_SETTINGS))

    def init_crash_handler(self) -> None:
        """Install no handler: its report could not be sent."""

    def init_pdb(self) -> None:
        """Set up no debugger: there is no terminal to use it from."""

    def init_config_files(self) -> None:
        """Load nothing: there are no configuration files."""

    def load_config_file(self, suppress_errors: "bool | None" = True) -> None:
        """Load nothing: there is no configuration file."""

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
        self.control_thread = ControlThread(daemon=True)
        self.shell_channel_thread = NoThread()

    def init_iopub(self, context: Any) -> None:
        publisher = context.socket(zmq.XPUB)
        publisher.linger = 1000
        self._apply_curve_server_options(publisher)
        self.iopub_port = self._bind_socket(publisher, self.iopub_port)
        self.configure_tornado_logger()
        self.iopub_thread = Publisher(publisher, pipe=False, session=self.session)
        self.iopub_thread.start()
        self.iopub_socket = self.iopub_thread.background_socket

    def init_heartbeat(self) -> None:
        if self._listeners is None:
            super().init_heartbeat()
            return
        # For clients that attach; the fork server sees by itself that a kernel ends. It uses the thread of the output.
        loop = self.iopub_thread.io_loop
        loop.add_callback(_beat, self._router(self.context), self._listeners["hb"], loop)

    def init_kernel(self) -> None:
        # The same as in ipykernel, without the two sockets of the debugger.
        shell = ZMQStream(self.shell_socket)
        control = ZMQStream(self.control_socket, self.control_thread.io_loop)
        self.control_thread.start()
        self.kernel = RlmKernel.instance(
            parent=self,
            session=self.session,
            shell_stream=shell,
            control_stream=control,
            control_thread=self.control_thread,
            shell_channel_thread=self.shell_channel_thread,
            iopub_thread=self.iopub_thread,
            iopub_socket=self.iopub_socket,
            stdin_socket=self.stdin_socket,
            log=self.log,
            profile_dir=self.profile_dir,
            user_ns=self.user_ns,
        )
        self.displayhook.get_execution_count = lambda: self.kernel.execution_count

    def _router(self, context: Any) -> Any:
        socket = context.socket(zmq.ROUTER)
        socket.linger = 1000
        # A router silently drops what exceeds its limit. The window of `rlm_attach` bounds what is sent ahead.
        socket.sndhwm = 0
        self._apply_curve_server_options(socket)
        return socket


def _beat(socket: Any, listener: int, loop: Any) -> None:
    """Send every heartbeat message back."""
    _take(socket, listener)
    stream = ZMQStream(socket, loop)
    stream.on_recv(stream.send_multipart)


class _NoProfile(ProfileDir):
    """A profile folder that is never read or created."""

    def check_dirs(self) -> None:
        """Check nothing: no folder is needed."""

    def _mkdir(self, path: str, mode: "int | None" = None) -> bool:
        del path, mode
        return False


def _take(socket: Any, listener: int) -> None:
    """Bind `socket` to a descriptor that listens already. The name in the address is used nowhere else."""
    socket.setsockopt(zmq.USE_FD, listener)
    socket.bind("ipc://listening")
