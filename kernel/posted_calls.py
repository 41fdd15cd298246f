"""Parses the calls that a kernel posts, as hostile data."""

import json
from itertools import pairwise
from typing import Annotated, Any, Literal, NotRequired, Self, cast

from pydantic import ConfigDict, FailFast, Field, TypeAdapter, model_validator, with_config
from typing_extensions import TypedDict

from ..state.input.child_context import PostedContext, PostedPart
from .inside.protocol import (
    CALL_WEIGHT,
    MAX_DEPTH,
    MAX_HITS,
    MAX_OUTPUT_TOKENS,
    MAX_PROMPT,
    MAX_SCHEMA,
    MAX_SEARCHED,
    MAX_WORD,
    MAX_WORDS,
    PART_WEIGHT,
)
from .message_parts import PLACE, Closed, Hash, Place, Range, reading
from .search import SearchQuery
from .session import NO_ORIGIN, CallKind, Origin, PostedCall
from .untrusted_json import BadMessage, depth

MAX_CALLS = 4 * MAX_PROMPT + (8 << 20)
"""Most bytes of posted calls: a prompt of four bytes a character, and what is beside it."""
MAX_PARTS = 200_000
"""Most texts of one context."""
MAX_RANGES = 10_000
"""Most ranges of the input of one call."""
MAX_ATTACHMENTS = 100
"""Most attachments of one call."""
MAX_ARGUMENTS = 1 << 20
"""Most characters of the JSON of a tool's arguments."""
MOST_WEIGHT = (
    MAX_PROMPT + MAX_SCHEMA + MAX_ARGUMENTS + (MAX_PARTS + MAX_RANGES + MAX_ATTACHMENTS) * PART_WEIGHT + CALL_WEIGHT
)
"""The most that one call can weigh."""
_MAX_CALLS = 1000
_MOST_KEYS = 20

_Bytes = Annotated[tuple[Place, Place], Field(strict=False)]
"""The beginning and the end of a part of the pack."""


@with_config(ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True))
class _Part(TypedDict):
    """A text, or its range in the kernel's own input. A plain dict, because there may be many."""

    name: Annotated[str, Field(max_length=10_000)]
    text: NotRequired[str | None]
    start: NotRequired[Place]
    end: NotRequired[Place]
    meta: NotRequired[dict[str, Any]]


class _Context(Closed):
    kind: Literal["own", "text", "documents"]
    parts: Annotated[list[_Part], FailFast()] = Field(max_length=MAX_PARTS)

    @model_validator(mode="after")
    def _as_many_as_its_kind_has(self) -> Self:
        if (self.kind == "own" and self.parts) or (self.kind == "text" and len(self.parts) != 1):
            raise ValueError(f"{len(self.parts)} texts of kind {self.kind}")
        return self

    def posted(self) -> tuple[PostedContext, int]:
        """Return the context and its number of characters. Raises ValueError for an invalid range or deep metadata."""
        parts: list[PostedPart] = []
        chars = 0
        for part in self.parts:
            name, text, meta = part["name"], part.get("text"), part.get("meta") or {}
            start, end = part.get("start", 0), part.get("end", 0)
            if start > end or (text is not None and end):
                raise ValueError("a range that is none")
            if meta and depth(meta, MAX_DEPTH) > MAX_DEPTH:
                raise ValueError("metadata that are nested too deep")
            chars += len(name) + len(text or "") + (len(json.dumps(meta)) if meta else 0)
            parts.append(PostedPart(name, text, start, end, meta))
        return PostedContext(self.kind, tuple(parts)), chars


class _Options(Closed):
    model: str | None = Field(default=None, max_length=200)
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    cache: bool = False
    context: _Context | None = None
    max_tokens: int | None = Field(default=None, ge=1, le=MAX_OUTPUT_TOKENS)


_NO_OPTIONS = _Options()


class _Origin(Closed):
    block: int | None = Field(default=None, ge=1, le=PLACE)
    line: int | None = Field(default=None, ge=1, le=PLACE)
    ranges: Annotated[list[Range], FailFast()] = Field(default=[], max_length=MAX_RANGES)

    def origin(self) -> Origin:
        """Return the origin. Raises ValueError for a range that ends before it begins."""
        if any(start > end for _, start, end in self.ranges):
            raise ValueError("a range that is none")
        return Origin(self.block, self.line, tuple(self.ranges))


