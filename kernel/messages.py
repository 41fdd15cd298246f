"""Parses a kernel's messages as hostile data: schema, types and sizes are checked, nothing is trusted."""

import gc
import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal, NotRequired, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
    with_config,
)
from typing_extensions import TypedDict

from ..state.blobs.snapshots import Group
from ..state.input.child_context import PostedContext, PostedPart
from ..state.records import VariableRecord
from .answer_parts import FilesSaid, Spool, posted_files, posted_table
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
from .posted_citations import parse_citations
from .search import SearchQuery
from .session import NO_ORIGIN, CallKind, CellError, CellResult, Final, Origin, PostedCall, Restored, Snapshot, Variable
from .untrusted_json import BadMessage, depth, read

MAX_OUTPUT = 32 << 20
"""Most characters of a cell's output."""
MAX_RESULT = 96 << 20
"""Most bytes of a cell's result: an unmodified kernel's output has 16 million characters, and a value some more."""
MAX_NAMES_BYTES = 32 << 20
"""Most bytes of a message that only names variables."""
MAX_CALLS = 4 * MAX_PROMPT + (8 << 20)
"""Most bytes of posted calls: a prompt of four bytes a character, and what is beside it."""
MAX_PARTS = 200_000
"""Most texts of one context."""
MAX_RANGES = 10_000
"""Most ranges of the input of one call."""
MAX_SEEN = 1000
"""Most ranges of the input that a cell's output is said to have."""
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
_MAX_NAMES = 100_000
_LARGE = 1 << 20
_REASON = 500
_MAX_NOTES = 20
_SHORT = 1000
_SIZE = (1 << 63) - 1
_PLACE = 1 << 53
"""The largest number of a call, a line or an offset: JSON numbers are exact up to it."""

_Name = Annotated[str, Field(max_length=10_000)]
_Names = Annotated[list[_Name], FailFast(), Field(max_length=_MAX_NAMES)]
_Lost = Annotated[dict[_Name, str], Field(max_length=_MAX_NAMES)]
_Id = Annotated[str, Field(max_length=10_000)]
_Hash = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]
_Place = Annotated[int, Field(ge=0, le=_PLACE)]
_Range = Annotated[tuple[_Name, _Place, _Place], Field(strict=False)]
"""A document's name, and the beginning and end of a part of it. Not strict, because JSON has lists for tuples."""


_Bytes = Annotated[tuple[_Place, _Place], Field(strict=False)]
"""The beginning and the end of a part of the pack."""


class _Strict(BaseModel):
    # Errors without the input, of which pydantic would first make a text, however large it is.
    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True)


class _Closed(BaseModel):
    """A part of a call, which may have no other keys than these."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


@with_config(ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True))
class _Part(TypedDict):
    """A text, or its range in the kernel's own input. A plain dict, because there may be many."""

    name: Annotated[str, Field(max_length=10_000)]
    text: NotRequired[str | None]
    start: NotRequired[_Place]
    end: NotRequired[_Place]
    meta: NotRequired[dict[str, Any]]


class _Context(_Closed):
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


class _Options(_Closed):
    model: str | None = Field(default=None, max_length=200)
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    cache: bool = False
    context: _Context | None = None
    max_tokens: int | None = Field(default=None, ge=1, le=MAX_OUTPUT_TOKENS)


_NO_OPTIONS = _Options()


class _Origin(_Closed):
    block: int | None = Field(default=None, ge=1, le=_PLACE)
    line: int | None = Field(default=None, ge=1, le=_PLACE)
    ranges: Annotated[list[_Range], FailFast()] = Field(default=[], max_length=MAX_RANGES)

    def origin(self) -> Origin:
        """Return the origin. Raises ValueError for a range that ends before it begins."""
        if any(start > end for _, start, end in self.ranges):
            raise ValueError("a range that is none")
        return Origin(self.block, self.line, tuple(self.ranges))


class _Search(_Closed):
    k: int = Field(ge=1, le=MAX_HITS)
    ranges: Annotated[list[_Bytes], FailFast()] = Field(default=[], max_length=MAX_SEARCHED)


class _Call(_Closed):
    """A call as `protocol.Message.CALLS` describes it."""

    id: int = Field(ge=1, le=_PLACE)
    kind: CallKind
    prompt: str = Field(max_length=MAX_PROMPT)
    arguments: dict[str, Any] | None = None
    options: _Options = Field(default_factory=lambda: _NO_OPTIONS)
    origin: _Origin | None = None
    attachments: Annotated[list[_Hash], FailFast()] = Field(default=[], max_length=MAX_ATTACHMENTS)
    rest: int = Field(default=1, ge=1, le=_PLACE)

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


class _Error(_Strict):
    name: str
    message: str
    traceback: str


class _Variable(_Strict):
    name: _Name
    type: str
    size: int | None = Field(default=None, ge=0, le=_SIZE)
    preview: str = Field(max_length=_SHORT)


class _Group(_Strict):
    id: _Id
    names: _Names
    chunks: Annotated[list[_Hash], FailFast()]
    lost: _Lost
    about: Annotated[list[_Variable], FailFast()] = Field(max_length=_MAX_NAMES)
    form: str = Field(max_length=MAX_OUTPUT)

    def group(self) -> Group:
        about = [VariableRecord(name=v.name, type=v.type[:_SHORT], size=v.size, preview=v.preview) for v in self.about]
        lost = {name: why[:_REASON] for name, why in self.lost.items()}
        return Group(id=self.id, names=self.names, chunks=self.chunks, lost=lost, about=about, form=self.form)


class _Snapshot(_Strict):
    groups: Annotated[list[_Group], FailFast()] = Field(default=[], max_length=_MAX_NAMES)
    gone: Annotated[list[_Id], FailFast()] = Field(default=[], max_length=_MAX_NAMES)
    error: str | None = None


