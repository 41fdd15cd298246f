"""The errors that sub-calls raise in the code of cells, and the stand-in for a failed call of a batch."""

from typing import Any


class SubCallError(Exception):
    """A model call failed for good."""


class BudgetExceeded(SubCallError):
    """The run's budget forbids the call. `partial` holds what a batch got before that."""

    def __init__(self, message: str, partial: "list[Any] | None" = None) -> None:
        super().__init__(message)
        self.partial = partial


class CallsRejected(SubCallError):
    """A reviewer did not let the call be made; the message has their words. `partial` holds what a batch got."""

    def __init__(self, message: str, partial: "list[Any] | None" = None) -> None:
        super().__init__(message)
        self.partial = partial


class FailedCall:
    """Stands in a batch's results for a call that failed. It is falsy; `error` says why."""

    def __init__(self, error: str) -> None:
        self.error = error

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"FailedCall({self.error!r})"
