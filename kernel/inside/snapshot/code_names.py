"""The names of the namespace that a piece of code may touch, read from its bytecode.

This is an over-estimate on purpose: every name in the code counts, also attribute names and those of nested functions.
"""

import ast
import types
from collections.abc import Iterable, Sequence
from functools import lru_cache

ANY = "*"
"""Member of a set of names that means: any variable may be touched."""

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
        *("get_objects", "get_referrers", "get_referents", "settrace", "setprofile", "__subclasses__"),
    )
)
"""Names with which code may reach variables that it does not name."""
DANGEROUS = frozenset((globals, locals, vars, eval, exec, dir))
"""Functions with which code may do so, under any name."""


def names_in(blocks: Iterable[str]) -> "frozenset[str]":
    """Return the names that cells may touch.

    ANY is among them when the code cannot be compiled (IPython's own syntax) or may reach everything.
    """
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
    """Return the names that compiled code may touch, including its nested functions and classes."""
    found = {*code.co_names, *code.co_varnames}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= names_of(constant)
    if not found.isdisjoint(_REACHES_ALL):
        found.add(ANY)
    return frozenset(found)


def patched(blocks: Sequence[str]) -> "set[tuple[str, str]]":
    """Return `(name, attribute)` of each `name.attribute = …`, `del name.attribute`, `setattr(name, "attribute", …)`.

    Dotted names are whole: `("os.path", "join")`.
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
