"""What a kernel sends, parsed as hostile: schema, types and sizes are checked, nothing is trusted."""

import json
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..state.texts import well_formed
from .session import CallKind, CellError, CellResult, Final, PostedCall, Variable

MAX_PROMPT = 64 << 20
MAX_OUTPUT = 32 << 20
"""Characters of a prompt, and of a cell's output."""


class BadMessage(Exception):
    """A kernel sent what no kernel of ours would send."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Call(_Strict):
    id: int = Field(ge=1, le=1 << 53)
    kind: CallKind
    prompt: str = Field(max_length=MAX_PROMPT)
    model: str | None = Field(default=None, max_length=200)
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    cache: bool = False


class _Error(_Strict):
    name: str = Field(max_length=1000)
    message: str
    traceback: str


class _Variable(_Strict):
    name: str = Field(max_length=1000)
    type: str = Field(max_length=1000)
    size: int | None = None
    preview: str = Field(max_length=1000)


class _Ended(_Strict):
    output: str = Field(max_length=MAX_OUTPUT)
    error: _Error | None = None
    final: dict[str, Any] | None = None
    variables: list[_Variable] = Field(default=[], max_length=1000)
    seconds: float = 0.0


_CALLS = TypeAdapter(list[_Call])


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
        calls = _CALLS.validate_python(_loaded(text))
    except (ValueError, ValidationError, RecursionError) as error:
        raise BadMessage(f"sub-calls that are none: {str(error)[:200]}") from error
    return [PostedCall(c.id, c.kind, c.prompt, c.model, c.schema_, c.cache) for c in calls]


def parse_ended(text: str) -> CellResult:
    """A cell's result. Raises BadMessage."""
    try:
        ended = _Ended.model_validate(_loaded(text))
    except (ValueError, ValidationError, RecursionError) as error:
        raise BadMessage(f"a result that is none: {str(error)[:200]}") from error
    error = ended.error
    return CellResult(
        status="error" if error else "ok",
        output=ended.output,
        error=CellError(error.name, error.message[:10_000], error.traceback[-20_000:]) if error else None,
        final=Final(ended.final.get("value")) if ended.final is not None else None,
        variables=tuple(Variable(v.name, v.type, v.size, v.preview) for v in ended.variables),
        seconds=ended.seconds,
    )
