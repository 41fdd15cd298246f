"""The demo's question, the files that it is asked over, and the rules of its stand-in for a sub-model."""

import ast
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_CALL = re.compile(r"(?:\w+\.)*(?:warn\w*|_deprecated)\(")
_INSTEAD = [
    re.compile(pattern)
    for pattern in (
        r"\b[Uu]se (?!of )(?:the |a |an )?(.{2,70}?)(?: directly)?,? instead",
        r"[Ss]et (.{2,40}?) instead",
        r"instead,? (?:please )?use (?:the )?([^.;]{2,70})",
        r"in favou?r of (?:the )?([\w.()]{2,60})",
        r"(?:superseded|replaced) by (?:the )?([\w.()]{2,60})",
        r"\b[Uu]se (?!of )(?:the )?([\w.]+\(?\)?(?: (?:or|and) [\w.]+\(?\)?)?)(?! of)",
        r"[Aa]dd (visit_\w+)",
    )
]
_NO_NAME = {"", "it", "its", "that", "the", "this", "to", "in", "by"}
_REMOVED = (
    re.compile(r"remov\w+(?: from \w+)? in (?:Python )?(\d\.\d+)"),
    re.compile(r"remove=\((\d), ?(\d+)\)"),
)
_WHAT = re.compile(
    r"(?:^|[.;] )(?:[Tt]he )?(?:use of |support for )?(.{2,60}?) (?:is|are|was|has been|have been) (?:now )?deprecated"
)
_NAME = re.compile(
    r"['\"]?([\w.]*\w(?:\(\))?)['\"]?(?: (?:method|function|argument|parameter|module|attribute|flag|class))?"
)


def judge(file: str, where: str, excerpt: str) -> dict[str, str | None]:
    """Return what is deprecated, what to use instead and in which version it is removed, as far as the excerpt says.

    The keys are `what`, `instead` and `removed_in`; the last two may be None.
    """
    module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    call = _call(excerpt)
    message = _message(call, excerpt, module, where) if call else ""
    prose = " ".join([message, *_docstrings(excerpt)])
    return {
        "what": _what(message, module, where),
        "instead": _first(_INSTEAD, message) or _first(_INSTEAD, prose),
        "removed_in": _removed(" ".join([prose, excerpt])),
    }


def _call(excerpt: str) -> ast.Call | None:
    """Return the last call in the excerpt that warns, or None."""
    for found in reversed(list(_CALL.finditer(excerpt))):
        expression = _parsed(excerpt[found.start() :])
        if isinstance(expression, ast.Call):
            return expression
    return None


def _parsed(source: str) -> ast.expr | None:
    """Return the expression that `source` begins with, regardless of what follows it, or None."""
    for end in re.finditer(r"\)", source):
        try:
            return ast.parse(source[: end.end()], mode="eval").body
        except (SyntaxError, ValueError):
            continue
    return None


def _message(call: ast.Call, excerpt: str, module: str, where: str) -> str:
    """Return the warning as its user would read it, as far as the excerpt contains it."""
    name = _text(call.args[0], excerpt, module, where) if call.args else ""
    if ast.unparse(call.func).endswith("_deprecated"):
        rest = _text(call.args[1], excerpt, module, where) if len(call.args) > 1 else ""
        return (rest or "{name!r} is deprecated").replace("{name!r}", name).replace("{name}", name)
    return " ".join(name.split())


def _text(node: ast.expr, excerpt: str, module: str, where: str) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, excerpt, module, where) for part in parts)
        case ast.FormattedValue(value=value):
            return where.split(".")[0] if "__class__" in ast.unparse(value) else _text(value, excerpt, module, where)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, excerpt, module, where) + _text(right, excerpt, module, where)
        case ast.BinOp(left=left):
            return _text(left, excerpt, module, where)
        case ast.Call(func=ast.Attribute(value=value, attr="format")):
            return _text(value, excerpt, module, where)
        case ast.Name(id="__name__"):
            return module
        case ast.Name(id=variable):
            found = re.search(rf"^\s*{variable} = ", excerpt, re.MULTILINE)
            value = _parsed(excerpt[found.end() :]) if found else None
            return "" if value is None or isinstance(value, ast.Name) else _text(value, excerpt, module, where)
        case _:
            return ""


def _docstrings(excerpt: str) -> Iterator[str]:
    """Yield docstrings and comments that mention deprecation, each on one line."""
    for found in re.finditer(r'"""(.*?)(?:"""|\Z)|((?:^\s*#.*\n?)+)', excerpt, re.DOTALL | re.MULTILINE):
        text = " ".join((found[1] or found[2] or "").replace("#", " ").split())
        if "eprecat" in text:
            yield text


def _what(message: str, module: str, where: str) -> str:
    found = _WHAT.search(message)
    said = found[1].strip(" '\"`:") if found else ""
    name = _NAME.fullmatch(said)
    last = where.rsplit(".", 1)[-1]
    if name and name[1].removesuffix("()") not in ("It", "This", "that", "it"):
        return said.replace("'", "").replace('"', "")
    if said and len(said.split()) <= 6 and "{" not in said and "%" not in said:
        return said
    if where == "module level":
        return module
    return f"{module}.{where.removesuffix('.__init__')}" if last.startswith("__") else f"{module}.{where}()"


def _first(patterns: list[re.Pattern[str]], text: str) -> str | None:
    for pattern in patterns:
        for found in pattern.finditer(text):
            name = found[1].strip(" .,;:'\"`")
            if name.lower() not in _NO_NAME and "deprecat" not in name and "{" not in name:
                return name
    return None


def _removed(text: str) -> str | None:
    for pattern in _REMOVED:
        if found := pattern.search(text):
            return ".".join(found.groups())
    return None


QUESTION = (
    "Which parts of Python's standard library warn that they are deprecated, what do they tell you to use instead, "
    "and in which version will they be removed? Count exactly how many places warn and in how many files, name the "
    "packages with the most, and list what replaces what."
)

OFFLINE = f"scripted:{Path(__file__).with_name('model.py')}"
"""The model setting of the stand-in."""

MOST_CALLS = 400


def offline_settings(*, unsandboxed: bool | None = None, approve: str = "") -> dict[str, Any]:
    """Return the settings of a run of the stand-in. They override RLM_… and rlm.toml: it must spend no money.

    An empty schema accepts any answer: a schema that is set for this folder would refuse the demo's. Instructions are
    for other questions.
    """
    return {
        **{"model": OFFLINE, "sub_model": OFFLINE, "base_url": "", "approve": approve, "schema": {}},
        "instructions": "",
        **{"max_calls": MOST_CALLS, "max_depth": 1, "unsandboxed": unsandboxed},
    }


# Not part of the library itself, not written for users to call, or tables of characters.
_LEFT_OUT = {
    *("site-packages", "dist-packages", "__pycache__", "__phello__", "test", "tests", "idlelib", "lib2to3"),
    *("turtledemo", "pydoc_data", "encodings", "ensurepip", "distutils"),
}


def corpus() -> list[str]:
    """Return the source files of the running Python's standard library, as patterns for `rlm run`."""
    library = Path(sysconfig.get_path("stdlib"))
    packages = sorted(
        folder.name
        for folder in library.iterdir()
        if (folder / "__init__.py").is_file() and folder.name not in _LEFT_OUT
    )
    return [f"{library}/*.py", *(f"{library}/{package}/**/*.py" for package in packages)]
