"""Judge by a cell's code, without running it, whether it reads anything of the input.

A run that is answered before anything of its input was read is answered from memory. Names, sizes and types are no
reading. In doubt a cell reads: an alias, `exec`, code that does not parse. So what is judged not to read did not.
"""

import ast
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from ..replies.python_source import parse

_LONGEST = 50_000
"""Characters of the longest cell that is examined."""
_MOST_NODES = 20_000
"""Nodes of the largest syntax tree that is examined, which takes some hundredths of a second."""
_DESCRIBING_CALLS = frozenset({"bool", "isinstance", "len", "type"})
_DESCRIBING_FIELDS = frozenset({"line_count", "meta", "name", "names", "notes", "sheets", "skipped", "total_chars"})
_PARTS = frozenset({"pages", "text"})
"""Fields that stand for text of a document: asking for the number of its pages reads none of them."""
_OTHER_WAYS = frozenset({"cite", "eval", "exec", "get_ipython", "globals", "locals", "vars"})
"""Names by which code reaches `context` without naming it."""

_Loop = ast.For | ast.AsyncFor | ast.comprehension


def reads_context(blocks: Sequence[str]) -> bool:
    """Return whether the code of a cell may read a character of `context`, or pass it on. Never raises."""
    if sum(map(len, blocks)) > _LONGEST:
        return True
    trees = [tree for tree in map(parse, blocks) if tree is not None]
    nodes = list(islice(chain.from_iterable(map(ast.walk, trees)), _MOST_NODES + 1))
    if len(trees) < len(blocks) or len(nodes) > _MOST_NODES:
        return True
    documents = {name for node in nodes if isinstance(node, _Loop) and (name := _document_of(node))}
    described = {id(name) for node in nodes for name in _described_in(node)}
    return any(id(node) not in described and _reads(node, {"context", *documents}) for node in nodes)


def _reads(node: ast.AST, inputs: set[str]) -> bool:
    """Return whether a node, which is in no description, stands for something of the input. `inputs`: names of it."""
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            return name in inputs or name in _OTHER_WAYS
        case ast.Constant(value="context") | ast.alias(name="__main__"):
            return True
        case _:
            return False


def _described_in(node: ast.AST) -> Iterator[ast.Name]:
    """Yield the names that a node only describes: `context` in `len(context)`, `context[0].name`, `for d in context`.

    What is done to a document `d` of such a loop is judged by itself.
    """
    match node:
        case ast.Call(func=ast.Name(id=called), args=[given, *_]) if called in _DESCRIBING_CALLS:
            subject = _subject(given)
        case ast.Attribute(value=value, attr=field) if field in _DESCRIBING_FIELDS:
            subject = _subject(value)
        case ast.For() | ast.AsyncFor() | ast.comprehension() if _document_of(node):
            subject = _subject(_documents_of(node))
        case _:
            subject = None
    if subject is not None:
        yield subject


def _subject(expression: ast.expr) -> ast.Name | None:
    """Return the name that an expression takes a part of: `d` of `d`, `d[0]`, `d.text` and `d.pages`."""
    while True:
        match expression:
            case ast.Name():
                return expression
            case ast.Subscript(value=value):
                expression = value
            case ast.Attribute(value=value, attr=field) if field in _PARTS:
                expression = value
            case _:
                return None


def _documents_of(loop: _Loop) -> ast.expr:
    """Return what a loop goes through, without `enumerate`."""
    match loop.iter:
        case ast.Call(func=ast.Name(id="enumerate"), args=[documents, *_]):
            return documents
        case documents:
            return documents


def _document_of(loop: _Loop) -> str | None:
    """Return the name that a loop over `context` gives to each document; None for any other loop."""
    documents, target = _documents_of(loop), loop.target
    if documents is not loop.iter and isinstance(target, ast.Tuple) and len(target.elts) == 2:
        target = target.elts[1]
    elif documents is not loop.iter:
        return None
    match target, _subject(documents):
        case ast.Name(id=name), ast.Name(id="context"):
            return name
        case _:
            return None
