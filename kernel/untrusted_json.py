"""Reads JSON that hostile code has written, safely, or refuses it."""

import json
from typing import Any, NoReturn, cast

from ..state.blobs.texts import well_formed

MAX_VALUES = 2 << 20
"""Most values in one text: each takes some hundred bytes of memory, and may be two bytes of text."""
_HARMLESS = 1 << 20
"""Number of characters up to which a text's values are not counted."""


class BadMessage(Exception):
    """A message that no unmodified kernel sends."""


def read(said: str | bytes) -> Any:
    """Parse a JSON text. Lone surrogates, which code may print or send in a prompt, are replaced for UTF-8.

    Raises ValueError, also for NaN, infinite numbers and too many values, and RecursionError.
    """
    text = well_formed(said) if isinstance(said, str) else _decoded(said)
    if len(text) > _HARMLESS and _values(text) > MAX_VALUES:
        raise ValueError("more values than anybody needs")
    value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    # Replace escaped surrogates; the others are already replaced.
    return _repaired(value) if "\\ud" in text or "\\uD" in text else value


def depth(value: Any, most: int) -> int:
    """Return how deep lists and objects are nested, counted up to `most` + 1."""
    found, layer = 0, [value]
    while (layer := [one for one in layer if isinstance(one, dict | list)]) and found <= most:
        found += 1
        layer = [part for one in layer for part in _parts(one)]
    return found


def _parts(value: Any) -> list[Any]:
    return list(cast(dict[str, Any], value).values()) if isinstance(value, dict) else cast(list[Any], value)


def _decoded(said: bytes) -> str:
    try:
        return said.decode()
    except UnicodeDecodeError:
        return well_formed(said.decode("utf-8", "surrogatepass"))


def _values(text: str) -> int:
    """Estimate the number of values without creating any: count strings, and the separators outside of them."""
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    strings = text.count('"') // 2
    if strings > MAX_VALUES:
        return strings
    return strings + sum(part.count(",") + part.count("[") + part.count("{") for part in text.split('"')[::2])


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number without end")
    return number


def _repaired(value: Any) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, list):
        return [_repaired(item) for item in cast(list[Any], value)]
    if isinstance(value, dict):
        return {well_formed(str(key)): _repaired(item) for key, item in cast(dict[Any, Any], value).items()}
    return value
