"""Reads values as LangGraph's serializer has written them, without importing LangGraph, which takes half a second.

A state is plain JSON in MessagePack. Beside that there are three types of LangGraph's own, which become types of this
module: the task that a step sends to a node, the question that a task asks, and a growing list that is saved whole.
A value with anything else in it (an input that a program has passed) is read by LangGraph's serializer itself, which
builds only what is on its list of safe types.
"""

import contextlib
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import ormsgpack

if TYPE_CHECKING:
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

_POSITIONAL, _KEYWORDS, _WHOLE_LIST = 1, 2, 7
"""LangGraph's codes of objects: built from arguments, from named ones, and a growing list."""


class SavedSend(NamedTuple):
    """A task that a step sends to a node."""

    node: str
    arg: Any


class SavedInterrupt(NamedTuple):
    """A request for which a task waits."""

    value: Any
    id: str


class SavedList(NamedTuple):
    """A growing list that is saved whole."""

    value: list[Any]


class SavedValues:
    """The deserializer: the part of LangGraph's serializer that reading needs."""

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return a value from its type and bytes. Raises ValueError when they are no value."""
        kind, body = data
        if kind == "null":
            return None
        with contextlib.suppress(Exception):
            if kind == "msgpack":
                return _unpacked(body)
        try:
            return _langgraph().loads_typed(data)
        except Exception as error:
            raise ValueError(f"the value cannot be read: {error}") from error


def _unpacked(body: bytes) -> Any:
    return ormsgpack.unpackb(body, ext_hook=_object, option=ormsgpack.OPT_NON_STR_KEYS)


def _object(code: int, body: bytes) -> Any:
    if code == _WHOLE_LIST:
        return SavedList(_unpacked(body))
    if code in (_POSITIONAL, _KEYWORDS):
        match _unpacked(body):
            case ["langgraph.types", "Send", [str(node), arg]] if code == _POSITIONAL:
                return SavedSend(node, arg)
            case ["langgraph.types", "Interrupt", {"value": value, "id": str(name)}] if code == _KEYWORDS:
                return SavedInterrupt(value, name)
            case _:
                pass
    raise ValueError("the object is of a type that is not read here")


@cache
def _langgraph() -> "JsonPlusSerializer":
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    return JsonPlusSerializer(allowed_msgpack_modules=None)
