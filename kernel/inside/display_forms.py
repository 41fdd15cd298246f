"""Display forms of variables: JSON from which a page shows a value, since what is saved of it only a kernel may open.

A form is one of
`{"kind": "text", "text", "length"}`, `{"kind": "table", "columns", "rows", "length", "width"}`,
`{"kind": "list", "items": [form, …], "length"}`, `{"kind": "map", "items": [[key, form], …], "length"}` and
`{"kind": "value", "text"}`; with `"cut": true` where not everything is there. Lengths are those of the value itself.

Forms are made of what values hold, without code of theirs (`safe_values.py`): that may raise, never end or return
megabytes. The work is bounded by the room that the forms of a turn have together.
"""

from collections.abc import Mapping
from itertools import islice
from json import dumps  # bound now: code of cells may patch the module
from typing import Any

from .answer_texts import NONE, numpy_plain
from .display_tables import ROWS, Table, table_of, table_of_records
from .protocol import DISPLAY_LEVELS, MAX_DISPLAYS, OTHERS_CHANGED
from .safe_values import brief, fields_of, is_a, items_of, library, pairs_of, plain, scalar_text, shortened, type_name

Form = dict[str, Any]
_MOST_FORMS = 64
"""Variables that get a form in a turn, at most: each takes some forty bytes."""
_LEAST, _USEFUL = 72, 160
"""Bytes of the smallest form of any value, and of one that is cut and still worth its room."""
_FOR_NAMES = 1024
"""Bytes that names of variables without a form may take, at most."""
_KEY = 60
_CUT = " … "


