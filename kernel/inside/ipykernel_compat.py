"""The parts of ipykernel and IPython that are used and not documented, each with the reason.

Private names, and methods that are public but documented only by what they initialize: the overrides below rely on the
order in which ipykernel calls them. No setting of ipykernel's does any of this. `pyproject.toml` holds ipykernel below
the next minor release; `tests/docs/test_compat.py` compares the names and their parameters with the installed one.
"""

import importlib
import sys
import threading
from typing import Any, ClassVar

import zmq
from ipykernel import ipkernel
from ipykernel.compiler import XCachingCompiler
from ipykernel.control import ControlThread
from ipykernel.iostream import IOPubThread
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from IPython.core.profiledir import ProfileDir
from zmq.eventloop.zmqstream import ZMQStream

from .protocol import CHANNELS
from .snapshot.code_objects import keep_source

_LATE = ("IPython.core.completerlib", "IPython.core.oinspect", "faulthandler", "tornado.platform.asyncio")
"""Modules that ipykernel imports only when a kernel starts: imported here, they are in the fork server already."""

for _name in _LATE:
    importlib.import_module(_name)

PRELOADED = (
    *("ipykernel.heartbeat", "ipykernel.shellchannel", "ipykernel.subshell_manager", "ipykernel.comm"),
    *("ipykernel.embed", "ipykernel.debugger", "ipykernel.compiler"),
    *("IPython.core.completer", "IPython.core.magics", "IPython.core.payloadpage", "IPython.core.async_helpers"),
    *("IPython.extensions.storemagic", "tornado.ioloop"),
)
"""Modules that ipykernel would import with a kernel's start or its first cells, for the fork server."""


BETWEEN_CELLS = (
    *("ipykernel.kernelbase", "ipykernel.ipkernel", "ipykernel.zmqshell", "ipykernel.iostream"),
    *("IPython.core.interactiveshell", "IPython.core.displayhook", "IPython.core.formatters"),
    "IPython.core.compilerop",
)
"""Modules that run between cells, which cells must not change for the kernel."""


