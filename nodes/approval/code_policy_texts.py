"""Find code in texts that libraries evaluate: types in annotations, and the conditions of queries of tables."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from ..replies.python_source import parse

_BACKTICKED = re.compile(r"`[^`]*`")
"""The name of a column, as it is written in a query when it is no name of Python's."""


def code_of_query(call: ast.Call | None) -> ast.AST | None:
    """Return the code in the literal text of a query; None where there is none that can be judged.

    A query may use methods of columns, and with `@` the variables of the cell.
    """
    match call:
        case ast.Call(args=[ast.Constant(value=str(text)), *_]) if "@" not in text:
            tree = parse(_BACKTICKED.sub("column", text.strip()))
            return tree and ast.increment_lineno(tree, call.lineno - 1)
        case _:
            return None


def texts_of_types(annotation: ast.expr) -> Iterator[Any]:
    """Yield the constants in an annotation whose text stands for a type, which pydantic, for one, runs as code.

    Not those of `Literal`, and not what `Annotated` adds to a type: these stay texts.
    """
    todo: list[ast.expr] = [annotation]
    while todo:
        match todo.pop():
            case ast.Constant(value=str()) as text:
                yield text
            case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inside):
                if name == "Annotated" and isinstance(inside, ast.Tuple):
                    todo += inside.elts[:1]
                elif name != "Literal":
                    todo.append(inside)
            case ast.Subscript(value=value, slice=inside):
                todo += [value, inside]
            case ast.BinOp(left=left, right=right):
                todo += [left, right]
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                todo += parts
            case ast.IfExp() | ast.BoolOp() | ast.Call() | ast.Starred() as other:
                # Whatever it makes is not known: all texts in it may be types.
                yield from (
                    one for one in ast.walk(other) if isinstance(one, ast.Constant) and isinstance(one.value, str)
                )
            case _:
                pass
