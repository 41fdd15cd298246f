"""Parses a kernel's messages as hostile data: schema, types and sizes are checked, nothing is trusted."""

import json
from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Any

from pydantic import (
    FailFast,
    Field,
    TypeAdapter,
    ValidationError,
)

from ..state.blobs.snapshots import Group
from ..state.records import VariableRecord
from .answer_parts import FilesSaid, Spool, posted_files, posted_table
from .inside.protocol import MAX_DEPTH, MOST_BLOCKS
from .message_parts import Hash, Name, Place, Range, Strict, reading
from .posted_citations import parse_citations
from .posted_displays import parse_displays
from .results import BlockResult, CellError, CellResult, Final, Restored, Snapshot, Variable
from .untrusted_json import BadMessage, depth

MAX_OUTPUT = 32 << 20
"""Most characters of a cell's output."""
MAX_RESULT = 96 << 20
"""Most bytes of a cell's result: an unmodified kernel's output has 16 million characters, and a value some more."""
MAX_NAMES_BYTES = 32 << 20
"""Most bytes of a message that only names variables."""
MAX_SEEN = 1000
"""Most ranges of the input that a cell's output is said to have."""
_MOST_SEEN_NAMES = 500_000
"""Most characters of the names of documents in them."""
_MAX_NAMES = 100_000
_REASON = 500
_MAX_NOTES = 20
_SHORT = 1000
_SIZE = (1 << 63) - 1
_Names = Annotated[list[Name], FailFast(), Field(max_length=_MAX_NAMES)]
_Lost = Annotated[dict[Name, str], Field(max_length=_MAX_NAMES)]
_Id = Annotated[str, Field(max_length=10_000)]


class _Error(Strict):
    name: str
    message: str
    traceback: str


class _Variable(Strict):
    name: Name
    type: str
    size: int | None = Field(default=None, ge=0, le=_SIZE)
    preview: str = Field(max_length=_SHORT)


class _Group(Strict):
    id: _Id
    names: _Names
    chunks: Annotated[list[Hash], FailFast()]
    lost: _Lost
    about: Annotated[list[_Variable], FailFast()] = Field(max_length=_MAX_NAMES)
    form: str = Field(max_length=MAX_OUTPUT)

    def group(self) -> Group:
        about = [VariableRecord(name=v.name, type=v.type[:_SHORT], size=v.size, preview=v.preview) for v in self.about]
        lost = {name: why[:_REASON] for name, why in self.lost.items()}
        return Group(id=self.id, names=self.names, chunks=self.chunks, lost=lost, about=about, form=self.form)


class _Snapshot(Strict):
    groups: Annotated[list[_Group], FailFast()] = Field(default=[], max_length=_MAX_NAMES)
    gone: Annotated[list[_Id], FailFast()] = Field(default=[], max_length=_MAX_NAMES)
    error: str | None = None


class _Restored(Strict):
    names: _Names
    lost: _Lost
    notes: Annotated[list[str], FailFast()] = Field(default=[], max_length=_MAX_NOTES)


class _Compared(Strict):
    other: _Names


class _Final(Strict):
    value: Any = None
    text_of: Any = None
    variable: Any = None
    citations: Any = None
    problem: Any = None
    table: Any = None
    files: FilesSaid = Field(default_factory=list)


class _Block(Strict):
    output: Annotated[tuple[Place, Place], Field(strict=False)]
    error: str | None = None
    seconds: float = Field(ge=0, allow_inf_nan=False)
    computed: float = Field(ge=0, allow_inf_nan=False)


class _Ended(Strict):
    output: str = Field(max_length=MAX_OUTPUT)
    error: _Error | None = None
    final: _Final | None = None
    voided: bool = False
    variables: list[_Variable] = Field(default=[], max_length=1000)
    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    snapshot: _Snapshot
    blocks: Annotated[list[_Block], FailFast()] = Field(default=[], max_length=MOST_BLOCKS)
    seen: Annotated[list[Range], FailFast()] = Field(default=[], max_length=MAX_SEEN)
    displays: Any = None


_SIZES = TypeAdapter(Annotated[list[Annotated[int, Field(ge=0, strict=True)]], FailFast()])


def parse_restored(said: str | bytes) -> Restored:
    """Return the result of a restore. Raises BadMessage."""
    try:
        with reading(said, MAX_NAMES_BYTES) as value:
            restored = _Restored.model_validate(value)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"a restore that is none: {str(error)[:200]}") from error
    notes = [note[:_REASON] for note in restored.notes]
    return Restored(restored.names, {name: why[:_REASON] for name, why in restored.lost.items()}, notes)


def parse_compared(said: str | bytes) -> list[str]:
    """Return the names of the variables that differ. Raises BadMessage."""
    try:
        with reading(said, MAX_NAMES_BYTES) as value:
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
        with reading(said, MAX_RESULT) as value:
            return _ended(_Ended.model_validate(value), chunks, spool or Spool())
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"a result that is none: {str(error)[:200]}") from error


def _names_are_short(ranges: Sequence[tuple[str, int, int]]) -> bool:
    """Return whether the names of documents may be saved with the turn, as hints: they may be long, and all alike."""
    return sum(len(name) for name, _, _ in ranges) <= _MOST_SEEN_NAMES


def _blocks(ended: _Ended) -> tuple[BlockResult, ...]:
    """Return the blocks; none when they did not print one after another what the output has, in the cell's time."""
    places = [0, *(place for block in ended.blocks for place in block.output), len(ended.output)]
    if places != sorted(places):
        return ()
    return tuple(
        BlockResult(
            *block.output,
            block.error[:_SHORT] if block.error is not None else None,
            seconds=min(block.seconds, ended.seconds),
            computed=min(block.computed, block.seconds, ended.seconds),
        )
        for block in ended.blocks
    )


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
        blocks=_blocks(ended),
        snapshot=Snapshot([one.group() for one in saved.groups], saved.gone, chunks) if saved.error is None else None,
        unsaved=saved.error[:_REASON] if saved.error is not None else None,
        seen=tuple(one for one in ended.seen if one[1] < one[2]) if _names_are_short(ended.seen) else (),
        displays=parse_displays(ended.displays),
    )
