"""Classes of cells: saved as they are, and made again without running any code of theirs.

A class is made empty by `type` itself, whatever its metaclass, and then gets its attributes one by one in their order.
So no metaclass of a cell, no `__init_subclass__`, no `__set_name__` and no class keyword takes effect a second time.
"""

import sys
import types
import weakref
from abc import ABCMeta
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .cloudpickle_compat import registered_with
from .object_graph import MAIN, is_a

_BASES: tuple[type, ...] = (
    *(OrderedDict, defaultdict, Counter, dict, deque, list, set, frozenset, tuple, bytearray),
    *(bool, int, float, complex, str, bytes, BaseException),
)
"""Built-in classes whose content can be saved, also of the classes of cells that build on them."""
_HARMLESS = {("abc", "ABC"), ("typing", "Generic"), ("typing", "Protocol")}
_HOOKS_KEEP_NO_LIST = sys.stdlib_module_names | {"pydantic", "typing_extensions"}
"""Modules whose `__init_subclass__` only sets attributes of the class."""
_AT_ONCE = ("__module__", "__qualname__", "__orig_bases__", "__static_attributes__", "__firstlineno__", "__class__")
"""Attributes with which a class is made: setting one later has other effects."""
_MADE_BY_PYTHON = ("_abc_impl", "__annotate_func__", "__annotations_cache__", "__slotnames__")
_MADE_BY_ENUM = (
    *("_member_names_", "_member_map_", "_value2member_map_", "_member_type_"),
    *("_unhashable_values_", "_unhashable_values_map_", "_hashable_values_"),
)
_OF_MEMBERS = ("_value_", "_name_", "__objclass__", "_sort_order_")
_MUTABLE_HEAP_TYPE = 1 << 9, 1 << 8
"""Bits of `__flags__`: made by a class statement, and not to be changed."""

Reduced = tuple[Any, ...]


def not_run_again(kind: type) -> str:
    """Return why a class is not wholly restored: a library's hook, which may keep a list of classes, is not run."""
    for base in kind.__mro__[1:]:
        if "__init_subclass__" in vars(base):
            known = base.__module__ == MAIN or base.__module__.partition(".")[0] in _HOOKS_KEEP_NO_LIST
            return "" if known else f"{base.__module__}.{base.__name__}.__init_subclass__ is not run for it again"
    return ""


def reduced_class(kind: type, number: int) -> Reduced:
    """Return the arguments of `make_class` or `make_enum`, and of `fill_class`. `number`: its place in `Order`."""
    own = vars(kind)
    at_once = {name: own[name] for name in _AT_ONCE if name in own} | {"__qualname__": kind.__qualname__}
    if type(own.get("__dict__")) is property:
        at_once["__dict__"] = own["__dict__"]
    if "__slots__" in own:
        # The descriptors say which slots there are: what `__slots__` names may be an exhausted iterator.
        places = [name for name, value in own.items() if _is_of_python(kind, value) and name != "__doc__"]
        at_once["__slots__"] = tuple(places)
    made_with_it = {*at_once, *_MADE_BY_PYTHON}
    attributes = [(n, value) for n, value in own.items() if n not in made_with_it and not _is_of_python(kind, value)]
    if "__slots__" in own:
        kept = own["__slots__"]
        attributes.append(("__slots__", kept if isinstance(kept, str | tuple | list | dict) else at_once["__slots__"]))
    if "__annotate_func__" in own:
        attributes.append(("__annotations__", dict(kind.__annotations__)))
    registered = registered_with(kind) if is_a(kind, ABCMeta) else []
    own_mro = kind.__mro__[1:] if type(kind).mro is not type.mro else None
    if not is_enum(kind):
        return (type(kind), kind.__name__, kind.__bases__, at_once, own_mro), (attributes, registered, [], number)
    members: Mapping[str, Any] = vars(kind)["_member_map_"]
    skip = {*members, *_MADE_BY_ENUM}
    attributes = [(name, value) for name, value in attributes if name not in skip]
    base = built_on(kind)
    values = [
        (name, vars(one)["_value_"], None if base is object else plain(one, base)) for name, one in members.items()
    ]
    extra = [(n, {k: v for k, v in vars(one).items() if k not in _OF_MEMBERS}) for n, one in members.items()]
    return (type(kind), kind.__name__, kind.__bases__, at_once, base, values), (attributes, registered, extra, number)


