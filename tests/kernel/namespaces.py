"""A namespace with snapshots, as in a kernel, and fresh copies of it, for tests of saving and restoring."""

import builtins
import json
import zlib
from pathlib import Path
from typing import Any

from durable_rlm.kernel.inside.context_file import Pack
from durable_rlm.kernel.inside.snapshot.code_objects import keep_source
from durable_rlm.kernel.inside.snapshot.input_slices import Cuts
from durable_rlm.kernel.inside.snapshot.shell_names import Shell, ShellNames
from durable_rlm.kernel.inside.snapshot.snapshotter import Restored, Snapshotter, Taken
from durable_rlm.kernel.inside.variables import describe_one


class Namespace:
    """A namespace that runs cells, and keeps the data that each snapshot sends, as the store would."""

    def __init__(
        self,
        *,
        own_process: bool = False,
        given: dict[str, Any] | None = None,
        pack: Path | None = None,
        shell: Shell | None = None,
    ) -> None:
        """Create it. With a `pack`, the text of the pack is `context`. `shell`: the one that runs the cells."""
        cuts: Cuts | None = None
        if pack:
            opened = Pack(str(pack))
            cuts = Cuts(opened, lambda: [(0, opened.size)])
            given = {**(given or {}), "context": opened.read(0, opened.size).decode()}
        self.names: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
        shell_names = ShellNames(self.names, shell)
        self.names.update(given or {})
        self.snapshots = Snapshotter(
            self.names,
            hidden={"_error", *(given or {})} - ({"context"} if pack else set()),
            given=given or {},
            describe=describe_one,
            own_process=own_process,
            cuts=cuts,
            shell_names=shell_names,
        )
        self._given = given
        self._path = pack
        self._own_process = own_process
        self.groups: dict[str, dict[str, Any]] = {}
        self.chunks: dict[str, bytes] = {}
        self.restored: Restored | None = None

    def cell(self, code: str) -> Taken:
        """Run a cell and save its changes. An exception of the cell is recorded in `_error`."""
        self.snapshots.prepare([code])
        try:
            file = f"<cell {zlib.crc32(code.encode()):08x}>"
            keep_source(file, code)
            exec(compile(code, file, "exec"), self.names)
        except Exception as error:
            self.names["_error"] = repr(error)
        return self.save(code)

    def save(self, code: str) -> Taken:
        """Save the changes of a cell."""
        taken = self.snapshots.take([code])
        known = {name for group in self.groups.values() for name in group["chunks"]}
        for number in taken.gone:
            del self.groups[number]
        sent = {name: bytes(piece) for name, piece in taken.chunks.items()}
        for group in taken.groups:
            assert set(group["chunks"]) <= known | sent.keys(), "a chunk that was never sent"
            self.groups[group["id"]] = group
        self.chunks.update(sent)
        return taken

    def again(self) -> "Namespace":
        """Return a fresh namespace in which everything that was saved is restored."""
        other = Namespace(own_process=self._own_process, given=self._given, pack=self._path)
        other.restored = other.snapshots.restore(list(self.groups.values()), self.chunks.__getitem__)
        other.groups, other.chunks = dict(self.groups), dict(self.chunks)
        return other

    def as_of_another_python(self) -> None:
        """Change the recorded number of the bytecode: nothing that was saved can be loaded as it is any more."""
        for group in self.groups.values():
            form = json.loads(group["form"])
            if "magic" in form:
                group["form"] = json.dumps(form | {"magic": "00000000", "python": "3.0.0"})

    def differs(self, saved: "Namespace") -> list[str]:
        """Return the variables that differ from the last snapshot of `saved`."""
        return self.snapshots.compare(list(saved.groups.values()), saved.chunks.__getitem__)

    def see(self, expression: str) -> Any:
        """Return the value of an expression."""
        return eval(expression, self.names)
