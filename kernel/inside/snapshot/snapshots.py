"""Incremental snapshots of one namespace: what the last cell changed, and the way back."""

import asyncio
import json
import re
import threading
import types
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence, Set
from dataclasses import dataclass, field
from operator import is_
from typing import Any

from . import chunks
from .ambient import Ambient, begin_alike, imported_alike
from .grouping import circles, sharing
from .loader import Target, load, working_on
from .lost import Lost
from .names import ANY, names_in
from .pickler import Pickled, Surroundings, pickled
from .reach import ATOMS, Reached, reach

_IPYTHONS = re.compile(r"_+|_i*|_i?\d+|_[iod]h|_exit_code|__\w+__")
"""Names that IPython, or Python, sets in the namespace by itself."""
_LONG = 1 << 20
"""Bytes of long strings in a pickle from which they are saved apart."""
_WORTH_COMPARING = 256
"""Bytes an element from which a list of atoms is compared one by one before it is pickled again."""
_REASON = 300


@dataclass
class Taken:
    """What changed since the last snapshot, as `state.snapshots.Group` wants it, and the chunks not sent before."""

    groups: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    gone: list[str] = field(default_factory=list[str])
    chunks: "dict[str, bytes | memoryview]" = field(default_factory=dict[str, "bytes | memoryview"])


@dataclass
class Restored:
    """What came back as it was, and what did not, and why."""

    names: list[str] = field(default_factory=list[str])
    lost: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class _Saved:
    """A group as it was saved last."""

    group: dict[str, Any]
    names: frozenset[str]
    touches: frozenset[str]
    """Variables that its functions may touch."""
    needs: frozenset[str]
    """Variables that it refers to by name."""


