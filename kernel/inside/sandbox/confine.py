"""A kernel that has just been forked confines itself, as its tier can."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from . import landlock, limits, namespaces, seccomp, syscalls

Tier = Literal["bubblewrap", "namespaces", "landlock", "none"]
"""The strongest first. `none`: unsandboxed, as the user has said."""

SCRATCH_FILES = 100_000
_WRITABLE_DEVICES = tuple(f"/dev/{name}" for name in namespaces.DEVICES)


@dataclass(frozen=True)
class Confinement:
    """How the kernels of one fork server are confined."""

    tier: Tier
    visible: Sequence[str]
    """Files and folders that they may read, where they have no view of their own."""
    inputs: Sequence[str]
    uid: "int | None"
    """Who they are to be, as real root."""
    scratch_bytes: int

    @property
    def own_view(self) -> bool:
        """Whether kernels have their own processes and files, a scratch folder among them."""
        return self.tier in ("bubblewrap", "namespaces")

    def apply(self, scratch: "str | None") -> None:
        """Confine this process, which has no threads yet. Raises OSError; then it must run nothing.

        `scratch`: the folder to work in; None: there is none.
        """
        if self.tier == "none":
            os.chdir(scratch or "/")
            syscalls.die_with_parent()
            limits.limit(file_bytes=self.scratch_bytes, processes=None)
            return
        if self.own_view:
            namespaces.enter_own(
                namespaces.View(self.visible, self.inputs), self.uid, self.scratch_bytes, SCRATCH_FILES
            )
            os.chdir(namespaces.SCRATCH)
            limits.limit(file_bytes=self.scratch_bytes)
        else:
            if self.uid is not None:
                syscalls.become(self.uid)
            syscalls.die_with_parent()
            os.chdir("/")
            # It may start no process, and threads are bounded by the memory of their stacks.
            limits.limit(file_bytes=0, processes=None)
        syscalls.drop_capabilities()
        self._restrict_files()
        seccomp.restrict(own_processes=self.own_view)

    def _restrict_files(self) -> None:
        if self.own_view:
            # A second fence where there is one: what is seen is already little.
            if landlock.version():
                written = (namespaces.SCRATCH, "/tmp", "/dev/shm", *_WRITABLE_DEVICES)
                landlock.restrict(read=("/",), write=written)
            return
        landlock.restrict(read=self.visible, write=_WRITABLE_DEVICES)