def _added_to(member: Any) -> dict[str, Any]:
    """Return the attributes that code of a cell gave to a member of an enum."""
    return {name: value for name, value in vars(member).items() if name not in _OF_MEMBERS}


def _is_of_python(kind: type, value: Any) -> bool:
    """Return whether an attribute is a descriptor of a slot, of `__dict__` or of `__weakref__`, made with the class."""
    return type(value) in (types.MemberDescriptorType, types.GetSetDescriptorType) and value.__objclass__ is kind


def make_class(
    meta: type, name: str, bases: tuple[type, ...], at_once: Mapping[str, Any], own_mro: "tuple[type, ...] | None"
) -> type:
    """Make a class without attributes, which `fill_class` adds. No code of a cell runs.

    `own_mro`: the classes after it in its method resolution order, where its metaclass decides about that.
    """

    def mro(kind: type) -> list[type]:
        return [kind, *(own_mro or type.mro(kind)[1:])]

    with quiet(bases), quiet((meta,), {"mro": mro}):
        if meta.__module__ not in (MAIN, "typing", "builtins"):
            return types.new_class(name, bases, {"metaclass": meta}, lambda namespace: namespace.update(at_once))
        # The metaclass of a library that one of a cell builds on keeps records of its classes.
        found = (one for one in meta.__mro__ if one.__module__ not in (MAIN, "typing") and "__new__" in vars(one))
        return next(found).__new__(meta, name, bases, dict(at_once))


def make_enum(
    meta: type,
    name: str,
    bases: tuple[type, ...],
    at_once: Mapping[str, Any],
    base: type,
    members: "Sequence[tuple[str, Any, Any]]",
) -> type:
    """Make an enum with its members, which are neither computed nor initialized again."""
    values = iter(members)

    def new(kind: type, *arguments: Any) -> Any:
        del arguments
        _, value, content = next(values)
        made: Any = base.__new__(kind) if base is object else base.__new__(kind, content)
        vars(made)["_value_"] = value
        return made

    enum: Any = _enum_type()
    owner = next(one for one in meta.__mro__ if one.__module__ != MAIN)
    with quiet(bases):
        namespace: Any = enum.__prepare__(name, bases)
        namespace.update(at_once)
        namespace["__new__"], namespace["__init__"] = new, _nothing
        for member, value, _ in members:
            namespace[member] = value
        made = owner.__new__(meta, name, bases, namespace)
    for helper in ("__new_member__", "__init__"):
        if helper in vars(made):
            type.__delattr__(made, helper)
    return made


def fill_class(
    kind: type, attributes: "list[tuple[str, Any]]", registered: "list[type]", members: "list[tuple[str, Any]]"
) -> None:
    """Set the attributes of a class in their order, and those of the members of an enum, past the metaclass."""
    for name, value in attributes:
        type.__setattr__(kind, name, value)
    for one in registered:
        ABCMeta.register(kind, one)
    for name, extra in members:
        vars(kind)["_member_map_"][name].__dict__.update(extra)


def _nothing(*_: Any, **__: Any) -> None:
    return None


_HOOKS: Mapping[str, Any] = dict.fromkeys(("__init_subclass__", "__pydantic_init_subclass__"), classmethod(_nothing))


@contextmanager
def quiet(classes: Iterable[type], instead: Mapping[str, Any] = _HOOKS) -> Generator[None]:
    """Have attributes of these classes and of their bases be others in this context: hooks that do nothing."""
    heap, immutable = _MUTABLE_HEAP_TYPE
    replaced: list[tuple[type, str, Any]] = []
    for one in {ancestor: None for kind in classes for ancestor in kind.__mro__}:
        if one.__flags__ & heap and not one.__flags__ & immutable:
            replaced += [(one, name, vars(one)[name]) for name in instead if name in vars(one)]
    try:
        for one, name, _ in replaced:
            type.__setattr__(one, name, instead[name])
        yield
    finally:
        for one, name, before in replaced:
            type.__setattr__(one, name, before)


def _as_it_is(kind: type) -> list[type]:
    return list(kind.__mro__)


