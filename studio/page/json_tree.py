"""A JSON value as HTML: nested values fold, a list of objects is a table, and all of it has a bound."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from markupsafe import Markup

from ...state.wording import counted
from .escaped import line, shown
from .numbers import count

MOST_NODES = 2_000
"""Values that one tree shows."""
MOST_ROWS = 200
MOST_COLUMNS = 24
_MOST_ITEMS = 200
_LONGEST = 2_000
_LONGEST_CELL = 400
_DEEPEST = 24
_OPEN = 2
"""Levels that are unfolded at first."""
_MORE = Markup('<li class="cut">… {} more</li>')
_DETAILS = Markup('<details{}><summary>{}<span class="type">{}</span></summary><ul class="tree">{}</ul></details>')
_KEY = Markup('<b class="key">{}</b> ')

Texts = Callable[[str], Markup]


def table_of(value: Any) -> "tuple[list[str], list[Sequence[Any]]] | None":
    """Return the columns and the first rows of a list of objects; None for any other value."""
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in cast(list[Any], value)):
        return None
    objects = cast("list[dict[str, Any]]", value)
    columns = list(islice(dict.fromkeys(key for one in objects[:MOST_ROWS] for key in one), MOST_COLUMNS))
    return columns, [[one.get(name) for name in columns] for one in objects[:MOST_ROWS]]


def cell(value: Any, texts: Texts | None = None) -> Markup:
    """Return the value of a cell of a table as HTML."""
    if value is None:
        return Markup("")
    if isinstance(value, str):
        return (texts or _text)(value[:_LONGEST_CELL]) + (Markup("…") if len(value) > _LONGEST_CELL else "")
    if isinstance(value, dict | list):
        return Tree(texts).of(value, level=_OPEN)
    return line(_scalar(value), _LONGEST_CELL)


class Tree:
    """Makes the HTML of one value. `texts` makes that of its strings."""

    def __init__(self, texts: Texts | None = None) -> None:
        self._texts = texts or _text
        self._left = MOST_NODES

    def of(self, value: Any, level: int = 0, key: str | None = None) -> Markup:
        """Return a value of a level, under a key, as HTML."""
        self._left -= 1
        name = Markup("") if key is None else _KEY.format(line(key, 80))
        if isinstance(value, dict) and value:
            items = cast("Mapping[Any, Any]", value)
            return self._folded(name, counted(len(items), "key"), self._values(items, level), level)
        if isinstance(value, list) and value:
            parts = cast("list[Any]", value)
            return self._folded(name, counted(len(parts), "item"), self._items(parts, level), level)
        if isinstance(value, str):
            return name + Markup('<span class="text">{}</span>').format(self._texts(value))
        return name + Markup('<span class="scalar">{}</span>').format(line(_scalar(value)))

    def _folded(self, name: Markup, size: str, items: Iterator[Markup], level: int) -> Markup:
        if level >= _DEEPEST:
            return name + Markup('<span class="cut">… {}</span>').format(size)
        return _DETAILS.format(Markup(" open") if level < _OPEN else "", name, size, Markup("").join(items))

    def _values(self, value: Mapping[Any, Any], level: int) -> Iterator[Markup]:
        for place, (key, one) in enumerate(value.items()):
            if place == _MOST_ITEMS or self._left <= 0:
                yield _MORE.format(count(len(value) - place))
                return
            yield Markup("<li>{}</li>").format(self.of(one, level + 1, str(key)))

    def _items(self, value: Sequence[Any], level: int) -> Iterator[Markup]:
        for place, one in enumerate(value):
            if place == _MOST_ITEMS or self._left <= 0:
                yield _MORE.format(count(len(value) - place))
                return
            yield Markup("<li>{}</li>").format(self.of(one, level + 1))


def _scalar(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _text(text: str) -> Markup:
    return shown(text, _LONGEST)
