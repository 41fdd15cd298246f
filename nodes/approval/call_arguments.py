"""What the arguments of a call tell about what a method of that name does here: read or write, text or file."""

import ast
import re

from .code_policy_names import PLACES

_READING = re.compile(r"[btU]?r[btU]{0,2}|r[:|][\w*]*")


def modes(call: ast.Call, positions: list[int]) -> list[str] | None:
    """The literals that stand for modes in a call; None when one of them is no literal."""
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return None
    if any(keyword.arg is None for keyword in call.keywords):
        return None
    given = [call.args[position] for position in positions if position < len(call.args)]
    given += [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    literals = [mode.value for mode in given if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
    return literals if len(literals) == len(given) else None


def is_reading(mode: str) -> bool:
    """Whether a mode of files or archives is plainly one for reading."""
    return _READING.fullmatch(mode) is not None


def returns_text(call: ast.Call) -> bool:
    """Whether a method that writes where it is told is told no place, and gives its text back."""
    return not call.args and all(keyword.arg is not None and keyword.arg not in PLACES for keyword in call.keywords)


def is_of_text(call: ast.Call, name: str) -> bool:
    """Whether a method has the arguments that it has with texts, tables and dates, not with paths or archives."""
    positional = [argument for argument in call.args if not isinstance(argument, ast.Dict)]
    if name == "extract":
        return isinstance(call.func, ast.Attribute) and getattr(call.func.value, "attr", None) == "str"
    if any(isinstance(argument, ast.Starred) for argument in positional) or any(
        keyword.arg in (None, "target", "dst") for keyword in call.keywords
    ):
        return False
    return len(positional) > 1 if name == "replace" and positional else not positional


def is_text_without(argument: ast.expr, mark: str) -> bool:
    """Whether an argument is a literal text without `mark`."""
    return isinstance(argument, ast.Constant) and isinstance(argument.value, str) and mark not in argument.value
