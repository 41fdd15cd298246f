"""Judge text as Python without running it: whether it parses, whether it is code or data, where its strings end.

IPython is not imported here, to keep the graph's process light: its syntax (`%time`, `!ls`, `name?`, `%%cell`) is only
recognised line by line and hidden from the parser.
"""

import ast
import re
import warnings
from collections.abc import Sequence

_FLAGS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

_ESCAPED_LINE = re.compile(
    r"^([ \t]*+)(?:[%!]{1,2}[A-Za-z][^\n]*+|\?{1,2}[\w.*]++|[A-Za-z_][\w.*]*+\?{1,2})[ \t]*$", re.MULTILINE
)
_ESCAPED_VALUE = re.compile(r"^([ \t]*+[A-Za-z_][\w., ]*+=[ \t]*+)[%!][A-Za-z][^\n]*+$", re.MULTILINE)

# A triple quote is matched alone and its end is searched separately, because one pattern for all of a long string would
# keep the engine's state for every character of it.
_TOKEN = re.compile(
    r"""\"{3}|'{3}|\#[^\n]*|"[^"\\\n]*(?:\\.[^"\\\n]*)*"?|'[^'\\\n]*(?:\\.[^'\\\n]*)*'?""",
    re.DOTALL,
)
_TRIPLE_END = {
    '"""': re.compile(r'\\.|"{3}', re.DOTALL),
    "'''": re.compile(r"\\.|'{3}", re.DOTALL),
}

_REPL_CALLS = frozenset({"FINAL", "FINAL_VAR", "SUBMIT", "SHOW_VARS"})
_CODE_LINE = re.compile(
    r"\s*(?:import \w|from [\w.]+ import\b|(?:async )?def \w+ ?\(|class \w+\b.*:|@\w|return\b|try:|else:"
    r"|(?:async )?(?:for|while|if|elif|with|except)\b.*:\s*(?:#.*)?$"
    r"|await \w|print ?\(|(?:FINAL|FINAL_VAR|SUBMIT|SHOW_VARS|map_query|a?[lr]lm_query(?:_batched)?) ?\("
    r"|[A-Za-z_][\w.]*(?:\[[^\]]*\])? ?[-+*/|&]?=(?!=) ?\S|[a-z_][\w.]*\(.*\)?\s*$)"
)


class SourceJudge:
    """A parser of candidates with a budget of characters and tries, which bounds the cost of a hostile reply.

    100,000 characters of dense code take about 0.1 s. One judge serves one reply.
    """

    def __init__(self, *, characters: int = 400_000, tries: int = 120) -> None:
        self._characters = characters
        self._tries = tries

    def tree(self, source: str) -> ast.Module | None:
        """Return the syntax tree of `source`; None when it does not parse, or when the budget is spent."""
        for candidate in (source, without_ipython_lines(source)):
            if candidate is None or not self._take(len(candidate)):
                return None
            if tree := parse(candidate):
                return tree
        return None

    def parses(self, source: str) -> bool:
        """Return whether `source` is known to be Python, IPython's syntax included."""
        return self.tree(source) is not None

    def first_outside_strings(self, text: str, start: int, positions: Sequence[int]) -> int | None:
        """Return the index of the first of `positions` that is in no string when Python is read from `start`.

        Positions ascend. None: all are in strings, or the budget is spent. Only quotes and comments are understood, so
        text that is not Python can mislead it: the result is a candidate, not a verdict.
        """
        if not positions or not self._take(positions[-1] - start):
            return None
        at, index = start, 0
        while index < len(positions):
            token = _TOKEN.search(text, at, positions[-1])
            if token is None or positions[index] < token.start():
                return index
            at = _end_of_string(text, token, positions[-1])
            while index < len(positions) and positions[index] < at:
                index += 1
        return None

    def affords(self, characters: int) -> bool:
        """Return whether the budget allows another candidate of that length."""
        return self._tries > 0 and self._characters >= characters

    def _take(self, characters: int) -> bool:
        if not self.affords(characters):
            # A refusal costs a try too, because the caller has already copied the candidate.
            self._tries -= 1
            return False
        self._tries -= 1
        self._characters -= characters
        return True


def parse(source: str) -> ast.Module | None:
    """Return the syntax tree of `source`, without IPython's syntax; None when it does not parse.

    Only Python's limits apply.
    """
    # Warning filters belong to the process and are restored at once. An invalid escape in a model's string is no
    # warning of this program.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = compile(source, "<reply>", "exec", _FLAGS, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return None
    return tree if isinstance(tree, ast.Module) else None


def without_ipython_lines(source: str) -> str | None:
    """Return `source`, which does not parse, with IPython's lines made inert; None when it has none.

    Parsing it again is then of no use.
    """
    if source.lstrip().startswith("%%"):
        return "_()"
    if not any(mark in source for mark in "%!?"):
        return None
    inert = _ESCAPED_VALUE.sub(r"\1_()", _ESCAPED_LINE.sub(r"\1_()", source))
    return inert if inert != source else None


def does_something(tree: ast.Module) -> bool:
    """Return whether a parsed block is code, and not data or printed output that happens to parse.

    Literals, `Total: 42`, `count = 17` and the shape of a repr (`Counter({...})`) are what models write when they show
    what they expect to see; running those could overwrite real variables with guesses.
    """
    return any(_acts(statement) for statement in tree.body)


def _acts(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            return name in _REPL_CALLS or not name[:1].isupper()
        case ast.Expr(value=value):
            return isinstance(value, ast.Call | ast.Await)
        case ast.Assign(targets=targets, value=value):
            return not _is_literal(value) or not all(isinstance(target, ast.Name) for target in targets)
        case ast.AnnAssign(value=value):
            return value is not None and not _is_literal(value)
        case ast.Pass():
            return False
        case _:
            return True


def _is_literal(value: ast.expr) -> bool:
    match value:
        case ast.Constant():
            return True
        case ast.UnaryOp(operand=operand):
            return isinstance(operand, ast.Constant)
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return all(_is_literal(element) for element in elements)
        case ast.Dict(values=values):
            return all(_is_literal(element) for element in values)
        case _:
            return False


def looks_like_code(source: str) -> bool:
    """Return whether some line of `source` has the shape of code, for a block that does not parse or only assigns."""
    return any(_CODE_LINE.match(line[:200]) for line in source[:40_000].split("\n")[:400])


def _end_of_string(text: str, token: re.Match[str], end: int) -> int:
    if token[0] not in _TRIPLE_END:
        return token.end()
    for found in _TRIPLE_END[token[0]].finditer(text, token.end(), end):
        if found[0] == token[0]:
            return found.end()
    # One past the end: the string is open there, and covers the last position too.
    return end + 1