def display_forms(
    values: Mapping[str, Any], previews: Mapping[str, str], room: int = MAX_DISPLAYS
) -> "dict[str, Form | None]":
    """Return forms of these values by name, of at most `room` bytes of JSON together.

    Small values are whole, large ones share what is left. None stands for a value that finds no room; where there is
    no room for all these names, `OTHERS_CHANGED` stands for the others. `previews` are used for values that have no
    parts to show.
    """
    names = sorted(values)
    late = names[_MOST_FORMS:]
    room -= 2 + _size(OTHERS_CHANGED) + 8 + min(_FOR_NAMES, sum(_size(name) + 8 for name in late[:_FOR_NAMES]))
    share = max(room // max(1, min(len(names), _MOST_FORMS)), _LEAST)
    found: dict[str, Form] = {}
    for name in names[:_MOST_FORMS]:
        head = _size(name) + 4
        if room < head + 2:
            break
        form = display_form(values[name], max(share - head, _LEAST), previews.get(name, ""))
        if (size := _size(form) + head) <= room:
            found[name] = form
            room -= size
    cut = [name for name, form in found.items() if "cut" in form]
    for place, name in enumerate(cut):
        before = _size(found[name])
        room += before
        form = display_form(values[name], before + (room - before) // (len(cut) - place), previews.get(name, ""))
        room -= _size(form)
        found[name] = form
    return {**found, **_without(names, found, room)}


def _without(names: "list[str]", found: "dict[str, Form]", room: int) -> "dict[str, None]":
    """Return the names of values without a form, as many as there is room for."""
    without: dict[str, None] = {}
    room += min(_FOR_NAMES, sum(_size(name) + 8 for name in names[_MOST_FORMS:][:_FOR_NAMES]))
    for name in names:
        if name in found:
            continue
        room -= _size(name) + 8
        if room < 0:
            return {**without, OTHERS_CHANGED: None}
        without[name] = None
    return without


def display_form(value: Any, room: int = MAX_DISPLAYS, preview: str = "") -> Form:
    """Return the form of a value, of at most `room` bytes of JSON (of some seventy if `room` is less).

    `preview` is the text of a value that has no parts to show.
    """
    try:
        form = _form(value, room, 0, preview)
        if _size(form) <= max(room, _LEAST):
            return form
    except Exception:
        # A value that changes meanwhile, or that its library cannot read.
        pass
    return {**_value(preview or f"<{type_name(value)}>", room - 11), "cut": True}


def _size(said: Any) -> int:
    """Return the bytes that something takes as JSON."""
    return len(dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def _form(value: Any, room: int, level: int, preview: str = "") -> Form:
    value = plain(value)
    if is_a(value, str):
        return _text(value, room)
    if (text := scalar_text(value)) is not None:
        return _value(text, room)
    if (table := table_of(value)) is not None:
        return _table(table, room)
    if level >= DISPLAY_LEVELS:
        return {**_value(brief(value), room), "cut": True}
    if (array := _array(value)) is not None:
        return _list(array[0], array[1], room, level)
    fields = fields_of(value)
    if fields is not None:
        return _map(list(fields.items()), len(fields), room, level)
    if (pairs := pairs_of(value)) is not None:
        return _map(list(pairs[0]), pairs[1], room, level)
    if (listed := items_of(value)) is not None:
        first = list(islice(listed[0], ROWS))
        if (table := table_of_records(first, listed[1])) is not None:
            return _table(table, room)
        return _list([*first, *listed[0]], listed[1], room, level)
    return _value(preview or brief(value), room)


def _value(text: str, room: int) -> Form:
    if _size(text) + 28 <= room:
        return {"kind": "value", "text": text}
    return {"kind": "value", "text": _beginning(text, max(room - 40, 8)), "cut": True}


def _beginning(text: str, room: int) -> str:
    """Return the beginning of a text that takes so many bytes, quoted, with a mark where it is cut."""
    kept = text[:room]
    while (size := _size(f"{kept}…")) > room and kept:
        kept = kept[: min(len(kept) - 1, len(kept) * room // size)]
    return f"{kept}…"


def _text(value: Any, room: int) -> Form:
    length = str.__len__(value)
    form: Form = {"kind": "text", "text": "", "length": length}
    left = room - _size(form)
    if length <= max(left, 0):
        whole = str.__str__(value)
        if _size(whole) - 2 <= left:
            return {**form, "text": whole}
    # `"cut":true` takes 11 bytes.
    left -= 11 + _size(_CUT)
    most = max(left, 4)
    while True:
        head, tail = most - most // 4, most // 4
        end = str.__getitem__(value, slice(max(length - tail, 0), length)) if tail else ""
        shown = f"{str.__getitem__(value, slice(0, head))}{_CUT}{end}"
        size = _size(shown) - 2
        if size <= left + _size(_CUT) or most <= 4:
            return {**form, "text": shown, "cut": True}
        most = max(4, min(most - 1, most * left // size))


def _table(table: Table, room: int) -> Form:
    columns = table.columns
    while len(columns) > 1 and _size(columns) > room // 2:
        columns = columns[: len(columns) * 2 // 3]
    form: Form = {"kind": "table", "columns": columns, "rows": [], "length": table.length, "width": table.width}
    left = room - _size(form) - 11
    for row in table.rows:
        row = row[: len(columns)]
        left -= _size(row) + 1
        if left < 0:
            break
        form["rows"].append(row)
    whole = len(form["rows"]) == table.length and len(columns) == table.width
    return form if whole else {**form, "cut": True}


def _list(items: "list[Any]", length: int, room: int, level: int) -> Form:
    form: Form = {"kind": "list", "items": [], "length": length}
    left = room - _size(form) - 11
    for place, one in enumerate(items):
        part = _form(one, _share(left, length - place), level + 1)
        left -= _size(part) + 1
        if left < 0:
            break
        form["items"].append(part)
    return form if _all(form["items"], length) else {**form, "cut": True}


def _map(pairs: "list[tuple[Any, Any]]", length: int, room: int, level: int) -> Form:
    form: Form = {"kind": "map", "items": [], "length": length}
    left = room - _size(form) - 11
    for place, (key, one) in enumerate(pairs):
        name = shortened(str.__getitem__(key, slice(0, _KEY + 1)), _KEY) if is_a(key, str) else brief(key, _KEY)
        head = _size(name) + 4
        part = _form(one, _share(left - head, length - place), level + 1)
        left -= _size(part) + head
        if left < 0:
            break
        form["items"].append([name, part])
    return form if _all([part for _, part in form["items"]], length) else {**form, "cut": True}


def _share(left: int, remaining: int) -> int:
    """Return the room for the next of so many parts: a fair share of what is left, if that is enough to show much."""
    return max(_LEAST, min(left, max(_USEFUL, left // max(1, remaining))))


def _all(parts: "list[Form]", length: int) -> bool:
    return len(parts) == length and not any("cut" in part for part in parts)


def _array(value: Any) -> "tuple[list[Any], int] | None":
    """Return the first items of an array of numpy that is no table, and their number; None for other values."""
    numpy = library("numpy")
    if numpy is None or type(value) is not numpy.get("ndarray") or not value.ndim:
        return None
    if value.ndim > 1:
        return [value[place] for place in range(min(value.shape[0], ROWS))], value.shape[0]
    items = numpy_plain(value[:200])
    return None if items is NONE or type(items) is not list else (items, value.shape[0])
