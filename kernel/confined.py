"""Confined programs: parts of this package that run in processes of their own, confined like kernels.

The interface that nodes see; `host/confined_programs.py` implements it on the fork server of kernels.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias


@dataclass(frozen=True)
class ProgramSpec:
    """A program, and what it needs."""

    function: str
    """The function to call with the process's socket, as `package.module:function`."""
    preload: Sequence[str] = ()
    """Modules to import before there is a process."""
    packages: Sequence[str] = ()
    """The distributions that it imports beside the `documents` extra."""
    visible: Sequence[str] = ()
    """Further files and folders that it sees."""
    group: str = ""
    """The entry point group whose providers it imports, too."""
    given_bytes: int = 0
    """The size to which a file that it is given may grow."""
    binds: bool = False
    """True when a program that it starts gives Unix sockets an address, to which nobody can connect."""
    hidden: Sequence[Path] = field(default=())
    """Folders that it must not see, wherever they are."""


class ProgramFailed(Exception):
    """A process could not be made or confined."""


class Program(Protocol):
    """One running process."""

    @property
    def socket(self) -> socket.socket:
        """The other end of its socket, which keeps the borders of messages on Linux."""
        ...

    def kill(self) -> None:
        """Kill the process and all that it has started."""
        ...

    def close(self) -> int | None:
        """Kill it if it has not ended, close the socket, and return its exit status: the negative number of a signal.

        None: it is not known.
        """
        ...


class Programs(Protocol):
    """A source of processes that run one program. Used and closed in the thread that made it, which outlives it."""

    @property
    def starts_programs(self) -> bool:
        """True when the processes may start other programs."""
        ...

    @property
    def shields_files(self) -> bool:
        """True when a process cannot open for writing what it was given for reading, or was allowed to."""
        ...

    def start(self) -> Program:
        """Start a process. Raises ProgramFailed."""
        ...

    def close(self) -> None:
        """End every process."""
        ...


OpenPrograms: TypeAlias = Callable[[ProgramSpec, bool], Programs]
"""Opens a source of processes of a program; the second argument is False when the user has allowed unconfined ones.

Raises NoSandbox, KernelStartFailed."""