class Snapshots:
    """The snapshots of one namespace. Not safe for threads; called between cells."""

    def __init__(
        self,
        namespace: MutableMapping[str, Any],
        *,
        hidden: Iterable[str],
        given: Mapping[str, Any],
        describe: "Callable[[str, Any], dict[str, Any] | None]",
        own_process: bool,
    ) -> None:
        """`hidden` names are no variables. `given` are objects that every kernel of the run has by itself.

        `describe` tells what people are shown of a variable. `own_process`: whether random generators and modules
        belong to this namespace too.
        """
        self._describe = describe
        self._namespace = namespace
        self._hidden = frozenset(hidden)
        self._given = {id(value): name for name, value in given.items() if not _is_common(value)}
        self._target = Target(namespace, given, self._need)
        self._ambient = Ambient() if own_process else None
        self._threads = threading.active_count()
        self._saved: dict[str, _Saved] = {}
        self._group_of: dict[str, str] = {}
        self._bound: dict[str, Any] = {}
        """What each name was bound to when it was saved."""
        self._elements: dict[str, list[Any]] = {}
        """The elements that a list of long texts had."""
        self._apart: set[str] = set()
        """Groups whose long strings are saved apart."""
        self._again: set[str] = set()
        """Touched by a cell whose snapshot could not be taken."""
        self._waiting: dict[str, Callable[[], None]] = {}
        if own_process:
            begin_alike()

    def prepare(self, blocks: Sequence[str]) -> None:
        """Before a cell: whatever it draws at random, it would draw again."""
        if self._ambient is not None:
            imported_alike(names_in(blocks))

    # -- saving

    def take(self, blocks: Sequence[str]) -> Taken:
        """What changed by a cell of this code. After an error nothing counts as saved, and the next one tries again."""
        values = self._values(blocks)
        touched = self._touched(blocks, values)
        self._again |= touched
        with working_on(self._target):
            taken = self._take(values, touched & values.keys())
        self._again.clear()
        return taken

    def _values(self, blocks: Sequence[str]) -> dict[str, Any]:
        """Everything that is to be saved, by name."""
        values = {name: value for name, value in self._namespace.items() if self._is_variable(name)}
        if self._ambient is not None:
            self._ambient.notice(blocks, self._namespace)
            values.update(self._ambient.values())
        return values

    def _is_variable(self, name: object) -> bool:
        return isinstance(name, str) and name not in self._hidden and not _IPYTHONS.fullmatch(name)

    def _touched(self, blocks: Sequence[str], values: Mapping[str, Any]) -> set[str]:
        names = names_in(blocks)
        rebound = {name for name, value in values.items() if self._is_rebound(name, value)}
        gone = self._group_of.keys() - values.keys()
        if ANY in names or self._others_run(values):
            return {*values, *gone}
        # An attribute that was patched is touched when the code says its name.
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
        # A generator's state is a new tuple each time it is asked for.
        return before is not value and (not name.endswith("()") or before != value)

    def _others_run(self, values: Mapping[str, Any]) -> bool:
        """Whether something that the last cell left running may touch variables at any time."""
        if threading.active_count() > self._threads:
            return True
        return any(isinstance(value, asyncio.Future) and not value.done() for value in values.values())

    def _closed(self, names: Set[str]) -> set[str]:
        """`names`, and all that code which touches them may touch."""
        closed = set(names)
        todo = list(names)
        while todo:
            saved = self._saved.get(self._group_of.get(todo.pop(), ""))
            if saved is not None:
                more = (saved.names | saved.touches) - closed
                closed |= more
                todo += more
        return closed

    def _take(self, values: Mapping[str, Any], touched: Set[str]) -> Taken:
        work = sorted(name for name in touched if not self._is_unchanged(name, values[name]))
        reached = {name: reach(values[name], self._namespace, self._given) for name in work}
        # Groups of which a name is gone, or is saved anew, are made anew from what is left of them.
        left = {name for number in self._broken(values, work) for name in self._saved[number].names if name in values}
        for name in left - reached.keys():
            reached[name] = reach(values[name], self._namespace, self._given)
        made = [
            self._pickled(names, values, reached)
            for names in sharing({name: one.objects for name, one in reached.items()})
        ]
        made = self._without_circles(made, values, reached)
        return self._keep_all(made, values, list(reached))

    def _broken(self, values: Mapping[str, Any], work: Iterable[str]) -> set[str]:
        gone = self._group_of.keys() - values.keys()
        return {self._group_of[name] for name in (*work, *gone) if name in self._group_of}

    def _is_unchanged(self, name: str, value: Any) -> bool:
        """Whether a touched variable certainly is what it was: the same thing, which cannot change."""
        if name not in self._group_of or self._bound.get(name) is not value:
            return False
        if type(value) in ATOMS:
            return True
        elements = self._elements.get(name)
        return elements is not None and len(elements) == len(value) and all(map(is_, elements, value))

    def _pickled(self, names: Sequence[str], values: Mapping[str, Any], reached: Mapping[str, Reached]) -> "_Made":
        objects: dict[int, Any] = {}
        touches: set[str] = set()
        for name in names:
            objects.update(reached[name].objects)
            touches |= reached[name].names
        chosen = {name: values[name] for name in sorted(names)}
        around = Surroundings(self._namespace, self._given, chosen.keys(), objects)
        number = min(names)
        one_by_one = number in self._apart or any(reached[name].by_name for name in names) or _has_long(chosen.values())
        try:
            result = pickled(chosen, around, one_by_one=one_by_one)
            body, long = chunks.without_frames(result.body)
            if long > _LONG and not one_by_one:
                self._apart.add(number)
                result = pickled(chosen, around, one_by_one=True)
                body, _ = chunks.without_frames(result.body)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())[:_REASON]
            return _Made(frozenset(names), frozenset(touches), None, b"", dict.fromkeys(names, why))
        lost = _lost_by_name(result, {name: reached[name] for name in names})
        return _Made(frozenset(names), frozenset(touches), result, body, lost)

    def _without_circles(
        self, made: "list[_Made]", values: Mapping[str, Any], reached: dict[str, Reached]
    ) -> "list[_Made]":
        """Groups that need each other by name could not be loaded one after the other: they become one."""
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
                        reached[name] = reach(values[name], self._namespace, self._given)
                made = [one for one in made if not one.names & set(names)]
                made.append(self._pickled(names, values, reached))

    def _keep_all(self, made: "list[_Made]", values: Mapping[str, Any], names: Iterable[str]) -> Taken:
        """Everything was pickled: from here on nothing fails, and it counts as saved."""
        taken = Taken()
        before = dict(self._saved)
        for name in (*(self._group_of.keys() - values.keys()), *names):
            self._forget(name)
        fresh: dict[str, bytes | memoryview] = {}
        for one in made:
            saved = one.saved(fresh, [self._describe(name, values[name]) for name in sorted(one.names)])
            self._enter(saved)
            if saved.group != (before[saved.group["id"]].group if saved.group["id"] in before else None):
                taken.groups.append(saved.group)
            if one.is_long_list(values):
                [name] = one.names
                self._elements[name] = list(values[name])
        for name in names:
            self._bound[name] = values[name]
        taken.gone = sorted(before.keys() - self._saved.keys())
        known = {name for one in before.values() for name in one.group["chunks"]}
        needed = {name for group in taken.groups for name in group["chunks"]}
        taken.chunks = {name: piece for name, piece in fresh.items() if name in needed and name not in known}
        return taken

    def _enter(self, saved: _Saved) -> None:
        self._saved[saved.group["id"]] = saved
        self._group_of.update(dict.fromkeys(saved.names, saved.group["id"]))

    def _forget(self, name: str) -> None:
        self._saved.pop(self._group_of.pop(name, ""), None)
        self._bound.pop(name, None)
        self._elements.pop(name, None)

    # -- restoring

    def restore(self, groups: Sequence[dict[str, Any]], chunk: "Callable[[str], bytes]") -> Restored:
        """Bring saved groups into this fresh namespace. `chunk` gives a chunk by its hash, or raises KeyError.

        What cannot be brought back is replaced by a placeholder that raises when it is used.
        """
        lost: dict[str, str] = {}
        for group in groups:
            form = json.loads(group["form"])
            self._enter(_Saved(group, frozenset(group["names"]), frozenset(form["touches"]), frozenset(form["needs"])))
            lost.update(group["lost"])
            for name in group["names"]:
                self._waiting[name] = lambda group=group, form=form: self._load(group, form, chunk, lost)
        with working_on(self._target):
            for name in list(self._waiting):
                self._need(name)
        variables = [about["name"] for group in groups for about in group["about"]]
        return Restored([name for name in variables if name not in lost], lost)

    def _need(self, name: str) -> None:
        if waiting := self._waiting.pop(name, None):
            waiting()

    def _load(
        self, group: dict[str, Any], form: dict[str, Any], chunk: "Callable[[str], bytes]", lost: dict[str, str]
    ) -> None:
        for name in group["names"]:
            self._waiting.pop(name, None)
        outer, self._target.losses = self._target.losses, []
        try:
            values = _loaded(group["chunks"], form, chunk) if group["chunks"] else {}
        except Exception as error:
            why = (
                "a stored piece of it is missing" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
            )
            values = {}
            lost.update(dict.fromkeys(group["names"], " ".join(why.split())[:_REASON]))
        for what, why in self._target.losses:
            lost.update(dict.fromkeys(group["names"], f"{what}: {why}"))
        self._target.losses = outer
        for name in group["names"]:
            self._put(name, values, lost)

    def _put(self, name: str, values: Mapping[str, Any], lost: dict[str, str]) -> None:
        value = values[name] if name in values else Lost("variable", lost.get(name, "it was not saved"))
        if "." not in name:
            self._namespace[name] = value
        elif self._ambient is not None and name in values:
            try:
                self._ambient.put_back(name, value)
            except Exception as error:
                lost[name] = f"{type(error).__name__}: {error}"
        self._bound[name] = value


