"""Say why a notification was not sent, in words without secrets."""

from typing import Literal


class SendingFailed(Exception):
    """An attempt to send a notification failed. `str()` is a sentence without a subject and without secrets."""

    def __init__(self, problem: str, then: Literal["again", "never", "elsewhere"] = "again") -> None:
        """`then`: another attempt may succeed, none will, or only one of a process with other variables."""
        super().__init__(problem)
        self.then: Literal["again", "never", "elsewhere"] = then
