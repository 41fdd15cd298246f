"""A group of variables as bytes: a pickle of their structure, in which objects of a live namespace are named.

Only `unpickler.py` reads it, in another kernel of the same run. It differs from `pickle` in these points:

- Functions of cells are restored with the live namespace as their globals, and closures that share a cell still do.
- Instances of classes of cells are saved as they are built, whatever their own pickling methods say.
- Functions and classes bound under their own name are referred to by that name, unless they are of this group.
- An object that cannot be saved becomes a placeholder that raises when it is used (`placeholder.py`), and is noted.

cloudpickle pickles the classes and the code objects.
"""

import io
import sys
import types
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, cast

import cloudpickle

from . import addresses, classes, unpickler
from .arrays import reduced_array
from .code_objects import InnerCode, arguments_of, is_lost, version_of
from .input_slices import SHORTEST, Cuts, CutsOnce
from .object_graph import MAIN, OWN, bound_name, home_of, is_a, named_in
from .placeholder import Lost
from .special_kinds import SPECIAL, handle, has_ended

BIG = 64 << 10
"""Characters or bytes from which a str or bytes can be saved apart."""
_REASON = 200
_STREAMS = ("stdin", "stdout", "stderr")
_NEW_OBJECT = object().__reduce_ex__(2)[0]
"""The function with which most objects are pickled: it makes an instance without initializing it."""
_NO_PACKAGES = sys.stdlib_module_names | {MAIN, __name__.partition(".")[0]}
_BY_NAME = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


@dataclass
class Loss:
    """An object that could not be saved, or only in part."""

    what: Any
    why: str


@dataclass
class Pickled:
    """The pickle of a group."""

    body: bytes
    buffers: "list[memoryview]" = field(default_factory=list["memoryview"])
    texts: "list[str | bytes]" = field(default_factory=list["str | bytes"])
    """Long texts that are saved apart, in the order of their numbers."""
    needs: set[str] = field(default_factory=set[str])
    """Variables that it refers to by name."""
    losses: list[Loss] = field(default_factory=list[Loss])
    cut: int = 0
    """Characters of strings that are saved as their places in the input."""
    has_code: bool = False
    """True when it contains bytecode, which only a Python with the same number can run."""
    files: set[str] = field(default_factory=set[str])
    """The files, or names of cells, of the code that it contains."""
    packages: dict[str, str] = field(default_factory=dict[str, str])
    """The versions of the packages that it refers to."""


@dataclass(frozen=True)
class Surroundings:
    """The facts that a pickler needs: the namespace, the objects that every kernel has, and the variables to save."""

    namespace: Mapping[str, Any]
    given: Mapping[int, str]
    """Names of the objects that every kernel has, by id."""
    names: Collection[str]
    objects: Mapping[int, Any]
    """Everything that the variables of the group hold."""
    addressed: Mapping[int, Any] = field(default_factory=dict[int, Any])
    """Containers that are made of addresses of objects, by id."""
    cuts: "Cuts | None" = None
    """Finds strings that were cut from the input. None: they are not searched for."""


def pickled(values: Mapping[str, Any], around: Surroundings, *, one_by_one: bool) -> Pickled:
    """Pickle the variables. Raises what pickling raises.

    `one_by_one`: save long strings apart, or as cuts, and recognise containers, which is slower.
    """
    kind = _OneByOne if one_by_one else _Pickler
    file = io.BytesIO()
    buffers: list[memoryview] = []
    pickler = kind(file, around, lambda buffer: buffers.append(buffer.raw()))
    shown = {
        name: _Given(around.given[id(value)]) if id(value) in around.given else value for name, value in values.items()
    }
    pickler.dump(shown)
    pickler.note_bare_cells()
    about_code = pickler.has_code, pickler.files, pickler.packages
    return Pickled(
        file.getvalue(), buffers, pickler.texts, pickler.needs, pickler.losses, pickler.cuts.chars, *about_code
    )


def reducer(around: Surroundings, target: unpickler.Target) -> Callable[[Any], Any]:
    """Return a function that gives the saved form of an object without saving it, for `compare.Reduce`."""
    pickler = _Pickler(io.BytesIO(), around, lambda _: None)

    def reduce(obj: Any) -> Any:
        with unpickler.working_on(target):
            found: Any = pickler.reducer_override(obj)
            if found is NotImplemented and type(obj) in pickler.dispatch_table:
                found = pickler.dispatch_table[type(obj)](obj)
        if not isinstance(found, tuple):
            return found
        if found[0] is unpickler.instance:
            # Whether something else holds its dictionary: references by a restore or a comparison count too.
            make, arguments, state, *_ = cast("tuple[Any, ...]", found)
            return make, arguments, state[:-1]
        if is_a(obj, TypeVar):
            return obj.__name__, obj.__bound__, obj.__constraints__, obj.__covariant__, obj.__contravariant__
        # Of a class, cloudpickle omits attributes that are the same object as in a base.
        return classes.class_form(obj) if is_a(obj, type) else found

    return reduce


