"""Find members, names and definitions in a cell that are not known to be harmless.

`code_policy.py` judges what is written out: calls of `open`, imports, loops over queries. Here is what reaches further
than it seems: modules through the private names and imports of other modules, members of large libraries that are not
known to be harmless, methods that a text names, code that Python runs later by itself, and other meanings of the names
that the policy goes by. All of it is one kind: what cannot be judged by reading, so a person looks.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from . import code_policy_lists as lists
from .code_policy_names import DEFAULT_IMPORTS, QUERIES

_DOCUMENTED = frozenset({("collections", "abc"), ("datetime", "time"), ("os", "path"), ("concurrent", "futures")})
"""Members of modules that have the name of a module and are part of their interface."""
_OPEN_TO_VIEW = sys.stdlib_module_names | DEFAULT_IMPORTS
"""Modules whose members that have the name of a module are that module."""


class Finding(NamedTuple):
    """Something that needs a look: under `writes`, or under every policy."""

    node: ast.AST
    what: str
    policy: Literal["writes"] | None = None


@dataclass
class CellNames:
    """The names of a cell that its blocks have bound so far."""

    modules: dict[str, str] = field(default_factory=lambda: {**lists.USUAL_NAMES})
    """Names of modules: those that were imported, and the usual ones of those that an earlier cell may have."""
    imported: set[str] = field(default_factory=set[str])
    """The names among them that this cell has imported."""
    members: dict[str, str] = field(default_factory=dict[str, str])
    """Names that were imported from a module: `join` → `os.path.join`."""
    defined: set[str] = field(default_factory=set[str])
    """Functions, classes and methods of this cell, which are judged where they are defined."""

    def add(self, tree: ast.AST) -> None:
        """Add what a block binds."""
        for node in ast.walk(tree):
            match node:
                case ast.Import():
                    for alias in node.names:
                        local = alias.asname or alias.name.partition(".")[0]
                        self.modules[local] = alias.name if alias.asname else local
                        self.imported.add(local)
                case ast.ImportFrom():
                    self.members.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    self.defined.add(node.name)
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda()):
                    self.defined.add(name)
                case _:
                    pass


def findings(tree: ast.AST, names: CellNames) -> Iterator[Finding]:
    """Yield what needs a look in a block, of which `names` has the names."""
    used: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute():
                used.add(node.value)
                yield from _attribute(node, names)
            case ast.Import() | ast.ImportFrom():
                yield from _import(node)
            case ast.Call():
                used.add(node.func)
                yield from _call(node, names)
            case ast.ClassDef():
                yield from _class(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _definition(node, node.name)
            case _:
                pass
        yield from _bound(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node not in used:
            yield from _handed_on(node, names)


def _handed_on(node: ast.Name, names: CellNames) -> Iterator[Finding]:
    """Yield a name that is neither called nor the module of a member, so that what is done with it is not seen."""
    if node.id in names.imported or node.id in lists.LISTED:
        yield Finding(node, f"hands the module {names.modules[node.id]} on as a value")
    elif node.id in lists.FINISHING:
        yield Finding(node, f"hands {node.id} on as a value")


# -- members of modules


def _attribute(node: ast.Attribute, names: CellNames) -> Iterator[Finding]:
    name, path = node.attr, _dotted(node)
    root = path[0] if path else ""
    if name in lists.LATER:
        yield Finding(node, f"has code run later ({name})")
    elif name.startswith("_") and not name.startswith("__") and name not in lists.PUBLIC_IN_SPITE:
        if len(path) != 2 or root not in ("self", "cls"):
            yield Finding(node, f"uses the private name {_short(name)}")
    elif name.startswith("to_") and name not in lists.HARMLESS_TO and name not in names.defined:
        yield Finding(node, f"may write files ({_short(name)})", "writes")
    if root in names.modules:
        module = [*names.modules[root].split("."), *path[1:]]
        yield from _path(node, module, known=root in names.imported)
        if not isinstance(node.ctx, ast.Load) and module[:2] != ["pandas", "options"]:
            yield Finding(node, f"changes the module {_short(names.modules[root])}")
    elif root in names.members:
        yield from _path(node, [*names.members[root].split("."), *path[1:]], known=True)


def _dotted(node: ast.expr) -> list[str]:
    """Return the names of an attribute of a name, from the left; empty for an attribute of anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [*parts, node.id][::-1] if isinstance(node, ast.Name) else []


def _path(node: ast.AST, path: list[str], *, known: bool) -> Iterator[Finding]:
    """Yield what the last name of a path into a module reaches. `known`: its first name is a module for certain."""
    module, name = path[0], path[-1]
    if len(path) < 2:
        return
    if len(path) == 2 and module in lists.MEMBERS and not name.startswith("_"):
        if name not in lists.MEMBERS[module]:
            yield Finding(node, f"uses {module}.{_short(name)}, which is not known to be harmless")
    elif path[-3:-1] == ["pandas", "api"] and name != "types":
        yield Finding(node, f"uses pandas.api.{_short(name)}, which is not known to be harmless")
    elif known and _is_a_module_of_another(path):
        yield Finding(node, f"reaches the module {name} through {_short('.'.join(path[:-1]))}")
    if path == ["operator", "call"]:
        yield Finding(node, "calls what it is given (operator.call)")
    if name in lists.LATER:
        yield Finding(node, f"has code run later ({name})")


def _is_a_module_of_another(path: list[str]) -> bool:
    """Return whether a path into a module ends in a module of Python's that is no documented part of it.

    Packages of others may have parts with such names (`scipy.signal`).
    """
    package, (inside, name) = path[0], path[-2:]
    if package in lists.MEMBERS or package not in _OPEN_TO_VIEW:
        return False
    return name in sys.stdlib_module_names and name != inside and (inside, name) not in _DOCUMENTED


