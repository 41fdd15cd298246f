"""Code objects: saved as bytecode, and compiled anew from the source of their cell under a Python of other bytecode.

Bytecode of another Python is never made into a code object: running it ends the process. A function whose code cannot
be found in a source raises an error when it is called.
"""

import __future__

import ast
import collections
import dataclasses
import importlib.util
import linecache
import platform
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from .placeholder import Lost, LostVariable

PYTHON = platform.python_version()
MAGIC = importlib.util.MAGIC_NUMBER.hex()
"""The number of this Python's bytecode, as `.pyc` files begin with."""
SOURCE = "source.of:"
"""The beginning of the name under which the source of a file is saved. No variable can have such a name."""
_FUTURES = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
_FILE, _QUALNAME, _LINE, _FREE = 10, 12, 13, 16
"""Places in the arguments of a code object."""

Span = tuple[tuple[int, int], tuple[int, int]]
"""Begin and end of the body of a lambda, as lines and columns: there may be several in a line."""


def arguments_of(code: types.CodeType) -> "tuple[tuple[Any, ...], Span | None]":
    """Return the arguments that make a code object again, and the place of a lambda."""
    constants = tuple(InnerCode(one) if isinstance(one, types.CodeType) else one for one in code.co_consts)
    arguments = (
        *(code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_nlocals, code.co_stacksize),
        *(code.co_flags, code.co_code, constants, tuple(list(code.co_names)), tuple(list(code.co_varnames))),
        *(code.co_filename, "".join(code.co_name), code.co_qualname, code.co_firstlineno),
        *(code.co_linetable, code.co_exceptiontable, tuple(list(code.co_freevars)), tuple(list(code.co_cellvars))),
    )
    return arguments, _span(code) if code.co_name == "<lambda>" else None


@dataclasses.dataclass(frozen=True, eq=False)
class InnerCode:
    """A code object in another one, which is not searched for in a source by itself."""

    code: types.CodeType


def _span(code: types.CodeType) -> "Span | None":
    """Return the place of a lambda's body. Instructions at column 0 are Python's own."""
    places = [place for place in code.co_positions() if None not in place and place[3]]
    begins = [(line, column) for line, _, column, _ in places]
    ends = [(line, column) for _, line, _, column in places]
    return (min(begins), max(ends)) if places else None  # type: ignore[return-value] - None is not in a place


# -- sources


def source_of(file: str) -> "str | None":
    """Return the source from which code of this file was compiled, when it is not a file on disk."""
    entry: Any = linecache.cache.get(file)
    return "".join(entry[2]) if entry and len(entry) == 4 and entry[1] is None else None


def keep_source(file: str, text: str) -> None:
    """Have tracebacks and `inspect` find the source of a file that is not on disk."""
    lines = [f"{line}\n" for line in text.removesuffix("\n").split("\n")]
    linecache.cache[file] = len(text), None, lines, file