class Order:
    """The order in which classes were defined, which `__subclasses__` returns them in."""

    def __init__(self) -> None:
        self._numbers: dict[int, tuple[weakref.ref[type], int]] = {}
        """By id, as a class need not be hashable."""

    def of(self, kind: type) -> int:
        """Return the number of a class, which is higher than those of the subclasses of its bases made before."""
        for base in kind.__bases__:
            if base.__module__ == MAIN:
                for one in type.__subclasses__(base):
                    self._number(one)
        return self._number(kind)

    def _number(self, kind: type) -> int:
        held, number = self._numbers.get(id(kind), (None, 0))
        if held is None or held() is not kind:
            number = 1 + max((number for _, number in self._numbers.values()), default=0)
            self._numbers[id(kind)] = weakref.ref(kind), number
        return number

    def note(self, kind: type, number: int) -> None:
        """Record the number that a restored class had."""
        self._numbers[id(kind)] = weakref.ref(kind), number

    def put_in_order(self) -> None:
        """Have `__subclasses__` of restored classes return them in their order."""
        kinds = [(number, held()) for held, number in self._numbers.values()]
        for _, kind in sorted(kinds, key=lambda one: one[0]):
            if kind is not None and any(base.__module__ == MAIN for base in kind.__bases__):
                with quiet((type(kind),), {"mro": _as_it_is}):
                    type.__setattr__(kind, "__bases__", kind.__bases__)


# -- instances


def is_built_here(obj: Any, kind: type) -> bool:
    """Return whether an instance is saved as it is built: of a class of a cell, or an exception.

    The pickling method of an exception fails where its class takes other arguments than it keeps.
    """
    if is_a(obj, BaseException):
        return kind.__reduce__ is BaseException.__reduce__
    return kind.__module__ == MAIN and not is_a(obj, type)


_attribute_of, _references_to = object.__getattribute__, sys.getrefcount


def fields_of(obj: Any) -> "tuple[dict[str, Any] | None, int]":
    """Return the dictionary of an instance, and the number of references to it."""
    try:
        fields: dict[str, Any] = _attribute_of(obj, "__dict__")
    except AttributeError:
        return None, 0
    return fields, _references_to(fields)


UNSHARED = fields_of(types.SimpleNamespace())[1]
"""The number that `fields_of` returns for a dictionary that nothing but its instance holds."""


def slots_of(kind: type) -> "list[tuple[str, Any]]":
    """Return the slots of instances, also those of its bases, with their descriptors."""
    places = [(name, one) for base in kind.__mro__ if base.__module__ == MAIN for name, one in vars(base).items()]
    return [(name, one) for name, one in places if type(one) is types.MemberDescriptorType]


def known_base(kind: type) -> "type | None":
    """Return the built-in class that `kind` builds on, when it and all its other bases are plain, else None."""
    base = built_on(kind)
    ancestors = kind.__mro__[:-1]
    for one in ancestors[: ancestors.index(base)] if base is not object else ancestors:
        plain_one = one.__module__ == MAIN or (one.__module__, one.__name__) in _HARMLESS
        if not plain_one and not issubclass(kind, BaseException):
            return None
    return None if is_enum(kind) else base


def built_on(kind: type) -> type:
    """Return the built-in class whose content the instances of `kind` have, or `object`."""
    for one in kind.__mro__[:-1]:
        if one in _BASES or (issubclass(one, BaseException) and one.__module__ == "builtins"):
            return one
    return object


def plain(obj: Any, base: type) -> Any:
    """Return the content of an instance as an object of the built-in class."""
    return base.__getnewargs__(obj)[0] if hasattr(base, "__getnewargs__") else base(obj)


def is_enum(kind: type) -> bool:
    """Return whether a class is an enum."""
    return is_a(kind, _enum_type())


def _enum_type() -> type:
    enum = sys.modules.get("enum")
    return enum.EnumType if enum else type(None)


def class_form(kind: type) -> Reduced:
    """Return a class as code of a cell defined it, for a comparison: without what Python and pydantic added."""
    made_of_it = ("__dict__", "__weakref__", "__slotnames__", "_abc_impl", "__signature__", "__class_vars__")
    own = {
        name: value
        for name, value in sorted(vars(kind).items())
        if name not in made_of_it
        and not name.startswith("__pydantic_")
        and not isinstance(value, types.MemberDescriptorType)
        and name != "__slots__"
    }
    own["slots"] = tuple(name for name, _ in slots_of(kind))
    if is_enum(kind):
        own["members"] = {name: _added_to(member) for name, member in own["_member_map_"].items()}
    schema = getattr(kind, "model_json_schema", None)
    return type(kind), kind.__name__, kind.__bases__, own, schema() if schema else None