@dataclass(frozen=True)
class _Made:
    """A group that was pickled now; without a `result` it could not be."""

    names: frozenset[str]
    touches: frozenset[str]
    result: "Pickled | None"
    body: bytes
    lost: dict[str, str]

    @property
    def needs(self) -> "frozenset[str]":
        return frozenset(self.result.needs) if self.result else frozenset()

    def saved(self, fresh: "dict[str, bytes | memoryview]", about: "Iterable[dict[str, Any] | None]") -> _Saved:
        """The group for the store; its pieces go into `fresh`."""
        pieces: list[list[bytes | memoryview]] = []
        kinds: list[str] = []
        if self.result is not None:
            pieces = [
                chunks.by_content(self.body),
                *(chunks.by_place(buffer) for buffer in self.result.buffers),
                *(chunks.by_content(_bytes(text)) for text in self.result.big),
            ]
            kinds = ["str" if isinstance(text, str) else "bytes" for text in self.result.big]
        named = [[(chunks.name_of(piece), piece) for piece in part] for part in pieces]
        for part in named:
            fresh.update(part)
        form = {
            "touches": sorted(self.touches),
            "needs": sorted(self.needs),
            "parts": [len(part) for part in named],
            "big": kinds,
        }
        group = {
            "id": min(self.names),
            "names": sorted(self.names),
            "chunks": [name for part in named for name, _ in part],
            "lost": self.lost,
            "about": [one for one in about if one],
            "form": json.dumps(form, separators=(",", ":")),
        }
        return _Saved(group, self.names, self.touches, self.needs)

    def is_long_list(self, values: Mapping[str, Any]) -> bool:
        """Whether this is one list of long texts, of which a look at each is cheaper than another pickle."""
        if len(self.names) != 1 or self.result is None:
            return False
        [value] = [values[name] for name in self.names]
        size = len(self.body) + sum(map(len, self.result.big))
        return (
            type(value) in (list, tuple) and size > _WORTH_COMPARING * len(value) > 0 and set(map(type, value)) <= ATOMS
        )


