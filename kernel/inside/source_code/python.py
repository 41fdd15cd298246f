"""Definitions, uses and imports in Python code, found in its syntax tree. Every function may raise SyntaxError."""

import ast
import warnings
from collections.abc import Iterator

_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definitions(code: str) -> "Iterator[tuple[str, str, int, int]]":
    """Yield the qualified name, the kind, the first and the last line of each definition, in order.

    Variables count where they are assigned at the top of a module or of a class.
    """
    waiting: list[tuple[ast.stmt, str, str]] = [(one, "", "module") for one in reversed(_parsed(code).body)]
    while waiting:
        node, within, kind_within = waiting.pop()
        if isinstance(node, _Definition):
            name = f"{within}{node.name}"
            kind = "class" if isinstance(node, ast.ClassDef) else "method" if kind_within == "class" else "function"
            yield name, kind, node.lineno, node.end_lineno or node.lineno
            waiting += [(one, f"{name}.", kind) for one in reversed(node.body)]
        elif isinstance(node, ast.Assign | ast.AnnAssign) and kind_within in ("module", "class"):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for one in target.elts if isinstance(target, ast.Tuple) else [target]:
                    if isinstance(one, ast.Name):
                        kind = "constant" if one.id.isupper() else "variable"
                        yield f"{within}{one.id}", kind, one.lineno, node.end_lineno or node.lineno
        else:
            # `if TYPE_CHECKING:`, `try:`, `with`, `for`: what they hold belongs to what they are in.
            waiting += [(one, within, kind_within) for one in reversed(list(_statements(node)))]


def uses(code: str, name: str) -> "Iterator[int]":
    """Yield the line of each use of an identifier, its definitions excluded."""
    for node in ast.walk(_parsed(code)):
        match node:
            case (
                ast.Name(id=found, lineno=line)
                | ast.Attribute(attr=found, end_lineno=int(line))
                | ast.keyword(arg=str(found), lineno=line)
            ) if found == name:
                yield line
            case ast.alias() if name in (*node.name.split("."), node.asname):
                yield node.lineno
            case _:
                pass


def imports(code: str) -> "Iterator[tuple[int, str, str | None]]":
    """Yield the line, the module and the imported name of each import."""
    for node in ast.walk(_parsed(code)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, module, alias.name) for alias in node.names)


def _statements(node: ast.stmt) -> "Iterator[ast.stmt]":
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from child.body


def _parsed(code: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in the code that is read
        try:
            return ast.parse(code)
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(f"it cannot be parsed: {error}") from None
