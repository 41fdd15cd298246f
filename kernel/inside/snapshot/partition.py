"""Groups of variables that belong together: they share objects, or refer to each other by name in a circle."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)


def sharing(objects: "Mapping[str, Mapping[int, Any]]") -> "list[list[str]]":
    """Return the names in groups. Two names that hold the same object, by its id, are in one group."""
    parent = {name: name for name in objects}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    owner: dict[int, str] = {}
    for name, held in objects.items():
        for number in held:
            other = owner.setdefault(number, name)
            if other is not name:
                parent[root(name)] = root(other)
    groups: dict[str, list[str]] = {}
    for name in objects:
        groups.setdefault(root(name), []).append(name)
    return list(groups.values())


def circles(needs: "Mapping[Key, Iterable[Key]]") -> "list[list[Key]]":
    """Return the sets of several keys that need each other, directly or not (strongly connected components)."""
    order: list[Key] = []
    seen: set[Key] = set()
    for start in needs:
        _visit(start, needs, seen, order)
    backwards: dict[Key, list[Key]] = {key: [] for key in needs}
    for key, needed in needs.items():
        for other in needed:
            if other in backwards:
                backwards[other].append(key)
    placed: set[Key] = set()
    found: list[list[Key]] = []
    for start in reversed(order):
        if start not in placed:
            component: list[Key] = []
            _visit(start, backwards, placed, component)
            if len(component) > 1:
                found.append(component)
    return found


def _visit(
    start: Key, edges: "Mapping[Key, Iterable[Key] | Sequence[Key]]", seen: "set[Key]", order: "list[Key]"
) -> None:
    """Visit keys depth first from `start`, without recursion. Each key joins `order` after all that it leads to."""
    todo: list[tuple[Key, bool]] = [(start, False)]
    while todo:
        key, left = todo.pop()
        if left:
            order.append(key)
        elif key not in seen and key in edges:
            seen.add(key)
            todo.append((key, True))
            todo.extend((other, False) for other in edges[key] if other not in seen)