def _is_common(value: Any) -> bool:
    """Whether Python may use the same object for any other equal value."""
    return type(value) in ATOMS and not _has_long((value,)) and type(value) is not types.BuiltinFunctionType


def _has_long(values: Iterable[Any]) -> bool:
    return any(type(value) in (str, bytes) and len(value) > chunks.SMALL for value in values)


def _bytes(text: "str | bytes") -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


def _lost_by_name(result: Pickled, reached: Mapping[str, Reached]) -> dict[str, str]:
    """Which of the variables hold what could not be saved."""
    lost: dict[str, str] = {}
    for loss in result.losses:
        holders = [name for name, one in reached.items() if id(loss.what) in one.objects] or list(reached)
        kind = loss.what.what if isinstance(loss.what, Lost) else type(loss.what).__name__
        for name in holders:
            lost.setdefault(name, f"{kind}: {loss.why}"[:_REASON])
    return lost


def _loaded(names: Sequence[str], form: dict[str, Any], chunk: "Callable[[str], bytes]") -> dict[str, Any]:
    parts: list[list[str]] = []
    start = 0
    for count in form["parts"]:
        parts.append(list(names[start : start + count]))
        start += count
    kinds: list[str] = form["big"]
    ends = len(parts) - len(kinds)

    def joined(part: Sequence[str]) -> bytes:
        return chunk(part[0]) if len(part) == 1 else b"".join(map(chunk, part))

    def big(number: int) -> "str | bytes":
        body = joined(parts[ends + number])
        return body.decode("utf-8", "surrogatepass") if kinds[number] == "str" else body

    # Arrays are written to, so their memory must be their own.
    return load(joined(parts[0]), [bytearray(joined(part)) for part in parts[1:ends]], big)