def _import(node: ast.Import | ast.ImportFrom) -> Iterator[Finding]:
    for alias in node.names:
        module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        path = f"{module}{alias.name}".split(".")
        for length in range(2, len(path) + 1):
            yield from _path(node, path[:length], known=True)
        usual = {name for name, module in lists.USUAL_NAMES.items() if module == alias.name}
        if not module and alias.asname and alias.name in lists.MEMBERS and alias.asname not in {alias.name, *usual}:
            # The cells after this one would use it under a name that says nothing.
            yield Finding(node, f"imports {alias.name} under another name")


# -- meanings of names


def _bound(node: ast.AST) -> Iterator[Finding]:
    """Yield the names that a node gives another meaning."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            bound = [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            bound = [name]
        case ast.Import(names=aliases):
            bound = [alias.asname or alias.name for alias in aliases]
        case ast.ImportFrom(names=aliases):
            bound = [alias.asname for alias in aliases if alias.asname]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            bound = [name]
        case _:
            return
    for name in bound:
        if name in lists.KEPT_MEANINGS or name in QUERIES:
            yield Finding(node, f"gives {name} another meaning")


# -- code that Python runs by itself


def _class(node: ast.ClassDef) -> Iterator[Finding]:
    if any(keyword.arg not in lists.HARMLESS_CLASS_KEYWORDS for keyword in node.keywords):
        yield Finding(node, f"runs code when the class {_short(node.name)} is made or restored")
    for statement in node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        for target in targets:
            if isinstance(target, ast.Name):
                yield from _definition(target, target.id)


def _definition(node: ast.AST, name: str) -> Iterator[Finding]:
    dunder = name.startswith("__") and name.endswith("__")
    if dunder and name not in lists.HARMLESS_METHODS:
        yield Finding(node, f"defines {_short(name)}, which Python calls by itself, also later")


# -- calls


def _call(node: ast.Call, names: CellNames) -> Iterator[Finding]:
    match node.func:
        case ast.Name(id="type") if len(node.args) + len(node.keywords) > 1 or _starred(node):
            yield Finding(node, "makes a class of values (type)")
        case ast.Name(id="TypeAdapter") | ast.Attribute(attr="TypeAdapter"):
            if not all(_is_type(argument, names) for argument in node.args[:1]):
                yield Finding(node, "may evaluate text as a type (TypeAdapter)")
        case ast.Name(id=name) if names.members.get(name, "").startswith("pandas.read_sql"):
            yield Finding(node, f"may change a database ({name})", "writes")
        case ast.Attribute(attr=name) if name.startswith("read_sql"):
            yield Finding(node, f"may change a database ({name})", "writes")
        case ast.Attribute(attr=name) if name in lists.TAKING_METHODS:
            arguments = [*node.args[:1], *_named_methods(node, name)]
            yield from _methods_by_text(node, arguments, name, names)
        case _:
            yield from _methods_by_text(node, _named_methods(node, ""), "aggfunc", names)


def _starred(node: ast.Call) -> bool:
    return any(isinstance(one, ast.Starred) for one in node.args) or any(one.arg is None for one in node.keywords)


def _named_methods(node: ast.Call, name: str) -> list[ast.expr]:
    """Return the keyword arguments of a call that may name methods."""
    aggregates = name in ("agg", "aggregate")
    values: list[ast.expr] = []
    for keyword in node.keywords:
        if keyword.arg in ("func", "aggfunc"):
            values.append(keyword.value)
        elif aggregates and keyword.arg not in lists.OPTIONS_OF_METHODS:
            # A column's name and what becomes of it: agg(total=("price", "sum")).
            last = keyword.value.elts[-1:] if isinstance(keyword.value, ast.Tuple) else [keyword.value]
            values += last
    return values


def _methods_by_text(node: ast.AST, arguments: Iterable[ast.expr], taker: str, names: CellNames) -> Iterator[Finding]:
    """Yield what is not clearly a function, or the name of a harmless method, among arguments that may be either."""
    todo = list(arguments)
    while todo:
        match todo.pop():
            case ast.Constant(value=str(name)):
                if name not in lists.HARMLESS_AGGREGATIONS:
                    yield Finding(node, f"calls a method that a text names ({taker}: {_short(name)})")
            case ast.Constant() | ast.Lambda():
                pass
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts) | ast.Dict(values=parts):
                todo += parts
            case ast.Name(id=name) if name in names.defined or name in names.members or name in lists.FUNCTIONS:
                pass
            case ast.Attribute() as attribute if (path := _dotted(attribute)) and (
                path[0] in names.modules or path[0] in lists.FUNCTIONS or path[0] in names.defined
            ):
                pass
            case ast.Call(func=ast.Name(id="partial") | ast.Attribute(attr="partial")):
                pass
            case ast.Call(func=ast.Name(id="NamedAgg") | ast.Attribute(attr="NamedAgg")) as named:
                todo += named.args[1:]
            case _:
                yield Finding(node, f"may call a method that a text names ({taker})")


def _is_type(argument: ast.expr, names: CellNames) -> bool:
    """Return whether an expression is a type and not a text. Texts inside of it are judged as annotations are."""
    match argument:
        case ast.Name(id=name):
            return name in names.defined or name in names.members or name in lists.FUNCTIONS
        case ast.Subscript() | ast.Attribute() | ast.BinOp():
            return not any(isinstance(one, ast.Constant) and isinstance(one.value, str) for one in ast.walk(argument))
        case _:
            return False


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:59]}…"
