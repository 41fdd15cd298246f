"""One group of variables: pickled from their values, in the form that the store keeps, and loaded again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from json import dumps, loads  # bound now: code of cells may patch the module
from types import BuiltinFunctionType
from typing import Any

from .addresses import addressed
from .chunks import SMALL, LongTexts, Pieces, Unframed, by_content, by_place, name_all, without_frames
from .code_objects import MAGIC, PYTHON, version_of
from .input_slices import Cut, Cuts, NotTheInput
from .object_graph import ATOMS, Reached, is_a
from .pickler import Pickled, Surroundings, pickled
from .placeholder import Lost
from .unpickler import load

_APART = 1 << 20
"""Bytes of long strings in a pickle from which they are saved apart."""
_WORTH_A_LOOK, _LOOKED_AT = 256 << 10, 3
"""Bytes of a group from which slices of the input are searched for in it, and strings of it that are tested first."""
_WORTH_COMPARING = 256
"""Bytes per element from which a list of atoms is compared one by one before it is pickled again."""
_NOTES = 20
REASON = 300
"""Characters of a reason, at most."""


class MissingPiece(Exception):
    """A stored piece of it is missing or damaged"""


@dataclass(frozen=True)
class Saved:
    """A saved group. `group` is a `state.blobs.snapshots.Group`."""

    group: dict[str, Any]
    names: frozenset[str]
    touches: frozenset[str]
    """Variables that its functions may touch."""
    needs: frozenset[str]
    """Variables that it refers to by name."""
    files: frozenset[str] = frozenset()
    """The files, or names of cells, of the code that it contains."""
    other_python: str = ""
    """The Python that compiled its code, when its bytecode is not this one's; else an empty text."""
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    """The versions of the packages that it refers to."""

    @classmethod
    def read(cls, group: dict[str, Any]) -> "Saved":
        """Read a group that comes from the store."""
        form = loads(group["form"])
        names = frozenset(group["names"]), frozenset(form["touches"]), frozenset(form["needs"])
        python = form["python"] if form.get("magic", MAGIC) != MAGIC else ""
        return cls(group, *names, frozenset(form.get("files", ())), python, form.get("packages", {}))

    def loaded(self, pieces: "Restoring") -> dict[str, Any]:
        """Load its variables, none when it was not saved. Raises MissingPiece and what code of the run raises."""
        if not self.group["chunks"]:
            return {}
        form = loads(self.group["form"])
        parts: list[list[str]] = []
        start = 0
        for count in form["parts"]:
            parts.append(self.group["chunks"][start : start + count])
            start += count
        kinds: list[str] = form["texts"]
        buffers, texts = parts[1 : len(parts) - len(kinds)], parts[len(parts) - len(kinds) :]

        def big(number: int) -> "str | bytes":
            return pieces.text(kinds[number], texts[number])

        return load(
            pieces.joined(parts[0]),
            # Arrays can be written to, so each needs memory of its own.
            [bytearray(pieces.joined(part)) for part in buffers],
            {"big": big, "cut": lambda *cut: pieces.cut(cut)},
        )


def differences(groups: Iterable[Saved]) -> list[str]:
    """Return sentences on other versions of Python and of packages than those that the groups were saved with."""
    pythons = {one.other_python for one in groups} - {""}
    found = [f"code that Python {one} had compiled was compiled again by Python {PYTHON}" for one in sorted(pythons)]
    packages = {(name, then) for one in groups for name, then in one.packages.items()}
    for name, then in sorted(packages):
        if then and (now := version_of(name)) and now != then:
            found.append(f"it was saved with {name} {then}, and this is {name} {now}")
    return found[:_NOTES]


class Restoring:
    """The pieces of one restore, and the long texts made of them, which many variables may share."""

    def __init__(self, piece: "Callable[[str], bytes]", cuts: "Cuts | None") -> None:
        self._piece = piece
        self._cuts = cuts
        self._texts: dict[tuple[str, ...], str | bytes] = {}
        self._from_input: dict[Cut, str] = {}

    def joined(self, names: Sequence[str]) -> bytes:
        """Join pieces. Raises MissingPiece."""
        try:
            found = [self._piece(name) for name in names]
        except KeyError:
            raise MissingPiece from None
        return found[0] if len(found) == 1 else b"".join(found)

    def text(self, kind: str, names: Sequence[str]) -> "str | bytes":
        """Return a long text, which is made only once."""
        key = (kind, *names)
        if key not in self._texts:
            body = self.joined(names)
            self._texts[key] = body.decode("utf-8", "surrogatepass") if kind == "str" else body
        return self._texts[key]

    def cut(self, cut: Cut) -> str:
        """Return a string that was cut from the input, made only once. Raises NotTheInput and what reading raises."""
        if cut not in self._from_input:
            if self._cuts is None:
                raise NotTheInput
            self._from_input[cut] = self._cuts.text(cut)
        return self._from_input[cut]


