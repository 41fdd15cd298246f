"""Find code where models put it that were trained on other programs: in XML elements, or in JSON.

Looked for only in replies without a fenced block of Python, and run only if it is Python that does something.
"""

import json
import re
from itertools import islice
from typing import Any, cast

from .python_source import SourceJudge, does_something

_OPENING = re.compile(
    r"<(code|execute|execute_python|python|repl|parameter|arg_value)"
    r"(?:\s+name=[\"']?(\w{1,40})[\"']?)?\s*>[ \t]*\n?",
    re.IGNORECASE,
)
_NAMES = ("code", "python", "source", "script", "cell", "input")
_PARAMETERS = frozenset({"parameter", "arg_value"})
"""Elements that hold code only under one of these names."""
_MOST = 64
_DEEPEST = 4


def tagged_code(text: str, judge: SourceJudge) -> list[str]:
    """Return the code of a reply outside of fenced blocks, in order; empty without any."""
    found = _in_json(text) or _in_elements(text)
    trees = {code: tree for code in found if code.strip() and (tree := judge.tree(code))}
    return [code for code in found if code in trees] if any(map(does_something, trees.values())) else []


def _in_elements(text: str) -> list[str]:
    found: list[str] = []
    lower, at = text.lower(), 0
    for opening in islice(_OPENING.finditer(text), _MOST):
        element, name = opening[1].lower(), (opening[2] or "").lower()
        end = lower.find(f"</{element}", opening.end())
        if opening.start() < at or end < 0 or (element in _PARAMETERS and name not in _NAMES):
            continue
        found.append(text[opening.end() : end].rstrip())
        at = end
    return found


def _in_json(text: str) -> list[str]:
    if not text.lstrip().startswith("{"):
        return []
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [code] if (code := _field(value, 0)) else []


def _field(value: Any, depth: int) -> str:
    """Return the text of the first field that is called like code, in a dict or in one of its dicts."""
    if not isinstance(value, dict) or depth > _DEEPEST:
        return ""
    fields = cast("dict[str, Any]", value)
    own = next((code for name in _NAMES if isinstance(code := fields.get(name), str) and code.strip()), "")
    return own or next((code for part in fields.values() if (code := _field(part, depth + 1))), "")