class Sources:
    """The sources of one namespace's code, each under the name of its file after `SOURCE`."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def find(self, files: Iterable[str]) -> dict[str, str]:
        """Return the sources of these files that are not on disk, and keep them."""
        found = {SOURCE + file: text for file in sorted(files) if (text := source_of(file)) is not None}
        self._texts.update(found)
        return found

    def of_files(self, files: Iterable[str]) -> dict[str, str]:
        """Return those sources of these files that are kept."""
        if not self._texts:
            return {}
        names = {SOURCE + file for file in files}
        return {name: text for name, text in self._texts.items() if name in names}

    def put_back(self, name: str, text: str) -> None:
        """Keep a source that was saved, also for tracebacks."""
        self._texts[name] = text
        keep_source(name.removeprefix(SOURCE), text)


class SavedCode(Lost):
    """Code that another Python compiled. It cannot be used as it is."""

    def __init__(self, arguments: tuple[Any, ...], span: "Span | None", python: str) -> None:
        super().__init__("code", f"Python {python} compiled it, and this is Python {PYTHON}")
        self.__dict__["arguments"] = arguments
        self.__dict__["span"] = span

    @property
    def file(self) -> str:
        """The file that it was compiled from, or the name of the cell."""
        return self.__dict__["arguments"][_FILE]

    @property
    def name(self) -> str:
        """The name of the function that it is of, with those of what surrounds it."""
        return self.__dict__["arguments"][_QUALNAME]

    def compiled(self, text: "str | None", home: "types.ModuleType | None") -> "types.CodeType | None":
        """Return the same code compiled by this Python from the source of its file, or of the module that it is of."""
        arguments = self.__dict__["arguments"]
        flags = arguments[5] & _FUTURES
        found: list[types.CodeType] = []
        if text is not None:
            alike = (one for one in _codes(text, self.file, flags) if self._is_at_its_place(one))
            found = [one for one in alike if _span(one) == self.__dict__["span"] or one.co_name != "<lambda>"]
        elif home is not None and (file := getattr(home, "__file__", None)):
            # A library's function that is made by a call. Its lines may have moved.
            found = [one for one in _codes("".join(linecache.getlines(file)), file, flags) if self._is_alike(one)]
        return found[0] if len(found) == 1 else None

    def _is_at_its_place(self, code: types.CodeType) -> bool:
        return code.co_firstlineno == self.__dict__["arguments"][_LINE] and self._is_alike(code)

    def _is_alike(self, code: types.CodeType) -> bool:
        """Return whether code has the same name and parameters, and uses no variable that was not saved with it."""
        before = self.__dict__["arguments"]
        counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
        parameters = counts[0] + counts[2]
        return (
            (code.co_qualname, counts) == (before[_QUALNAME], before[:3])
            and code.co_varnames[:parameters] == before[9][:parameters]
            and set(code.co_freevars) <= set(before[_FREE])
        )

    def in_order(self, code: types.CodeType, cells: "tuple[Any, ...] | None") -> "tuple[Any, ...] | None":
        """Return the cells of the closure in the order of the new code."""
        held = dict(zip(self.__dict__["arguments"][_FREE], cells or (), strict=True))
        return tuple(held[name] for name in code.co_freevars) or None


@lru_cache(64)
def _codes(text: str, file: str, flags: int) -> "tuple[types.CodeType, ...]":
    """Return all code objects of a source, without those of classes' bodies and of the whole."""
    try:
        whole = compile(text, file, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found: list[types.CodeType] = []
    todo = [whole]
    while todo:
        inner = [one for one in todo.pop().co_consts if isinstance(one, types.CodeType)]
        found += inner
        todo += inner
    return tuple(found)


# -- functions without code


def lost_function(name: str, why: str, namespace: Any) -> types.FunctionType:
    """Return a function that raises LostVariable when it is called."""
    made = _raising(f"the function {name} was lost when the REPL was restored ({why}); define it again")
    return types.FunctionType(made.__code__, namespace, name, None, made.__closure__)


def _raising(message: str) -> types.FunctionType:
    def fail() -> None:
        raise LostVariable(message)

    def lost(*_: Any, **__: Any) -> None:
        fail()

    assert isinstance(lost, types.FunctionType)
    return lost


_RAISING = _raising("").__code__


def is_lost(value: Any) -> bool:
    """Return whether this is a function without code, a method or wrapper of one, or a placeholder."""
    return bool(_lost_in(value))


def _lost_in(value: Any) -> list[Any]:
    """Return the functions without code in an attribute of a class, and a placeholder."""
    if issubclass(type(value), Lost):
        return [value]
    value = getattr(value, "__func__", value)
    chain = [value, getattr(value, "__wrapped__", None)]
    return [one for one in chain if type(one) is types.FunctionType and one.__code__ is _RAISING]


def generated_again(kind: type) -> list[Any]:
    """Generate the methods of a dataclass or a named tuple that have no source. Return what they replace."""
    own: Mapping[str, Any] = vars(kind)
    missing = {name: lost for name, value in own.items() if (lost := _lost_in(value))}
    if missing and "_fields" in own and issubclass(kind, tuple):
        defaults = own.get("_field_defaults", {})
        make: Any = collections.namedtuple
        _take(kind, make(kind.__name__, own["_fields"], defaults=defaults.values()), missing)
    elif missing and "__dataclass_params__" in own:
        _dataclass_again(kind, missing)
    return [one for name, lost in missing.items() if not is_lost(own.get(name)) for one in lost]


def _take(kind: type, like: type, names: Iterable[str]) -> None:
    for name in names:
        if name in vars(like):
            type.__setattr__(kind, name, vars(like)[name])


def _dataclass_again(kind: type, missing: Iterable[str]) -> None:
    own = vars(kind)
    asked = own["__dataclass_params__"]
    places = {name: value for name, value in own.items() if isinstance(value, types.MemberDescriptorType)}
    for name in missing:
        type.__delattr__(kind, name)
    annotated = own.get("__annotations__", {})
    for name, field in own["__dataclass_fields__"].items():
        if name in annotated:
            type.__setattr__(kind, name, field)
    names = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")
    make: Callable[[type], type] = dataclasses.dataclass(**{name: getattr(asked, name) for name in names})
    make(kind)
    for name, place in places.items():
        type.__setattr__(kind, name, place)


# -- the packages around it


def version_of(package: str) -> str:
    """Return the version of an imported package, or an empty text when it does not say."""
    version = getattr(sys.modules.get(package), "__version__", "")
    return version if isinstance(version, str) else ""
