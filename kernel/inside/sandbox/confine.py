"""The confinement that a kernel applies to itself right after its fork, by tier."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..protocol import DEVICES, SCRATCH
from . import landlock, limits, namespaces, seccomp, syscalls

Tier = Literal["bubblewrap", "namespaces", "landlock", "none"]
"""The tiers, the strongest first. `none`: unsandboxed, by the user's choice."""

SCRATCH_FILES = 100_000
_WRITABLE_DEVICES = tuple(f"/dev/{name}" for name in DEVICES)


@dataclass(frozen=True)
class Confinement:
    """The confinement of the kernels of one fork server."""

    tier: Tier
    visible: Sequence[str]
    """Files and folders that kernels may read, where they have no view of their own."""
    inputs: Sequence[str]
    uid: "int | None"
    """The user that kernels become when the fork server is real root."""
    scratch_bytes: int
    given_bytes: int = 0
    """The size to which files that it was given may grow, where it can make none itself."""
    binds: bool = False
    """True when the programs that it starts may give Unix sockets an address, which nobody can connect to."""

    @property
    def own_view(self) -> bool:
        """True when kernels have their own processes and files, including a scratch folder."""
        return self.tier in ("bubblewrap", "namespaces")

    def apply(self, scratch: "str | None") -> None:
        """Confine this process, which must have no threads yet. Raises OSError: then the process must run no code.

        `scratch`: the folder to work in, or None.
        """
        if self.tier == "none":
            os.chdir(scratch or "/")
            syscalls.die_with_parent()
            limits.limit(file_bytes=self.scratch_bytes, own_users=False)
            return
        if self.own_view:
            namespaces.enter_own(
                namespaces.View(self.visible, self.inputs), self.uid, self.scratch_bytes, SCRATCH_FILES
            )
            os.chdir(SCRATCH)
            limits.limit(file_bytes=self.scratch_bytes, own_users=True)
        else:
            if self.uid is not None:
                syscalls.become(self.uid)
            syscalls.die_with_parent()
            os.chdir("/")
            limits.limit(file_bytes=self.given_bytes, own_users=False)
        syscalls.drop_capabilities()
        self._restrict_files()
        seccomp.restrict(own_processes=self.own_view, binds=self.binds and self.own_view)

    def _restrict_files(self) -> None:
        if self.own_view:
            # A second barrier where the kernel supports it: the view already shows little.
            if landlock.version():
                written = (SCRATCH, "/tmp", "/dev/shm", *_WRITABLE_DEVICES)
                landlock.restrict(read=("/",), write=written)
            return
        landlock.restrict(read=self.visible, write=_WRITABLE_DEVICES)
