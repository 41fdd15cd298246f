"""The kernel's application: ipykernel's, without the parts that a kernel of this project does not use.

It has no debugger, no profile folder and no TCP socket, which ipykernel would open for the output of subprocesses.
Most of a kernel's start is spent here, and every page that is written to is copied from the fork server.

Nothing is published before a client has subscribed. What cells print is captured (`output.py`) and sent with the
cell's result, and publishing it as well takes longer than a small cell.
"""

from collections.abc import Sequence
from typing import Any

from ipykernel.iostream import OutStream
from traitlets.config import Config

from .ipykernel_compat import BareApp
from .kernel import RlmKernel
from .output import captured


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


class RlmApp(BareApp):
    """The application of one kernel process."""

    def __init__(self, *, listeners: "dict[str, int] | None" = None, **kwargs: Any) -> None:
        """Initialize the application; `listeners` is that of `BareApp`."""
        super().__init__(listeners=listeners, kernel_class=RlmKernel, **kwargs)
        self.outstream_class = f"{Stream.__module__}.{Stream.__qualname__}"

    def set_up(self, options: "Sequence[str]" = ()) -> None:
        """Prepare to serve, with all that cells print captured."""
        self.initialize(list(options))

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