class _Given:
    """A substitute for an object that every kernel has."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return unpickler.given, (self.name,)


class _Pickler(cloudpickle.Pickler):
    def __init__(self, file: io.BytesIO, around: Surroundings, on_buffer: "Callable[[Any], Any]") -> None:
        super().__init__(file, protocol=5, buffer_callback=on_buffer)
        self.around = around
        self.needs: set[str] = set()
        self.losses: list[Loss] = []
        self.texts: list[str | bytes] = []
        self.has_code = False
        self.files: set[str] = set()
        self.packages: dict[str, str] = {}
        self._named: dict[int, dict[int, str]] = {}
        """For each class, the objects without content that its module has, by id."""
        self._handles: dict[int, str] = {}
        """Why instances of a class are lost, by its id."""
        self._slots: dict[int, list[tuple[str, Any]]] = {}
        self._numbers: dict[int, int] = {}
        self.cuts = CutsOnce(around.cuts)
        self._cells: dict[int, Any] = {}
        self._filled: set[int] = set()

    def reducer_override(self, obj: Any) -> Any:
        around = self.around
        if id(obj) in around.given:
            return unpickler.given, (around.given[id(obj)],)
        name = bound_name(obj, around.namespace)
        if name is not None and name not in around.names:
            self.needs.add(name)
            return unpickler.variable, (name,)
        kind: type = type(obj)
        try:
            special = self._special.get(kind)
            if special is not None:
                return special(self, obj)
            if kind is types.FunctionType and (home := home_of(obj, around.namespace)):
                return self._function(obj, home)
            if classes.is_built_here(obj, kind) and (base := classes.known_base(kind)) is not None:
                return self._instance(obj, kind, base)
            if is_a(obj, unpickler.threading.Thread):
                return self.lose(obj, "it is a thread")
            if obj is sys.stdout or obj is sys.stderr or obj is sys.stdin:
                return unpickler.stream, (next(name for name in _STREAMS if getattr(sys, name) is obj),)
            if is_a(obj, type) and obj.__module__ == MAIN:
                return self._class(obj)
            if (array := reduced_array(obj, kind, self.around.objects)) is not None:
                return array
            return self._ordinary(obj, kind)
        except (KeyboardInterrupt, RecursionError, MemoryError):
            raise
        except Exception as error:
            return self.lose(obj, f"{type(error).__name__}: {error}")

    def note_bare_cells(self) -> None:
        """Record as losses the cells of closures that were reached without their function: they are empty."""
        for number, cell in self._cells.items():
            if number not in self._filled:
                self.losses.append(Loss(cell, "a variable of a function was taken without its function"))

    def lose(self, obj: Any, why: str) -> Any:
        """Record a loss and return the saved form of a placeholder."""
        reason = " ".join(why.split())[:_REASON]
        self.note(obj, reason)
        return Lost, (type(obj).__name__, reason)

    def note(self, obj: Any, why: str) -> None:
        """Record that an object is saved only in part."""
        self.losses.append(Loss(obj, why))

    def _ordinary(self, obj: Any, kind: type) -> Any:
        """Reduce an object by the means of cloudpickle and of the object itself."""
        reduced: Any = super().reducer_override(obj)
        if reduced is not NotImplemented:
            return reduced
        self._note_package(obj)
        if kind in self.dispatch_table or kind in _BY_NAME or is_a(obj, type):
            return NotImplemented
        if id(kind) not in self._handles:
            self._handles[id(kind)] = handle(kind)
        if (why := self._handles[id(kind)]) and not has_ended(obj):
            return self.lose(obj, why)
        made: Any = obj.__reduce_ex__(5)
        if is_a(obj, BaseException) and isinstance(made, tuple) and 2 <= len(made) <= 3:
            state = (*made, None)[2], _about(obj)
            return unpickler.exception, made[:2], state, None, None, unpickler.fill_exception
        return self._own_form(obj, kind, made)

    def _own_form(self, obj: Any, kind: type, reduced: Any) -> Any:
        """Return what an object's own pickling says, where that can be used."""
        if isinstance(reduced, str):
            found = named_in(sys.modules.get(getattr(obj, "__module__", None) or "builtins"), reduced)
            return NotImplemented if found is obj else self.lose(obj, f"it is not found as {reduced}")
        if not isinstance(reduced, tuple) or not 2 <= len(reduced) <= 6:
            return self.lose(obj, "its own pickling says nothing useful")
        make, arguments, *rest = reduced
        if kind.__module__ == "dataclasses" and rest and type(rest[0]) is tuple:
            return make, arguments, rest[0][1], None, None, unpickler.fill_slots
        if make is _NEW_OBJECT and len(arguments) == 1 and all(part is None for part in rest):
            # An object without content that its module has under a name is known by its identity, as `MISSING` is.
            if id(kind) not in self._named:
                held = vars(sys.modules.get(kind.__module__, types))
                self._named[id(kind)] = {id(one): name for name, one in held.items() if type(one) is kind}
            if name := self._named[id(kind)].get(id(obj)):
                return unpickler.named, (kind.__module__, name)
        return reduced

    def _note_package(self, obj: Any) -> None:
        """Record the package of what is saved by its name."""
        package = str(getattr(obj, "__module__", "")).partition(".")[0]
        if package and package not in _NO_PACKAGES:
            self.packages[package] = version_of(package)

    # -- classes and functions

    def _class(self, kind: type) -> Any:
        if why := classes.not_run_again(kind):
            self.losses.append(Loss(kind, why))
        make = unpickler.an_enum if classes.is_enum(kind) else unpickler.a_class
        arguments, state = classes.reduced_class(kind, unpickler.order_of(kind))
        return make, arguments, state, None, None, unpickler.fill_class

    def _code(self, code: types.CodeType) -> Any:
        self.has_code = True
        self.files.add(code.co_filename)
        return unpickler.code, arguments_of(code)

    def _inner_code(self, inner: InnerCode) -> Any:
        return unpickler.inner_code, arguments_of(inner.code)[:1]

    def _function(self, function: Any, home: str) -> Any:
        # A module's globals are found by its name. Those of no module are saved with the function and may hold it.
        place = function.__globals__ if home == OWN else home
        if is_lost(function):
            self.losses.append(Loss(function, "its code was lost before"))
            return unpickler.function_without_code, (function.__qualname__, "its code was lost before", place)
        cells = function.__closure__
        contents: list[tuple[Any, Any]] = []
        for cell in cells or ():
            self._filled.add(id(cell))
            try:
                contents.append((cell, cell.cell_contents))
            except ValueError:
                continue  # not assigned yet
        state = {
            "__name__": function.__name__,
            "__qualname__": function.__qualname__,
            "__module__": function.__module__,
            "__doc__": function.__doc__,
            "__defaults__": function.__defaults__,
            "__kwdefaults__": function.__kwdefaults__,
            "__annotations__": function.__annotations__,
        }
        return (
            *(unpickler.function, (function.__code__, cells, place)),
            *((state, function.__dict__, contents), None, None, unpickler.fill_function),
        )

    def _cell(self, cell: Any) -> Any:
        # Saved empty, as a cell may hold the very function that it belongs to. The function fills it.
        self._cells[id(cell)] = cell
        return unpickler.cell, ()

    # -- instances of classes of cells

    def _instance(self, obj: Any, kind: type, base: type) -> Any:
        fields, references = classes.fields_of(obj)
        places = self._slots.get(id(kind))
        if places is None:
            places = self._slots[id(kind)] = classes.slots_of(kind)
        slots = {name: place.__get__(obj) for name, place in places if hasattr(obj, name)} if places else None
        arguments: tuple[Any, ...] = ()
        content: Any = None
        if issubclass(base, BaseException):
            arguments = obj.args
            content = _about(obj)
        elif issubclass(base, dict):
            content = (getattr(obj, "default_factory", None), list(base.items(obj)))
        elif base is deque:
            content = (list(deque.__iter__(obj)), obj.maxlen)
        elif issubclass(base, list | set | bytearray):
            content = bytes(obj) if base is bytearray else list(base.__iter__(obj))
        elif issubclass(base, tuple | frozenset):
            arguments = (list(base.__iter__(obj)),)
        elif base is not object:
            arguments = (classes.plain(obj, base),)
        return (
            *(unpickler.instance, (kind, base, arguments)),
            *((base, fields, slots, content, references > classes.UNSHARED), None, None, unpickler.fill_instance),
        )

    _special: ClassVar[Mapping[Any, "Callable[[Any, Any], Any]"]] = {
        **SPECIAL,
        types.CellType: _cell,
        types.CodeType: _code,
        InnerCode: _inner_code,
    }


class _OneByOne(_Pickler):
    """A pickler that is called for every object, which is slow: used only where objects must be recognised."""

    def persistent_id(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is str or kind is bytes:
            if len(obj) < SHORTEST:
                return None
            if id(obj) in self.around.given:
                return "given", self.around.given[id(obj)]
            if kind is str and (cut := self.cuts.of(obj)):
                return "cut", *cut
            if len(obj) < BIG:
                return None
            number = self._numbers.get(id(obj))
            if number is None:
                number = self._numbers[id(obj)] = len(self.texts)
                self.texts.append(obj)
            return "big", number
        if id(obj) in self.around.addressed:
            self.note(obj, addresses.WHY)
            return "lost", kind.__name__, addresses.WHY
        if kind is dict or kind is list:
            if obj is self.around.namespace:
                return ("namespace",)
            if id(obj) in self.around.given:
                return "given", self.around.given[id(obj)]
        return None


def _about(error: BaseException) -> tuple[Any, ...]:
    """Return how an exception came about."""
    return error.__cause__, error.__context__, error.__suppress_context__, error.__traceback__
