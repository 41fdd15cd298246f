"""What a kernel publishes for clients that attach: nothing is, until one has subscribed.

What cells print is captured (`output.py`) and travels with the cell's result. Publishing it as well takes longer than
a small cell.
"""

from typing import Any

from ipykernel.iostream import IOPubThread, OutStream

from .output import captured


class Publisher(IOPubThread):
    """ipykernel's publishing thread, which knows whether anybody listens."""

    heard = False

    def _handle_subscription(self, frames: Any) -> None:
        self.heard = True
        super()._handle_subscription(frames)


class Stream(OutStream):
    """Standard output or standard error of a cell."""

    pub_thread: Any

    def write(self, string: str) -> int:
        """Capture it, and publish it where somebody listens. Raises TypeError for what is no str."""
        captured.write(_text(string))
        if self.pub_thread.heard:
            super().write(string)
        return len(string)

    def flush(self) -> None:
        """Wait for what was published, if anything is: ipykernel flushes after each message."""
        if self.pub_thread.heard:
            super().flush()


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"write() argument must be str, not {type(given)}")
    return given