class _Search(Closed):
    k: int = Field(ge=1, le=MAX_HITS)
    ranges: Annotated[list[_Bytes], FailFast()] = Field(default=[], max_length=MAX_SEARCHED)


class _Call(Closed):
    """A call as `protocol.Message.CALLS` describes it."""

    id: int = Field(ge=1, le=PLACE)
    kind: CallKind
    prompt: str = Field(max_length=MAX_PROMPT)
    arguments: dict[str, Any] | None = None
    options: _Options = Field(default_factory=lambda: _NO_OPTIONS)
    origin: _Origin | None = None
    attachments: Annotated[list[Hash], FailFast()] = Field(default=[], max_length=MAX_ATTACHMENTS)
    rest: int = Field(default=1, ge=1, le=PLACE)

    def posted(self) -> PostedCall:
        """Return the call with its weight. Raises ValueError for one that is too large."""
        options, origin = self.options, self.origin.origin() if self.origin else NO_ORIGIN
        context, context_chars = options.context.posted() if options.context else (None, 0)
        chars = len(self.prompt) + context_chars + sum(len(name) for name, _, _ in origin.ranges)
        if chars > MAX_PROMPT:
            raise ValueError("more text than a call may have")
        parts = (len(context.parts) if context else 0) + len(origin.ranges) + len(self.attachments)
        json_chars = _chars("schema", options.schema_, MAX_SCHEMA) + _chars("arguments", self.arguments, MAX_ARGUMENTS)
        return PostedCall(
            self.id,
            self.kind,
            self.prompt,
            options.model,
            options.schema_,
            options.cache,
            context,
            options.max_tokens,
            self.arguments,
            origin,
            tuple(self.attachments),
            self._search() if self.kind == "search" else None,
            rest=self.rest,
            weight=chars + json_chars + parts * PART_WEIGHT + CALL_WEIGHT,
        )

    def _search(self) -> SearchQuery:
        """Return what is searched for. Raises ValueError for more than a search may have."""
        if len(self.arguments or ()) > _MOST_KEYS:
            raise ValueError("more keys than a search has")
        asked = _Search.model_validate(self.arguments)
        words = self.prompt.split(None, MAX_WORDS)
        if (
            len(self.prompt) > MAX_WORDS * (MAX_WORD + 1)
            or len(words) > MAX_WORDS
            or any(len(word) > MAX_WORD for word in words)
        ):
            raise ValueError("a search of great length")
        return SearchQuery(self.prompt, asked.k, tuple(asked.ranges))


def _chars(what: str, value: dict[str, Any] | None, most: int) -> int:
    """Return the length of an object's JSON in characters. Raises ValueError for one that is large or nested deep."""
    if value is None:
        return 0
    if depth(value, MAX_DEPTH) > MAX_DEPTH or (chars := len(json.dumps(value))) > most:
        raise ValueError(f"{what} of great size")
    return chars


_CALLS = TypeAdapter(
    Annotated[list[_Call], FailFast(), Field(min_length=1, max_length=_MAX_CALLS)],
    config=ConfigDict(hide_input_in_errors=True),
)


def _of_few_keys(calls: Any) -> Any:
    """Return calls as they are. Raises ValueError when a part of one has more keys than any may have.

    Each unknown key would become an error of its own, and a message has room for millions.
    """
    for call in _items(calls):
        options, origin = (_value(call, name) for name in ("options", "origin"))
        context = _value(options, "context")
        for part in (call, options, origin, context, *_items(_value(context, "parts"))):
            if isinstance(part, dict) and len(cast(dict[str, Any], part)) > _MOST_KEYS:
                raise ValueError("more keys than a call has")
    return calls


def _items(value: Any) -> list[Any]:
    return cast(list[Any], value) if isinstance(value, list) else []


def _value(value: Any, key: str) -> Any:
    return cast(dict[str, Any], value).get(key) if isinstance(value, dict) else None


def parse_calls(said: str | bytes) -> list[PostedCall]:
    """Return the posted calls, at least one, in the order of their ids. Raises BadMessage."""
    try:
        with reading(said, MAX_CALLS) as value:
            calls = [call.posted() for call in _CALLS.validate_python(_of_few_keys(value))]
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"sub-calls that are none: {str(error)[:200]}") from error
    if any(one.id >= other.id for one, other in pairwise(calls)):
        raise BadMessage("sub-calls out of order")
    return calls
