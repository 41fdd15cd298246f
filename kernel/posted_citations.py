"""Parses the citations that a kernel posts with a final value, as hostile data."""

from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, FailFast, Field, TypeAdapter, ValidationError, model_validator

from .inside.protocol import MAX_CITATIONS, MAX_CITED, MAX_QUOTE
from .results import PostedCitation
from .untrusted_json import BadMessage

_KEYS = 6
_PLACE = 1 << 53
"""The largest number: JSON numbers are exact up to it."""

_Place = Annotated[int, Field(ge=0, le=_PLACE)]


class _Citation(BaseModel):
    # Errors without the input, of which pydantic would first make a text, however large it is.
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    id: int = Field(ge=1, le=_PLACE)
    document: str = Field(max_length=10_000)
    start: _Place
    end: _Place
    quote: str = Field(min_length=1, max_length=MAX_QUOTE)
    how: Literal["exact", "folded", "folded with an omission", "across a page"]

    @model_validator(mode="after")
    def _has_its_words(self) -> Self:
        if self.end - self.start != len(self.quote):
            raise ValueError("a range of another length than its words")
        return self


_CITATIONS = TypeAdapter(
    Annotated[list[_Citation], FailFast(), Field(max_length=MAX_CITATIONS)],
    config=ConfigDict(hide_input_in_errors=True),
)


def parse_citations(said: Any) -> tuple[PostedCitation, ...]:
    """Return the citations of a final value, in the order of their ids. Raises BadMessage."""
    if said is None:
        return ()
    try:
        # Each unknown key would become an error of its own, and a message has room for millions.
        if isinstance(said, list) and any(
            isinstance(one, dict) and len(cast(dict[str, Any], one)) > _KEYS for one in cast(list[Any], said)
        ):
            raise ValueError("more keys than a citation has")
        citations = _CITATIONS.validate_python(said)
    except (ValidationError, ValueError, RecursionError) as error:
        raise BadMessage(f"citations of another form: {str(error)[:200]}") from error
    if sum(len(one.quote) + len(one.document) for one in citations) > MAX_CITED:
        raise BadMessage("citations with more text than an answer may have")
    if len({one.id for one in citations}) != len(citations):
        raise BadMessage("two citations with one number")
    return tuple(
        PostedCitation(one.id, one.document, one.start, one.end, one.quote, one.how)
        for one in sorted(citations, key=lambda one: one.id)
    )