@dataclass(frozen=True)
class PickledGroup:
    """A group that was pickled now. `result` is None when it could not be pickled."""

    names: frozenset[str]
    touches: frozenset[str]
    result: "Pickled | None"
    body: bytes
    lost: dict[str, str]
    apart: bool
    """True when its long texts are saved apart, or as cuts."""

    @property
    def needs(self) -> frozenset[str]:
        """Variables that it refers to by name."""
        return frozenset(self.result.needs) if self.result else frozenset()

    def saved(self, long: LongTexts, known: set[str], fresh: Pieces, about: "Iterable[dict[str, Any] | None]") -> Saved:
        """Return the group for the store, and put pieces that may not be `known` there into `fresh`."""
        parts: list[list[str]] = []
        kinds: list[str] = []
        if self.result is not None:
            parts = [
                name_all(by_content(self.body), fresh),
                *(name_all(by_place(buffer), fresh) for buffer in self.result.buffers),
                *(long.names(text, known, fresh) for text in self.result.texts),
            ]
            kinds = [type(text).__name__ for text in self.result.texts]
        form: dict[str, Any] = {
            "touches": sorted(self.touches),
            "needs": sorted(self.needs),
            "parts": [len(part) for part in parts],
            "texts": kinds,
        }
        if self.result is not None and self.result.has_code:
            form |= {"python": PYTHON, "magic": MAGIC, "files": sorted(self.result.files)}
        if self.result is not None and self.result.packages:
            form["packages"] = dict(sorted(self.result.packages.items()))
        group = {
            "id": min(self.names),
            "names": sorted(self.names),
            "chunks": [name for part in parts for name in part],
            "lost": self.lost,
            "about": [one for one in about if one],
            "form": dumps(form, separators=(",", ":")),
        }
        return Saved(group, self.names, self.touches, self.needs, self.files)

    @property
    def files(self) -> frozenset[str]:
        """The files, or names of cells, of the code that it contains."""
        return frozenset(self.result.files) if self.result else frozenset()

    def is_list_of_long(self, value: Any) -> bool:
        """Return whether this is one list of long texts, where comparing each is cheaper than pickling again."""
        if len(self.names) != 1 or self.result is None or type(value) not in (list, tuple):
            return False
        size = len(self.body) + sum(map(len, self.result.texts)) + self.result.cut
        return size > _WORTH_COMPARING * len(value) > 0 and set(map(type, value)) <= ATOMS


def make(
    values: Mapping[str, Any],
    reached: Mapping[str, Reached],
    namespace: Mapping[str, Any],
    given: Mapping[int, str],
    cuts: "Cuts | None",
    *,
    apart: bool,
) -> PickledGroup:
    """Pickle the variables of one group. An error of the whole group is recorded as the loss of its variables.

    `given` are names of objects that every kernel has, by id. `cuts` finds strings that were cut from the input.
    `apart`: True when long texts are known to be worth saving apart, or as cuts.
    """
    objects: dict[int, Any] = {}
    touches: set[str] = set()
    for one in reached.values():
        objects.update(one.objects)
        touches |= one.names
    look = cuts is not None and (apart or any(type(one) is str and cuts.worth(len(one)) for one in values.values()))
    one_by_one = look or apart or any(one.by_name for one in reached.values()) or any(map(is_long, values.values()))
    by_address = addressed(candidate for one in reached.values() for candidate in one.keyed)
    one_by_one |= bool(by_address)
    around = Surroundings(namespace, given, values.keys(), objects, by_address, cuts if look else None)
    names, may_touch = frozenset(values), frozenset(touches)
    try:
        result = pickled(values, around, one_by_one=one_by_one)
        plain = without_frames(result.body)
        look = not look and cuts is not None and _is_cut(plain, result.texts, cuts)
        if look or (plain.long > _APART and not one_by_one):
            one_by_one = True
            result = pickled(values, replace(around, cuts=cuts if look else None), one_by_one=True)
            plain = without_frames(result.body)
    except Exception as error:
        return PickledGroup(names, may_touch, None, b"", dict.fromkeys(names, said(error)), apart)
    apart = one_by_one and bool(result.texts or result.cut)
    return PickledGroup(names, may_touch, result, plain.body, _lost_by_name(result, reached), apart)


def _is_cut(plain: Unframed, texts: "Sequence[str | bytes]", cuts: Cuts) -> bool:
    """Return whether most of a group seems to be strings that were cut from the input."""
    size = len(plain.body) + sum(map(len, texts))
    if size < _WORTH_A_LOOK:
        return False
    some = [*plain.some_long(_LOOKED_AT), *texts[:_LOOKED_AT]]
    return bool(some) and cuts.worth(size * min(len(some), _LOOKED_AT) // _LOOKED_AT) and cuts.most(some)


def is_long(value: Any) -> bool:
    """Return whether this is a str or bytes worth a piece of its own."""
    return type(value) in (str, bytes) and len(value) > SMALL


def is_common(value: Any) -> bool:
    """Return whether Python may use the same object for any other equal value."""
    return type(value) in ATOMS and not is_long(value) and type(value) is not BuiltinFunctionType


def said(error: BaseException) -> str:
    """Return an error as a reason."""
    text = str(error.__doc__) if isinstance(error, MissingPiece | NotTheInput) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:REASON]


def _lost_by_name(result: Pickled, reached: Mapping[str, Reached]) -> dict[str, str]:
    """Return the variables that hold an object that could not be saved, with the reasons."""
    lost: dict[str, str] = {}
    for loss in result.losses:
        holders = [name for name, one in reached.items() if id(loss.what) in one.objects] or list(reached)
        kind = loss.what.what if is_a(loss.what, Lost) else type(loss.what).__name__
        for name in holders:
            lost.setdefault(name, f"{kind}: {loss.why}"[:REASON])
    return lost
