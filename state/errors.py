"""The errors that a user or a script can meet.

The class docstring is the kind of failure, the message is one plain sentence, the hint says what to
do next, and `exit_code` is the exit status of the command line (`docs/command-line.md`, "Exit status").
A command in either stands in backquotes (`cli_command`): the command line prints it as it works where the user is.
Errors of the *model's code* are never among these: they are data, and go back to the model.
"""

import shlex
from typing import ClassVar


def cli_command(*words: str) -> str:
    """Return a command of the `rlm` program for a message: in backquotes, and quoted for a shell."""
    return f"`{shlex.join(('rlm', *words))}`"


class RlmError(RuntimeError):
    """A failure that a user can act on."""

    # A RuntimeError, because LangGraph's server sends its clients only the messages of built-in kinds of errors.

    exit_code: ClassVar[int] = 1
    """The exit status of the command line for an error before there is a run."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        """The failure as one plain sentence."""
        self.hint = hint
        """The next thing to do, often a command in backquotes; empty when there is nothing to do."""

    @property
    def type(self) -> str:
        """The error's name in `--json` output: its class name."""
        return self.__class__.__name__

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(RlmError):
    """A flag, an argument, a setting or a combination of them is invalid, or does not fit the run."""

    exit_code = 2


class NotAgreed(UsageError):
    """A folder brings a home or settings that would be obeyed, and the user has not agreed to them."""


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
    """Another process is running this thread. `Runner.run` and the like return the status `busy` instead."""

    exit_code = 5


class LeaseLost(RlmError):
    """This process no longer holds the thread: another one took it over."""

    exit_code = 5


class TimeSpent(RlmError):
    """`--max-time` is over, so that work under way was ended. What was saved can be resumed with more."""

    exit_code = 4

    @property
    def type(self) -> str:
        """The name under which every spent budget is reported."""
        return "BudgetSpent"


class HomeFull(RlmError):
    """The home has the size that `--max-home-size` allows. A run that meets it is saved, with the status `budget`."""

    exit_code = 2


class StoreError(RlmError):
    """The store cannot be read or written: locked, full, read-only or damaged."""


class StoredDataDamaged(StoreError):
    """A stored record does not have the hash that it was saved with."""


class ModelFailed(RlmError):
    """The root model's request failed permanently. What was saved can be resumed."""


class ReplayDiverged(RlmError):
    """`--strict`: a replayed cell made requests other than those recorded."""


class KernelLost(RlmError):
    """The kernel died inside a cell, or in several in a row. The run is saved and can be resumed."""


class KernelStartFailed(RlmError):
    """No kernel could be started."""


class NoSandbox(RlmError):
    """No sandbox is available on this machine to confine the model's code."""

    exit_code = 2


MISSING = "is missing"
"""Said of saved bytes that are not there."""


CHANGED = "has changed on disk"
"""Said of saved bytes that are not what was saved."""