class _NoModules:
    """`sys` for `ipykernel.ipkernel`, without modules: it would read the file name of each and so copy their pages."""

    modules: ClassVar[dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


# Read in `IPythonKernel.__init__`, which has to be called, so the name in its module is all that can be replaced.
ipkernel.sys = _NoModules()  # type: ignore[attr-defined]


class Publisher(IOPubThread):
    """ipykernel's publishing thread, which records in `heard` that a client has subscribed.

    ipykernel handles subscriptions itself and reports them to nobody else.
    """

    heard = False

    def _handle_subscription(self, frames: Any) -> None:
        self.heard = True
        super()._handle_subscription(frames)


class NoThread:
    """A replacement for ipykernel's subshell thread that is no thread, so that cells come straight to the main thread.

    Through such a thread each message is passed on and back, which takes as long as a small cell. ipykernel tests
    whether the thread is true, and compares `parent_thread` with the thread that runs a cell.
    """

    def __init__(self) -> None:
        self.parent_thread = threading.current_thread()

    def __bool__(self) -> bool:
        return False


class QuietKernel(IPythonKernel):
    """ipykernel's kernel without subshells, and without messages that nobody has subscribed to.

    ipykernel derives `_supports_kernel_subshells` from the mere presence of a thread, sleeps for `_execute_sleep` after
    each execution to synchronize output, and publishes whether anybody listens or not.
    """

    _supports_kernel_subshells = False  # type: ignore[assignment]
    _execute_sleep = 0
    # Always set while a kernel lives; ipykernel's traits allow None.
    shell: Any
    session: Any
    control_thread: Any
    iopub_thread: Any
    execution_count: Any

    def publish_input(self, code: str, parent: Any) -> None:
        """Publish code that is about to run, which ipykernel does for its own requests only."""
        self._publish_execute_input(code, parent, self.execution_count)

    def handle_at_once(self, identities: Any, parts: Any) -> bool:
        """Handle a message of the control channel without ipykernel's own handling, or return False."""
        del identities, parts
        return False

    async def process_control(self, msg: Any) -> None:
        """Handle one message of the control channel.

        ipykernel's own handling signs two messages and flushes two streams for each.
        """
        identities, parts = self.session.feed_identities(msg, copy=False)
        if not self.handle_at_once(identities, parts):
            await super().process_control(msg)

    def _publish_status(self, *args: Any, **kwargs: Any) -> None:
        if self.iopub_thread.heard:
            super()._publish_status(*args, **kwargs)

    def _publish_execute_input(self, *args: Any, **kwargs: Any) -> None:
        if self.iopub_thread.heard:
            super()._publish_execute_input(*args, **kwargs)


class BareApp(IPKernelApp):
    """ipykernel's application without a debugger, a profile folder, and the TCP socket for output of subprocesses.

    Its sockets may listen already: ipykernel binds them by itself, and by their names only. It makes the debugger's two
    sockets, the subshell thread and the heartbeat's thread whether these are used or not.
    """

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
        super().__init__(**kwargs)
        self._listeners = listeners
        self.profile_dir = _NoProfile(location="/")

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
        kind: Any = self.kernel_class
        self.kernel = kind.instance(
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
        # A router silently drops what exceeds its limit. The window of `protocol.ATTACH` bounds what is sent ahead.
        socket.sndhwm = 0
        self._apply_curve_server_options(socket)
        return socket


def _beat(socket: Any, listener: int, loop: Any) -> None:
    """Send every heartbeat message back."""
    _take(socket, listener)
    stream = ZMQStream(socket, loop)
    stream.on_recv(stream.send_multipart)


class _NoProfile(ProfileDir):
    """A profile folder that is never read: IPython cannot do without one.

    IPython would create these folders in it, each as its name is set.
    """

    def check_security_dir(self, change: Any = None) -> None:
        """Create nothing."""

    def check_log_dir(self, change: Any = None) -> None:
        """Create nothing."""

    def check_pid_dir(self, change: Any = None) -> None:
        """Create nothing."""

    def check_startup_dir(self, change: Any = None) -> None:
        """Create nothing."""


class CellCompiler(XCachingCompiler):
    """IPython's compiler, which keeps the source of a cell as it is, for tracebacks and snapshots.

    It would split it at every character that ends a line anywhere, also within a text of the code.
    """

    def cache(self, transformed_code: str, number: int = 0, raw_code: "str | None" = None) -> str:
        """Keep the source of code that is about to be compiled, and return the name of its file."""
        name = super().cache(transformed_code, number, raw_code)
        keep_source(name, transformed_code)
        return name


class IPythonNames:
    """The names that IPython sets while cells run, and what it keeps of their results: a `snapshot.shell_names.Shell`.

    IPython sets `_`, `_3` and the like after a displayed result, `_i`, `_i3` for code that it keeps in its history.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._hook, self._history = shell.displayhook, shell.history_manager
        self._results: dict[int, Any] = self._history.output_hist

    def held_under(self, name: str) -> Any:
        """Return what IPython itself holds under a name. It compares with that before it replaces `_`, too."""
        if name in ("_", "__", "___"):
            return getattr(self._hook, name)
        if name in ("_i", "_ii", "_iii"):
            return getattr(self._history, name)
        if name == "_exit_code":
            return self._shell.exit_code
        number = name.removeprefix("_i").removeprefix("_")
        if not number.isdecimal():
            return _NOTHING
        return self._shell.user_ns.get(name) if name.startswith("_i") else self._results.get(int(number), _NOTHING)

    def shown(self) -> list[Any]:
        """Return the values that IPython keeps of what it has shown, each as often as it keeps it.

        The last three are attributes of the display hook; `push`, which puts them into the namespace, keeps hidden
        names.
        """
        last = [getattr(self._hook, name, None) for name in ("_", "__", "___")]
        return [*last, *self._shell.user_ns_hidden.values(), *self._results.values()]


_NOTHING = object()


def _take(socket: Any, listener: int) -> None:
    """Bind `socket` to a descriptor that listens already. The name in the address is used nowhere else."""
    socket.setsockopt(zmq.USE_FD, listener)
    socket.bind("ipc://listening")
