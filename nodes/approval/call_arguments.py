"""Judge by a call's arguments what a method of that name does here: read or write, handle text or files."""

import ast
import re

from .code_policy_names import PLACES

_READING = re.compile(r"[btU]?r[btU]{0,2}|r[:|][\w*]*")


def modes(call: ast.Call, positions: list[int]) -> list[str] | None:
    """Return the literals given as modes in a call; None when one of them is not a literal."""
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return None
    if any(keyword.arg is None for keyword in call.keywords):
        return None
    given = [call.args[position] for position in positions if position < len(call.args)]
    given += [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    literals = [mode.value for mode in given if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
    return literals if len(literals) == len(given) else None


def is_reading(mode: str) -> bool:
    """Return whether a mode of a file or archive is clearly one for reading."""
    return _READING.fullmatch(mode) is not None


def returns_text(call: ast.Call) -> bool:
    """Return whether a method that can write to a given place is given none, and so returns its text."""
    return not call.args and all(keyword.arg is not None and keyword.arg not in PLACES for keyword in call.keywords)


def is_of_text(call: ast.Call, name: str) -> bool:
    """Return whether a method's arguments are those it takes on texts, tables and dates, not on paths and archives."""
    positional = [argument for argument in call.args if not isinstance(argument, ast.Dict)]
    if name == "extract":
        return isinstance(call.func, ast.Attribute) and getattr(call.func.value, "attr", None) == "str"
    if any(isinstance(argument, ast.Starred) for argument in positional) or any(
        keyword.arg in (None, "target", "dst") for keyword in call.keywords
    ):
        return False
    return len(positional) > 1 if name == "replace" and positional else not positional


def is_text_without(argument: ast.expr, mark: str) -> bool:
    """Return whether an argument is a literal text without `mark`."""
    return isinstance(argument, ast.Constant) and isinstance(argument.value, str) and mark not in argument.value
