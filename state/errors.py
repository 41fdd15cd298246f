"""Every error that a person or a script can meet.

The class docstring is the kind of failure, the message is one plain sentence, the hint says what to
do next, and `exit_code` is what the command line ends with (`interface.md`, exit status).
A command in either stands in backquotes (`cli_command`): the command line prints it as it works where the user is.
What the *model's code* did wrong is never one of these: that is data, and goes back to the model.
"""

import shlex
from typing import ClassVar


def cli_command(*words: str) -> str:
    """Name a command of the `rlm` program in a message: in backquotes, and quoted for a shell."""
    return f"`{shlex.join(('rlm', *words))}`"


class RlmError(RuntimeError):
    """Something went wrong that a person can act on."""

    # A RuntimeError, because LangGraph's server tells its clients the messages of built-in kinds of errors alone.

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def type(self) -> str:
        """The error's name in `--json` output: its class name."""
        return self.__class__.__name__

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(RlmError):
    """A flag, a setting or a combination of them makes no sense."""

    exit_code = 2


class InputError(RlmError):
    """The input cannot be used: missing, unreadable, binary, empty or too large."""

    exit_code = 2


class ModelSetupError(RlmError):
    """The model cannot be reached as named: no such provider, no key, a missing package."""

    exit_code = 2


class UnknownThread(RlmError):
    """No run of that name is stored here."""

    exit_code = 2


class ThreadExists(RlmError):
    """The thread name is taken by a run with another question or input."""

    exit_code = 2


class RunBusy(RlmError):
    """Another process is running this thread."""

    exit_code = 5


class LeaseLost(RlmError):
    """This process no longer holds the thread: another one took it over."""

    exit_code = 5


class StoreError(RlmError):
    """The store cannot be read or written: locked, full, read-only or damaged."""


class StoredDataDamaged(StoreError):
    """A stored record does not have the hash that it was saved with."""


class ModelFailed(RlmError):
    """The root model's request failed for good. What was saved can be resumed."""


class ReplayDiverged(RlmError):
    """`--strict`: a cell that was run again did not ask for what it had asked for before."""


class KernelLost(RlmError):
    """The kernel died inside a cell. The run is saved and can be resumed."""


class KernelStartFailed(RlmError):
    """No kernel could be started."""


class NoSandbox(RlmError):
    """Nothing on this machine keeps the model's code in."""

    exit_code = 2
