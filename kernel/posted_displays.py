"""Checks the display forms that a kernel posts with a cell's result, as hostile data (`inside/display_forms.py`).

They are only shown, so anything else than a form costs the forms of the cell, and not its kernel.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from .inside.display_forms import Form, display_form
from .inside.protocol import DISPLAY_LEVELS, MAX_DISPLAYS, OTHERS_CHANGED
from .message_parts import PLACE

__all__ = ["OTHERS_CHANGED", "Form", "display_of", "displays_text", "parse_displays"]

_MOST_NAMES = 1_000
_MOST = MAX_DISPLAYS + 256
"""Bytes that they may have: where surrogates are replaced, they become a little longer."""


class _NoForm(ValueError):
    """It is not what an unmodified kernel makes."""


def display_of(value: Any) -> Form:
    """Return the display form of a JSON value as a kernel makes it."""
    return display_form(value)


def displays_text(forms: Mapping[str, Form | None]) -> str:
    """Return the JSON text as which the forms of a turn are stored: the same for the same forms."""
    return json.dumps(forms, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def parse_displays(said: Any) -> dict[str, Form | None]:
    """Return the forms by name, each as it is shown; nothing when one is another value, or all are too large."""
    try:
        if not isinstance(said, dict) or len(cast(dict[Any, Any], said)) > _MOST_NAMES:
            return {}
        # Every part of a form takes a byte at least, so that this walk ends soon whatever was sent.
        left = [MAX_DISPLAYS]
        forms = {
            _text(name, left): None if form is None else _form(form, 0, left)
            for name, form in cast(dict[str, Any], said).items()
        }
        return forms if len(displays_text(forms).encode()) <= _MOST else {}
    except (_NoForm, ValueError, RecursionError):
        return {}


def _form(said: Any, level: int, left: list[int]) -> Form:
    if not isinstance(said, dict) or level > DISPLAY_LEVELS + 1:
        raise _NoForm
    form = cast(Mapping[str, Any], said)
    read = _KINDS.get(form.get("kind", "") if isinstance(form.get("kind"), str) else "")
    if read is None:
        raise _NoForm
    made = {"kind": form["kind"], **read(form, level, left)}
    return {**made, "cut": True} if form.get("cut") is True else made


def _text_form(form: Mapping[str, Any], level: int, left: list[int]) -> Form:
    del level
    return {"text": _text(form.get("text"), left), "length": _length(form.get("length"))}


def _value_form(form: Mapping[str, Any], level: int, left: list[int]) -> Form:
    del level
    return {"text": _text(form.get("text"), left)}


def _table_form(form: Mapping[str, Any], level: int, left: list[int]) -> Form:
    del level
    columns = [_text(name, left) for name in _listed(form.get("columns"), left)]
    rows = [[_cell(one, left) for one in _listed(row, left)] for row in _listed(form.get("rows"), left)]
    if any(len(row) != len(columns) for row in rows):
        raise _NoForm
    return {
        "columns": columns,
        "rows": rows,
        "length": _length(form.get("length")),
        "width": _length(form.get("width")),
    }


def _list_form(form: Mapping[str, Any], level: int, left: list[int]) -> Form:
    items = [_form(one, level + 1, left) for one in _listed(form.get("items"), left)]
    return {"items": items, "length": _length(form.get("length"))}


def _map_form(form: Mapping[str, Any], level: int, left: list[int]) -> Form:
    items: list[Any] = []
    for pair in _listed(form.get("items"), left):
        if len(_listed(pair, left)) != 2:
            raise _NoForm
        items.append([_text(pair[0], left), _form(pair[1], level + 1, left)])
    return {"items": items, "length": _length(form.get("length"))}


_KINDS: Mapping[str, Callable[[Mapping[str, Any], int, list[int]], Form]] = {
    "text": _text_form,
    "value": _value_form,
    "table": _table_form,
    "list": _list_form,
    "map": _map_form,
}


def _take(size: int, left: list[int]) -> None:
    left[0] -= size
    if left[0] < 0:
        raise _NoForm


def _text(said: Any, left: list[int]) -> str:
    if not isinstance(said, str):
        raise _NoForm
    _take(len(said) + 1, left)
    return said


def _listed(said: Any, left: list[int]) -> list[Any]:
    if not isinstance(said, list):
        raise _NoForm
    listed = cast(list[Any], said)
    _take(len(listed) + 1, left)
    return listed


def _length(said: Any) -> int:
    if type(said) is not int or not 0 <= said <= PLACE:
        raise _NoForm
    return said


def _cell(said: Any, left: list[int]) -> Any:
    if isinstance(said, str):
        return _text(said, left)
    if said is None or isinstance(said, bool | float) or (isinstance(said, int) and -PLACE <= said <= PLACE):
        return said
    raise _NoForm
