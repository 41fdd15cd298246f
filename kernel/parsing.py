"""What a kernel sends, parsed as hostile: schema, types and sizes are checked, nothing is trusted."""

import json
from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Any, Literal, NotRequired, Self, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator, with_config
from typing_extensions import TypedDict

from ..state.handing import PostedContext, PostedPart
from ..state.records import VariableRecord
from ..state.snapshots import Group
from ..state.texts import well_formed
from .session import CallKind, CellError, CellResult, Final, PostedCall, Restored, Snapshot, Variable

MAX_PROMPT = 64 << 20
MAX_OUTPUT = 32 << 20
"""Characters of a prompt with what is sent as its context, and of a cell's output."""
MAX_PARTS = 200_000
"""Texts of one context."""
_REASON = 500


class BadMessage(Exception):
    """A kernel sent what no kernel of ours would send."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


@with_config(ConfigDict(strict=True))
class _Part(TypedDict):
    """A text, or where it stands in the kernel's own input. Plain, because there may be many."""

    name: Annotated[str, Field(max_length=10_000)]
    text: NotRequired[str | None]
    start: NotRequired[Annotated[int, Field(ge=0, le=1 << 53)]]
    end: NotRequired[Annotated[int, Field(ge=0, le=1 << 53)]]
    meta: NotRequired[dict[str, Any]]


class _Context(_Strict):
    kind: Literal["own", "text", "documents"]
    parts: list[_Part] = Field(max_length=MAX_PARTS)

    @model_validator(mode="after")
    def _as_many_as_its_kind_has(self) -> Self:
        if (self.kind == "own" and self.parts) or (self.kind == "text" and len(self.parts) != 1):
            raise ValueError(f"{len(self.parts)} texts of kind {self.kind}")
        return self

    def posted(self) -> tuple[PostedContext, int]:
        """And how many characters it has. Raises ValueError for a range that is none."""
        parts: list[PostedPart] = []
        chars = 0
        for part in self.parts:
            name, text, meta = part["name"], part.get("text"), part.get("meta") or {}
            start, end = part.get("start", 0), part.get("end", 0)
            if start > end or (text is not None and end):
                raise ValueError("a range that is none")
            chars += len(name) + len(text or "") + (len(json.dumps(meta)) if meta else 0)
            parts.append(PostedPart(name, text, start, end, meta))
        return PostedContext(self.kind, tuple(parts)), chars


class _Call(_Strict):
    id: int = Field(ge=1, le=1 << 53)
    kind: CallKind
    prompt: str = Field(max_length=MAX_PROMPT)
    model: str | None = Field(default=None, max_length=200)
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    cache: bool = False
    context: _Context | None = None

    def posted(self) -> PostedCall:
        """Raises ValueError."""
        context, chars = self.context.posted() if self.context else (None, 0)
        if len(self.prompt) + chars > MAX_PROMPT:
            raise ValueError("more text than a call may have")
        return PostedCall(self.id, self.kind, self.prompt, self.model, self.schema_, self.cache, context)


class _Error(_Strict):
    name: str = Field(max_length=1000)
    message: str
    traceback: str


class _Variable(_Strict):
    name: str = Field(max_length=1000)
    type: str = Field(max_length=1000)
    size: int | None = None
    preview: str = Field(max_length=1000)


class _Group(_Strict):
    id: str = Field(max_length=1000)
    names: list[str]
    chunks: list[Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]
    lost: dict[str, str]
    about: list[_Variable]
    form: str = Field(max_length=MAX_OUTPUT)

    def group(self) -> Group:
        about = [VariableRecord(name=v.name, type=v.type, size=v.size, preview=v.preview) for v in self.about]
        lost = {name: why[:_REASON] for name, why in self.lost.items()}
        return Group(id=self.id, names=self.names, chunks=self.chunks, lost=lost, about=about, form=self.form)


class _Snapshot(_Strict):
    groups: list[_Group] = []
    gone: list[str] = []
    error: str | None = None


class _Restored(_Strict):
    names: list[str]
    lost: dict[str, str]


class _Compared(_Strict):
    other: list[str]


class _Ended(_Strict):
    output: str = Field(max_length=MAX_OUTPUT)
    error: _Error | None = None
    final: dict[str, Any] | None = None
    variables: list[_Variable] = Field(default=[], max_length=1000)
    seconds: float = 0.0
    snapshot: _Snapshot


_CALLS = TypeAdapter(list[_Call])
_SIZES = TypeAdapter(list[Annotated[int, Field(ge=0, strict=True)]])


def _loaded(text: str) -> Any:
    """The JSON of `text`, its strings as UTF-8 can carry them: code may print and ask lone surrogates."""
    value = json.loads(text)
    return _repaired(value) if "\\ud" in text or "\\uD" in text else value


def _repaired(value: Any) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, list):
        return [_repaired(item) for item in cast(list[Any], value)]
    if isinstance(value, dict):
        return {well_formed(str(key)): _repaired(item) for key, item in cast(dict[Any, Any], value).items()}
    return value


def parse_calls(text: str) -> list[PostedCall]:
    """Posted calls. Raises BadMessage."""
    try:
        return [call.posted() for call in _CALLS.validate_python(_loaded(text))]
    except (ValueError, ValidationError, RecursionError) as error:
        raise BadMessage(f"sub-calls that are none: {str(error)[:200]}") from error


def parse_restored(text: str) -> Restored:
    """What a restore came to. Raises BadMessage."""
    try:
        restored = _Restored.model_validate(_loaded(text))
    except (ValueError, ValidationError, RecursionError) as error:
        raise BadMessage(f"a restore that is none: {str(error)[:200]}") from error
    return Restored(restored.names, {name: why[:_REASON] for name, why in restored.lost.items()})


def parse_compared(text: str) -> list[str]:
    """Which variables are other ones. Raises BadMessage."""
    try:
        return _Compared.model_validate(_loaded(text)).other
    except (ValueError, ValidationError, RecursionError) as error:
        raise BadMessage(f"a comparison that is none: {str(error)[:200]}") from error


def parse_chunks(sizes: Any, attached: bytes) -> list[bytes]:
    """The pieces of what came beside a message. Raises BadMessage."""
    try:
        lengths = _SIZES.validate_python(sizes)
    except ValidationError as error:
        raise BadMessage(f"pieces without sizes: {str(error)[:200]}") from error
    if sum(lengths) != len(attached):
        raise BadMessage("pieces of other sizes than said")
    ends = list(accumulate(lengths))
    return [attached[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def _final(said: dict[str, Any]) -> Final:
    text_of = said.get("text_of")
    return Final(said.get("value"), text_of[:_REASON] if isinstance(text_of, str) else None)


def parse_ended(text: str, chunks: Sequence[bytes] = ()) -> CellResult:
    """A cell's result; `chunks` came before it. Raises BadMessage."""
    try:
        ended = _Ended.model_validate(_loaded(text))
    except (ValueError, ValidationError, RecursionError) as error:
        raise BadMessage(f"a result that is none: {str(error)[:200]}") from error
    error, saved = ended.error, ended.snapshot
    return CellResult(
        status="error" if error else "ok",
        output=ended.output,
        error=CellError(error.name, error.message[:10_000], error.traceback[-20_000:]) if error else None,
        final=_final(ended.final) if ended.final is not None else None,
        variables=tuple(Variable(v.name, v.type, v.size, v.preview) for v in ended.variables),
        seconds=ended.seconds,
        snapshot=Snapshot([one.group() for one in saved.groups], saved.gone, chunks) if saved.error is None else None,
        unsaved=saved.error,
    )
