"""The call of a command: its common flags, its words, and the run that it is about."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..state.errors import StoreError, UnknownThread

DEFAULT_HOME = ".rlm"
DATABASE = "checkpoints.sqlite"


@dataclass
class Invocation:
    """The call of a command: its common flags, its words and its run."""

    home: Path
    json: bool = False
    debug: bool = False
    words: tuple[str, ...] = ()
    """The command line as it was given, without the program's name."""
    thread: str | None = None
    """The run that the command is about, once it is known."""
    named: bool = True
    """True when the user has named the home, by a flag or a variable: that agrees to it."""
    writes: bool = False
    """True when the command writes to the home, and may."""
    said_reading_only: bool = False
    """True once it was said that the home is only read."""

    @property
    def home_needed(self) -> bool:
        """True when the next command must name the home, because it would not find it by itself."""
        return self.home.resolve() != default_home().resolve()

    @property
    def has_runs(self) -> bool:
        """True when anything has been saved in the home. The check does not create the home. Raises StoreError."""
        try:
            (self.home / DATABASE).stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(
                f"The home {self.home} cannot be read: {error.strerror}.", hint="Check the folder given with --home."
            ) from error
        return True

    def need_runs(self, thread: str) -> None:
        """Raise UnknownThread when nothing is saved in the home, so that it cannot hold the thread."""
        if not self.has_runs:
            raise UnknownThread(
                f"There is no run named {thread}: nothing is saved in {self.home}.",
                hint="Name the folder of your runs with --home or RLM_HOME.",
            )


def invocation_of(home: Path | None, *, as_json: bool, debug: bool, words: Sequence[str] = ()) -> Invocation:
    """Return the invocation with the defaults of its flags filled in."""
    named = bool(home or os.environ.get("RLM_HOME"))
    return Invocation(home.expanduser() if home else default_home(), as_json, debug, tuple(words), named=named)


def default_home() -> Path:
    """Return the home of a command that names none."""
    return Path(os.environ.get("RLM_HOME") or DEFAULT_HOME).expanduser()
