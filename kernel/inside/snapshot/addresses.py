"""Containers of addresses: dicts, sets and lists of what `id` returns, which means nothing in another kernel.

An int does not say that it is an address. A container is taken for one when most of its ints are addresses of objects
that exist.
"""

import gc
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable
from typing import Any

WHY = "it is made of addresses of objects (`id`), which have others now"
_KINDS = (dict, set, list, frozenset, defaultdict, OrderedDict, Counter)
_LOWEST = 1 << 16
_ALIGNED = 8


def may_be_addressed(one: Any) -> bool:
    """Return whether this is a container whose first element could be an address."""
    if type(one) not in _KINDS:
        return False
    for first in one:
        return type(first) is int and first > _LOWEST and not first % _ALIGNED
    return False


def addressed(candidates: Iterable[Any]) -> "dict[int, Any]":
    """Return those containers that hold addresses, by id. Every object of the process is looked at once."""
    chosen = list(candidates)
    if not chosen:
        return {}
    known = set(map(id, gc.get_objects()))
    return {id(one): one for one in chosen if _is_addressed(one, known)}


def _is_addressed(one: Any, known: set[int]) -> bool:
    # What the collector does not track, such as a str, is found where the container itself holds it.
    held = set(map(id, one.values())) if isinstance(one, dict) else set[int]()
    found = sum(type(key) is int and (key in known or key in held) for key in one)
    return 2 * found > len(one)
