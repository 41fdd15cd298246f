"""Incremental snapshots of one namespace: saving what the last cell changed, and restoring it."""

import asyncio
import builtins
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence, Set
from itertools import chain
from operator import is_
from typing import Any

from .changes import MOST_VARIABLES, Describe, Restored, Taken, TooManyVariables
from .chunks import LongTexts, Pieces
from .code_names import ANY, names_in
from .code_objects import SOURCE, Sources
from .compare import Comparison
from .files import FileChanges, Files, is_file
from .groups import PickledGroup, Restoring, Saved, differences, is_common, make, said
from .handed_code import CALLBACKS, HandedCode
from .input_slices import Cuts
from .object_graph import ATOMS, MAIN, Reached, is_a, reach
from .partition import circles, sharing
from .patches import Held
from .pickler import Surroundings, reducer
from .placeholder import Lost
from .process_state import DRAWS, Ambient, begin_alike, imported_alike
from .shell_names import ShellNames
from .unpickler import Target, working_on
from .zmq_compat import is_of_zmq


class Snapshotter:
    """The snapshots of one namespace. Not thread-safe; called between cells."""

    def __init__(
        self,
        namespace: MutableMapping[str, Any],
        *,
        hidden: Iterable[str],
        given: Mapping[str, Any],
        describe: Describe,
        own_process: bool,
        cuts: "Cuts | None" = None,
        shell_names: "ShellNames | None" = None,
        held: "Held | None" = None,
        files: "Files | None" = None,
    ) -> None:
        """Initialize the snapshots of `namespace`.

        `hidden` names are not variables; nor are `shell_names` while they hold the shell's own objects. `given`
        are objects that every kernel of the run has by itself. `cuts` finds strings that were cut from the run's input,
        if it has one. `own_process`: True when random generators and modules belong to this namespace too. `held` has
        attributes of modules that are in place only while a cell runs. `files` are those of the scratch folder, if
        there is one.
        """
        given = {**given, "__builtins__": vars(sys.modules["builtins"])}
        self._namespace = namespace
        self._hidden = frozenset(hidden)
        self._shell_names = shell_names or ShellNames({})
        self._describe = describe
        self._given = {id(value): name for name, value in given.items() if not is_common(value)}
        self._target = Target(namespace, given, self._need, source=self._source)
        self._ambient = Ambient(held) if own_process else None
        self._threads = frozenset(threading.enumerate())
        self._saved: dict[str, Saved] = {}
        self._group_of: dict[str, str] = {}
        self._bound: dict[str, Any] = {}
        """The object that each name was bound to when it was saved."""
        self._elements: dict[str, list[Any]] = {}
        """The elements that each list of long texts had when it was saved."""
        self._apart: set[str] = set()
        """Groups whose long texts are saved apart."""
        self._long = LongTexts()
        self._cuts = cuts
        self._sources = Sources()
        self._files = files
        self._again: set[str] = set()
        """Variables touched by a cell whose snapshot could not be taken."""
        self._waiting: dict[str, Callable[[], None]] = {}
        """The function that loads each variable that is not restored yet."""
        self._handed = HandedCode(namespace, self._ambient, self._shell_names.shown)
        if own_process:
            begin_alike()

    def prepare(self, blocks: Sequence[str]) -> None:
        """Prepare for a cell: seed generators so that a replay of it draws the same numbers."""
        self._handed.begin()
        if self._ambient is not None:
            imported_alike(names_in(blocks))

    # -- saving

    def take(self, blocks: Sequence[str]) -> Taken:
        """Save and return the changes by a cell of this code.

        After an error nothing counts as saved, and the next call tries again.
        """
        values = self._values(blocks)
        if len(values) > MOST_VARIABLES:
            raise TooManyVariables(len(values))
        touched = self._touched(blocks, values)
        self._again |= touched
        pieces: Pieces = {}
        files = self._files.look(pieces) if self._files is not None else FileChanges()
        with working_on(self._target):
            taken = self._take(values, touched & values.keys())
        self._again.clear()
        if self._files is not None:
            self._files.keep(files)
        return Taken(taken.groups + files.groups, taken.gone + files.gone, {**taken.chunks, **pieces})

    def _values(self, blocks: Sequence[str]) -> dict[str, Any]:
        """Return everything that is to be saved, by name."""
        values = {name: value for name, value in self._namespace.items() if self._is_variable(name, value)}
        if self._ambient is not None:
            self._ambient.notice(blocks, self._namespace)
            values.update(self._ambient.values())
        values.update(self._sources.of_files(file for saved in self._saved.values() for file in saved.files))
        return values

    def _is_variable(self, name: object, value: Any) -> bool:
        return isinstance(name, str) and name not in self._hidden and not self._shell_names.are_own(name, value)

    def _touched(self, blocks: Sequence[str], values: Mapping[str, Any]) -> set[str]:
        names = names_in(blocks)
        rebound = {name for name, value in values.items() if self._is_rebound(name, value)}
        gone = self._group_of.keys() - values.keys()
        # A thread or timer that has ended since the last snapshot was held outside then.
        if ANY in names or self._handed.any or self._others_run(values):
            return {*values, *gone}
        # A patched attribute is touched when the code contains its name.
        patches = {name for name in self._group_of if "." in name and name.rpartition(".")[2] in names}
        moved = rebound | gone
        for saved in self._saved.values():
            if saved.needs & moved:
                moved |= saved.names
        touched = self._closed({*names, *patches, *moved, *self._again})
        return {*values, *gone} if ANY in touched else touched & (values.keys() | gone)

    def _is_rebound(self, name: str, value: Any) -> bool:
        if name not in self._bound:
            return True
        before = self._bound[name]
        # The state of a random generator is a new tuple at each request.
        return before is not value and (not name.endswith("()") or before != value)

    def _others_run(self, values: Mapping[str, Any]) -> bool:
        """Return whether something that a cell left running may touch variables at any time."""
        if any(thread not in self._threads and not is_of_zmq(thread) for thread in threading.enumerate()):
            return True
        return any(is_a(value, asyncio.Future) and not value.done() for value in values.values())

    def _closed(self, names: Set[str]) -> set[str]:
        """Return `names` and all variables that code which touches them may touch."""
        closed = set(names)
        todo = list(names)
        while todo:
            saved = self._saved.get(self._group_of.get(todo.pop(), ""))
            if saved is not None:
                more = (saved.names | saved.touches) - closed
                closed |= more
                todo += more
        return closed

    def _ours(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the references to values that are held here, and by IPython, each as often as it is held."""
        return [*values.values(), *self._bound.values(), *chain(*self._elements.values()), *self._shell_names.shown()]

    def _named_by(self, names: Set[str]) -> list[str]:
        """Return the variables that refer to some of these by name."""
        return [name for one in self._saved.values() if one.touches & names for name in one.names]

    def _take(self, values: "dict[str, Any]", touched: Set[str]) -> Taken:
        if self._cuts is not None:
            self._cuts.begin()
        work = {name for name in touched if not self._is_unchanged(name, values[name])}
        # A group of which a name is gone or is saved anew is made anew from its remaining names.
        gone = self._group_of.keys() - values.keys()
        broken = {self._group_of[name] for name in work | gone if name in self._group_of}
        work |= {name for number in broken for name in self._saved[number].names if name in values}
        reached = {name: self._reach(values[name]) for name in sorted(work)}
        # An unchanged list may be held by another variable now.
        for name in sorted(self._elements.keys() & (touched - work)):
            if any(id(values[name]) in one.objects for one in reached.values()):
                reached[name] = self._reach(values[name])
        # What a variable was bound to before is not held by it any more.
        for name in [name for name in self._bound if name not in values or self._is_rebound(name, values[name])]:
            del self._bound[name]
        self._handed.find(values, reached, self._reach, self._named_by, lambda: self._ours(values), gone)
        parts = sharing({name: one.objects for name, one in reached.items()})
        made = [self._made(names, values, reached) for names in parts]
        made = self._without_circles(made, values, reached)
        files = {file for one in made for file in one.files if SOURCE + file not in self._group_of}
        for name, text in self._sources.find(files).items():
            values[name], reached[name] = text, self._reach(text)
            made.append(self._made([name], values, reached))
        return self._keep(made, values, reached)

    def _reach(self, value: Any) -> Reached:
        return reach(value, self._namespace, self._given)

    def _is_unchanged(self, name: str, value: Any) -> bool:
        """Return whether a touched variable is certainly unchanged: the same object, which cannot change."""
        if name not in self._group_of or self._bound.get(name) is not value:
            return False
        if type(value) in ATOMS:
            return True
        elements = self._elements.get(name)
        return elements is not None and len(elements) == len(value) and all(map(is_, elements, value))

    def _made(self, names: Sequence[str], values: Mapping[str, Any], reached: Mapping[str, Reached]) -> PickledGroup:
        if CALLBACKS in names:
            return PickledGroup(frozenset(names), frozenset(), None, b"", {CALLBACKS: values[CALLBACKS]}, apart=False)
        return make(
            {name: values[name] for name in sorted(names)},
            {name: reached[name] for name in names},
            self._namespace,
            self._given,
            self._cuts,
            apart=min(names) in self._apart,
        )

    def _without_circles(
        self, made: list[PickledGroup], values: Mapping[str, Any], reached: dict[str, Reached]
    ) -> list[PickledGroup]:
        """Join groups that need each other by name, which could not be loaded one after the other."""
        while True:
            needs = {one.names: one.needs for one in made if one.needs}
            redone = {name for one in made for name in one.names}
            for one in self._saved.values():
                if one.needs and one.names <= values.keys() - redone:
                    needs[one.names] = one.needs
            holder = {name: names for names in needs for name in names}
            edges = {names: [holder[name] for name in needed if name in holder] for names, needed in needs.items()}
            found = circles(edges)
            if not found:
                return made
            for circle in found:
                names = sorted(frozenset[str]().union(*circle))
                for name in names:
                    if name not in reached:
                        reached[name] = self._reach(values[name])
                made = [one for one in made if not one.names & set(names)]
                made.append(self._made(names, values, reached))

    def _keep(self, made: Iterable[PickledGroup], values: Mapping[str, Any], names: Iterable[str]) -> Taken:
        """Count the pickled groups as saved, and return the changes."""
        before = dict(self._saved)
        known = _chunks(before.values())
        fresh: Pieces = {}
        saved = [
            one.saved(self._long, known, fresh, [self._about(name, values) for name in sorted(one.names)])
            for one in made
        ]
        # Nothing fails from here on.
        for name in (*(self._group_of.keys() - values.keys()), *names):
            self._forget(name)
        for one in saved:
            self._enter(one)
        for one in made:
            [name, *others] = one.names
            (self._apart.add if one.apart else self._apart.discard)(min(one.names))
            if not others and one.is_list_of_long(values[name]):
                self._elements[name] = list(values[name])
        self._bound.update({name: values[name] for name in names})
        self._long.forget(_chunks(self._saved.values()))
        changed = [one for one in saved if (old := before.get(one.group["id"])) is None or old.group != one.group]
        needed = _chunks(changed) - known
        return Taken(
            groups=[one.group for one in changed],
            gone=sorted(before.keys() - self._saved.keys()),
            chunks={name: piece for name, piece in fresh.items() if name in needed},
        )

    def _about(self, name: str, values: Mapping[str, Any]) -> "dict[str, Any] | None":
        return None if "." in name else self._describe(name, values[name])

    def _enter(self, saved: Saved) -> None:
        self._saved[saved.group["id"]] = saved
        self._group_of.update({name: saved.group["id"] for name in saved.names})

    def _forget(self, name: str) -> None:
        self._saved.pop(self._group_of.pop(name, ""), None)
        self._bound.pop(name, None)
        self._elements.pop(name, None)

    # -- restoring

    def restore(self, groups: Sequence[dict[str, Any]], piece: "Callable[[str], bytes]") -> Restored:
        """Load saved groups into this fresh namespace. `piece` returns a chunk by its hash, or raises KeyError.

        A variable that cannot be restored is replaced by a placeholder that raises when it is used.
        """
        lost: dict[str, str] = {}
        if self._files is not None:
            # Before the variables: modules may be among them.
            lost.update(self._files.restore([group for group in groups if is_file(group)], piece))
        groups = [group for group in groups if not is_file(group)]
        pieces = Restoring(piece, self._cuts)
        for group in groups:
            saved = Saved.read(group)
            self._enter(saved)
            lost.update(group["lost"])
            for name in saved.names:
                self._waiting[name] = lambda saved=saved: self._load(saved, pieces, lost)
        self._handed.begin()
        with working_on(self._target):
            # The environment and the folders first: modules are found by them.
            order = self._ambient.order if self._ambient is not None else {}
            for name in sorted(self._waiting, key=lambda name: order.get(name, len(order))):
                self._need(name)
            everything = {name: self._reach(value) for name, value in self._bound.items()}
            self._handed.look(everything, lambda _: {}, lambda: everything, lambda: self._ours({}))
        self._target.order.put_in_order()
        shown = [about["name"] for group in groups for about in group["about"]]
        return Restored([name for name in shown if name not in lost], lost, differences(self._saved.values()))

    def compare(self, groups: Sequence[dict[str, Any]], piece: "Callable[[str], bytes]") -> list[str]:
        """Return the names of saved variables that differ here, or that cannot be loaded for the comparison."""
        files = [group for group in groups if is_file(group)]
        groups = [group for group in groups if not is_file(group)]
        names: dict[str, Any] = {"__name__": MAIN, "__builtins__": builtins}
        saved = Snapshotter(
            names,
            hidden=self._hidden,
            given=self._target.given,
            describe=self._describe,
            own_process=False,
            cuts=self._cuts,
            shell_names=ShellNames(names),
        )
        lost = saved.restore(groups, piece).lost
        comparison = Comparison(self._reducer(), saved._reducer())
        every = [name for group in groups for name in group["names"] if "." not in name]
        other = [n for n in every if n in lost or not comparison.holds(self._namespace.get(n), names[n])]
        if self._ambient is not None:
            mine, theirs = self._ambient.values(), saved._bound
            parts = [n for n in theirs if "." in n and n not in lost and not n.startswith((*DRAWS, SOURCE))]
            other += [n for n in parts if not comparison.holds(mine.get(n), theirs[n])]
        return other + (self._files.differing(files) if self._files is not None else [])

    def _reducer(self) -> Callable[[Any], Any]:
        everything = {name for name, value in self._namespace.items() if self._is_variable(name, value)}
        return reducer(Surroundings(self._namespace, self._given, everything, {}), self._target)

    def _need(self, name: str) -> None:
        if load := self._waiting.pop(name, None):
            load()

    def _source(self, file: str) -> "str | None":
        """Return the source of a file of code, loaded first if necessary."""
        self._need(SOURCE + file)
        return self._sources.of_files([file]).get(SOURCE + file)

    def _load(self, saved: Saved, pieces: Restoring, lost: dict[str, str]) -> None:
        for name in saved.names:
            self._waiting.pop(name, None)
        # Loading this group may load others first.
        target = self._target
        outer = target.losses, target.without_code, target.python
        target.losses, target.without_code, target.python = [], [], saved.other_python
        values: dict[str, Any] = {}
        try:
            values = saved.loaded(pieces)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            lost.update((name, said(error)) for name in saved.names)
        losses = [*target.losses, *((f"function {one.__qualname__}", why) for one, why in target.without_code)]
        for what, why in losses:
            lost.update((name, f"{what}: {why}") for name in saved.names)
        target.losses, target.without_code, target.python = outer
        for name in saved.names:
            self._put(name, values, lost)

    def _put(self, name: str, values: Mapping[str, Any], lost: dict[str, str]) -> None:
        value: Any = values[name] if name in values else Lost("variable", lost.get(name, "it was not saved"))
        self._bound[name] = value
        if name.startswith(SOURCE):
            if name in values:
                self._sources.put_back(name, value)
        elif "." not in name:
            self._namespace[name] = value
        elif self._ambient is not None and name in values and not is_a(value, Lost):
            try:
                self._ambient.put_back(name, value)
            except Exception as error:
                lost[name] = said(error)


def _chunks(groups: Iterable[Saved]) -> set[str]:
    return {name for one in groups for name in one.group["chunks"]}
