"""The REPL's names in a namespace, which are the same for every kind of kernel."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from .call_request import Requests
from .child_context import Handing, Places, Range
from .citations import Citations
from .context import Documents
from .context_file import Pack
from .context_text import open_text
from .cuts import latest
from .cuts_in_prompts import CutsInPrompts
from .display_forms import Form, display_forms
from .final import Finish
from .map_query import MapQuery
from .packing import Packing
from .queries import Queries
from .registry import Registry
from .snapshot.files import Files
from .snapshot.input_slices import Cuts
from .snapshot.patches import Held
from .snapshot.shell_names import Shell, ShellNames
from .snapshot.snapshotter import Snapshotter
from .source_code import functions_over
from .variables import describe, describe_one, table


class KernelRepl:
    """The names of one kernel, and the work on them before and after each cell."""

    def __init__(
        self,
        namespace: MutableMapping[str, Any],
        posted: Callable[[], None],
        setup: dict[str, Any],
        *,
        own_process: bool,
        held: "Held | None" = None,
        scratch: str = "",
        shell: "Shell | None" = None,
    ) -> None:
        """Put the names into `namespace`. `setup` is what `session.KernelSpec.setup` returns.

        `own_process`: True when this process, with its random generators and modules, is the REPL's alone. `held` has
        attributes of modules that are in place only while a cell runs. `scratch` is the folder whose files belong to
        the REPL; empty: there is none. `shell` runs the cells; None: they run without one.
        """
        self._namespace = namespace
        self.registry = Registry(posted)
        self._history: list[dict[str, str]] = []
        context = _context(setup)
        citations = Citations(namespace, context)
        # Code often binds these names to its own values, so they are kept as the shell's are: until it does.
        self._kept = {**functions_over(context), **Packing(setup["prompt_tokens"]).names(), **citations.names()}
        namespace.update(self._kept)
        self._shell_names = ShellNames(namespace, shell)
        self._finish = Finish(namespace, lambda name: name in self._own or name == "context", citations)
        pack, ranges = _input(setup, context)
        self._cuts = CutsInPrompts(pack.path if pack else "")
        self._cuts_before = 0
        self._described: dict[str, Mapping[str, Any]] = {}
        self._requests = Requests(
            namespace,
            sub_calls=setup["sub_calls"],
            models=setup["models"],
            handing=Handing(context, Places(pack, ranges) if pack else None) if setup["sub_rlms"] else None,
            cuts=self._cuts,
        )
        queries = Queries(self.registry, self._requests)
        mapping = MapQuery(queries, setup["prompt_tokens"], citations.cite)
        own: dict[str, Any] = {"map_query": mapping.map_query, "SHOW_VARS": self.show_vars}
        self._functions = {**queries.names(), **own, **self._finish.names(), "exit": _no_exit, "quit": _no_exit}
        # Names that were there before the user's code, and the names above, are not variables of the user.
        self._own = {*namespace, *self._functions, "history", "answer"} - self._kept.keys()
        namespace["context"] = self._context = context
        self._install()
        self._finish.begin()
        # Objects that a kernel and the one in which it is restored both have by themselves: saved by name.
        given = {**self._kept, **self._functions, "history": self._history, "context": context}
        self._snapshots = Snapshotter(
            namespace,
            hidden={*self._functions, "history"},
            given=given,
            describe=lambda name, value: None if self._is_hidden(name) else describe_one(name, value),
            own_process=own_process,
            held=held,
            files=Files(scratch) if scratch else None,
            cuts=Cuts(pack, ranges) if pack else None,
            shell_names=self._shell_names,
        )

    def begin(self, history: list[dict[str, str]], code: Sequence[str]) -> None:
        """Begin a cell: append entries to `history`, and put back names that code overwrote."""
        self._snapshots.prepare(code)
        self._cuts_before = latest()
        self._cuts.begin()
        self._history.extend(history)
        self._install()
        self._finish.begin()
        self.registry.open()

    def begin_block(self, number: int, dropped: int = 0) -> None:
        """Note that a block of the cell begins, the first of which has the number 1.

        `dropped`: the lines at its beginning that its compiled code does not have.
        """
        self._requests.block = number, dropped

    def seen(self, output: str) -> list[tuple[str, int, int]]:
        """Return the parts of documents, in characters, that may be in the output of the cell that ran last."""
        try:
            return self._cuts.seen(output, self._cuts_before)
        except (Exception, KeyboardInterrupt):
            # The host waits for the cell's end, and finds long passages without it.
            return []

    def end(self, *, succeeded: bool) -> dict[str, Any]:
        """End a cell. Return `{"final": {"value"} or None, "voided", "variables": […]}`."""
        self.registry.close()
        final = self._finish.collect(succeeded=succeeded)
        return {"final": final, "voided": self._finish.voided, "variables": self.variables()}

    def snapshot(self, code: Sequence[str]) -> tuple[dict[str, Any], list[bytes]]:
        """Return the cell's changes to variables, `{"groups", "gone"}` or `{"error"}`, and the chunks to send."""
        try:
            taken = self._snapshots.take(code)
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}, []
        except KeyboardInterrupt:
            return {"error": "saving the variables took too long and was interrupted"}, []
        return {"groups": taken.groups, "gone": taken.gone}, [bytes(chunk) for chunk in taken.chunks.values()]

    def displays(self, saved: Mapping[str, Any], described: Sequence[Mapping[str, Any]]) -> "dict[str, Form | None]":
        """Return display forms of the variables that the cell has changed; of the input there is none.

        `saved` is the result of `snapshot`; where none could be taken, variables have changed whose description has.
        """
        previews = {one["name"]: one["preview"] for one in described}
        if "groups" in saved:
            changed = {name for group in saved["groups"] for name in group["names"]} & previews.keys()
        else:
            changed = {one["name"] for one in described if one != self._described.get(one["name"])}
        self._described = {one["name"]: one for one in described}
        try:
            values = {name: self._namespace[name] for name in changed}
            return display_forms({name: one for name, one in values.items() if one is not self._context}, previews)
        except (Exception, KeyboardInterrupt):
            # The host waits for the cell's end, and there is the preview.
            return {}

    def restore(self, groups: list[dict[str, Any]], chunks: Mapping[str, Any]) -> dict[str, Any]:
        """Load saved variables. Return `{"names", "lost", "notes"}`. `chunks` are their bytes by hash."""
        restored = self._snapshots.restore(groups, lambda name: bytes(chunks[name]))
        return {"names": restored.names, "lost": restored.lost, "notes": restored.notes}

    def compare(self, groups: list[dict[str, Any]], chunks: Mapping[str, Any]) -> dict[str, Any]:
        """Compare the variables with saved ones. Return `{"other"}`, the names of those that differ."""
        return {"other": self._snapshots.compare(groups, lambda name: bytes(chunks[name]))}

    def variables(self) -> list[dict[str, Any]]:
        """Return descriptions of the user's variables."""
        return describe(self._namespace, filter(self._is_hidden, (*self._own, *self._kept)))

    def _is_hidden(self, name: str) -> bool:
        """Return whether a variable is not shown: it is of the REPL, and code has not bound another object to it."""
        if name in self._functions or name in ("history", "answer"):
            return True
        return (name in self._own or name in self._kept) and self._shell_names.are_own(name, self._namespace.get(name))

    def show_vars(self) -> str:
        """The variables there are, one a line: name, type, size and a preview."""
        return table(self.variables())

    def _install(self) -> None:
        self._namespace.update(self._functions)
        self._namespace["history"] = self._history
        for name, function in self._kept.items():
            self._namespace.setdefault(name, function)


def _context(setup: dict[str, Any]) -> Any:
    pack, index = setup["pack"], setup["index"]
    if not pack:
        return ""
    if index and not setup["text"]:
        return Documents(pack, index)
    start, end = setup["start"], Pack.open(pack).size if setup["end"] is None else setup["end"]
    return open_text(pack, index or "", start, end)


def _input(setup: dict[str, Any], context: Any) -> tuple[Pack | None, Callable[[], list[Range]]]:
    """Return the pack in which texts cut from the input are searched for, and a function that returns its ranges."""
    if not setup["pack"]:
        return None, list
    pack = Pack.open(setup["pack"])
    end = pack.size if setup["end"] is None else setup["end"]
    return pack, context.ranges if isinstance(context, Documents) else lambda: [(setup["start"], end)]


def _no_exit(*_: Any) -> None:
    raise RuntimeError("exit() does nothing here; end the run with FINAL(answer)")
