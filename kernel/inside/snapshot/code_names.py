"""Which names of the namespace a piece of code may touch, read from its bytecode.

An over-estimate on purpose: every name in the code counts, attribute names and those of nested functions too.
"""

import ast
import types
from collections.abc import Iterable, Sequence
from functools import lru_cache

ANY = "*"
"""Stands in a set of names for: any variable may be touched."""

_REACHES_ALL = frozenset(
    (
        *("globals", "locals", "vars", "eval", "exec", "dir", "compile", "get_ipython", "user_ns", "run_cell"),
        *(
            "__main__",
            "modules",
            "_getframe",
            "currentframe",
            "stack",
            "f_globals",
            "f_locals",
            "f_back",
            "__globals__",
        ),
        *("get_objects", "get_referrers", "get_referents", "settrace", "setprofile"),
    )
)
"""Code that says one of these may reach variables that it does not name."""
DANGEROUS = frozenset((globals, locals, vars, eval, exec, dir))
"""Functions that do, under whatever name they are called."""


def names_in(blocks: Iterable[str]) -> "frozenset[str]":
    """The names that cells may touch; with ANY when they cannot be read (IPython's own syntax) or reach everything."""
    found: set[str] = set()
    for block in blocks:
        try:
            code = compile(block, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return frozenset((ANY,))
        found |= names_of(code)
    return frozenset(found)


@lru_cache(4096)
def names_of(code: types.CodeType) -> "frozenset[str]":
    """The same of compiled code, its nested functions and classes included."""
    found = {*code.co_names, *code.co_varnames}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= names_of(constant)
    if not found.isdisjoint(_REACHES_ALL):
        found.add(ANY)
    return frozenset(found)


def patched(blocks: Sequence[str]) -> "set[tuple[str, str]]":
    """`(name, attribute)` of every `name.attribute = …`, `del name.attribute` or `setattr(name, "attribute", …)`.

    Dotted names are given whole: `("os.path", "join")`.
    """
    found: set[tuple[str, str]] = set()
    for block in blocks:
        try:
            tree = ast.parse(block)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(value=owner, attr=attribute, ctx=ast.Store() | ast.Del()):
                    pass
                case ast.Call(
                    func=ast.Name(id="setattr" | "delattr"), args=[owner, ast.Constant(value=str(attribute)), *_]
                ):
                    pass
                case _:
                    continue
            if name := _dotted(owner):
                found.add((name, attribute))
    return found


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
