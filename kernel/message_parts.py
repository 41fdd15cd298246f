"""Types and limits of what kernels send, and the reading of it: for the modules that parse a kernel's messages."""

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from .untrusted_json import read

PLACE = 1 << 53
"""The largest number of a call, a line or an offset: JSON numbers are exact up to it."""
_LARGE = 1 << 20

Name = Annotated[str, Field(max_length=10_000)]
Hash = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]
Place = Annotated[int, Field(ge=0, le=PLACE)]
Range = Annotated[tuple[Name, Place, Place], Field(strict=False)]
"""A document's name, and the beginning and end of a part of it. Not strict, because JSON has lists for tuples."""


class Strict(BaseModel):
    """A part of a message, whose unknown keys are ignored."""

    # Errors without the input, of which pydantic would first make a text, however large it is.
    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True)


class Closed(BaseModel):
    """A part of a call, which may have no other keys than these."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


@contextmanager
def reading(said: str | bytes, most: int) -> Generator[Any]:
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