class _Restored(_Strict):
    names: _Names
    lost: _Lost
    notes: Annotated[list[str], FailFast()] = Field(default=[], max_length=_MAX_NOTES)


class _Compared(_Strict):
    other: _Names


class _Final(_Strict):
    value: Any = None
    text_of: Any = None
    variable: Any = None
    citations: Any = None
    problem: Any = None
    table: Any = None
    files: FilesSaid = []


class _Ended(_Strict):
    output: str = Field(max_length=MAX_OUTPUT)
    error: _Error | None = None
    final: _Final | None = None
    voided: bool = False
    variables: list[_Variable] = Field(default=[], max_length=1000)
    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    snapshot: _Snapshot
    seen: Annotated[list[_Range], FailFast()] = Field(default=[], max_length=MAX_SEEN)


_CALLS = TypeAdapter(
    Annotated[list[_Call], FailFast(), Field(min_length=1, max_length=_MAX_CALLS)],
    config=ConfigDict(hide_input_in_errors=True),
)
_SIZES = TypeAdapter(Annotated[list[Annotated[int, Field(ge=0, strict=True)]], FailFast()])


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


@contextmanager
def _reading(said: str | bytes, most: int) -> Generator[Any]:
    """Yield the JSON of a message of at most `most` bytes: reading it keeps the event loop of all runs busy.

    Raises ValueError. Until the end, no garbage is collected: with millions of values that would take most of the time.
    """
    if len(said) > most:
        raise ValueError(f"{len(said):,} bytes, {most:,} at most")
    collects = len(said) > _LARGE and gc.isenabled()
    if collects:
        gc.disable()
    try:
        yield read(said)
    finally:
        if collects:
            gc.enable()


def parse_calls(said: str | bytes) -> list[PostedCall]:
    """Return the posted calls, at least one, in the order of their ids. Raises BadMessage."""
    try:
        with _reading(said, MAX_CALLS) as value:
            calls = [call.posted() for call in _CALLS.validate_python(_of_few_keys(value))]
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"sub-calls that are none: {str(error)[:200]}") from error
    if any(one.id >= other.id for one, other in pairwise(calls)):
        raise BadMessage("sub-calls out of order")
    return calls


def parse_restored(said: str | bytes) -> Restored:
    """Return the result of a restore. Raises BadMessage."""
    try:
        with _reading(said, MAX_NAMES_BYTES) as value:
            restored = _Restored.model_validate(value)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"a restore that is none: {str(error)[:200]}") from error
    notes = [note[:_REASON] for note in restored.notes]
    return Restored(restored.names, {name: why[:_REASON] for name, why in restored.lost.items()}, notes)


def parse_compared(said: str | bytes) -> list[str]:
    """Return the names of the variables that differ. Raises BadMessage."""
    try:
        with _reading(said, MAX_NAMES_BYTES) as value:
            return _Compared.model_validate(value).other
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"a comparison that is none: {str(error)[:200]}") from error


def parse_chunks(sizes: Any, attached: bytes) -> list[bytes]:
    """Split the bytes attached to a message into chunks of the given sizes. Raises BadMessage."""
    try:
        lengths = _SIZES.validate_python(sizes)
    except ValidationError as error:
        raise BadMessage(f"pieces without sizes: {str(error)[:200]}") from error
    if sum(lengths) != len(attached):
        raise BadMessage("pieces of other sizes than said")
    ends = list(accumulate(lengths))
    return [attached[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def _final(said: _Final, spool: Spool) -> Final:
    """Return a final value with its parts. Raises ValueError."""
    value, text_of = said.value, said.text_of[:_REASON] if isinstance(said.text_of, str) else None
    variable = said.variable
    variable = variable[:_SHORT] if isinstance(variable, str) and variable.isidentifier() else None
    problem = said.problem[:_SHORT] if isinstance(said.problem, str) and said.problem else None
    table = posted_table(said.table, spool) if said.table is not None else None
    files = posted_files(said.files, spool, table.parts if table else 0)
    if table:
        value = text_of = None
    elif depth(value, MAX_DEPTH) > MAX_DEPTH:
        # Other code could not serialize JSON that deep again, so it becomes a text.
        value, text_of = json.dumps(value, ensure_ascii=False), type(value).__name__
    return Final(value, text_of, variable, parse_citations(said.citations), problem, table, files)


def parse_ended(said: str | bytes, chunks: Sequence[bytes] = (), spool: Spool | None = None) -> CellResult:
    """Return a cell's result; `chunks`, and the parts of an answer in `spool`, came before it. Raises BadMessage."""
    try:
        with _reading(said, MAX_RESULT) as value:
            return _ended(_Ended.model_validate(value), chunks, spool or Spool())
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"a result that is none: {str(error)[:200]}") from error


def _ended(ended: _Ended, chunks: Sequence[bytes], spool: Spool) -> CellResult:
    final = _final(ended.final, spool) if ended.final is not None else None
    error, saved = ended.error, ended.snapshot
    return CellResult(
        status="error" if error else "ok",
        output=ended.output,
        error=CellError(error.name[:_SHORT], error.message[:10_000], error.traceback[-20_000:]) if error else None,
        final=final,
        voided=ended.voided,
        variables=tuple(Variable(v.name, v.type[:_SHORT], v.size, v.preview) for v in ended.variables),
        seconds=ended.seconds,
        snapshot=Snapshot([one.group() for one in saved.groups], saved.gone, chunks) if saved.error is None else None,
        unsaved=saved.error[:_REASON] if saved.error is not None else None,
        seen=tuple(one for one in ended.seen if one[1] < one[2]),
    )
