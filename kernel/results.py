"""The results of a cell and of a restore, as a session hands them out.

They come from the kernel, hence from code: their types are checked (`messages.py`), nothing in them is true.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..state.blobs.snapshots import Group
from ..state.records import CellStatus
from .answer_parts import PostedFile, PostedTable
from .inside.variables import describe_one


@dataclass(frozen=True)
class CellError:
    """The exception that ended a cell, as text."""

    name: str
    message: str
    traceback: str


@dataclass(frozen=True)
class PostedCitation:
    """A passage of the input that a final value cites, as the kernel says. Nothing in it is trusted."""

    id: int
    """Its number, in the marker `[^3]`."""
    document: str
    start: int
    end: int
    """Its range in characters of the document's text."""
    quote: str
    """The words that stand there."""
    how: str
    """The way in which the quotation in the code differs from them: one of `matching.quotations.How`."""


@dataclass(frozen=True)
class Final:
    """The value with which the code ended the run: JSON, or the text of a value that is not JSON."""

    value: Any
    text_of: str | None = None
    """The type of a value that is not JSON."""
    variable: str | None = None
    """The variable whose value it is, where the code gave its name to FINAL as a text."""
    citations: tuple[PostedCitation, ...] = ()
    """The passages that the value cites, by number: given with it, or named in it by markers."""
    problem: str | None = None
    """The parts of the value without a form in JSON, and what to write instead, in the words of the kernel."""
    table: PostedTable | None = None
    """The table that is the value, `value` then being None. It is checked when a session's `result` returns it."""
    files: tuple[PostedFile, ...] = ()
    """The files that code has left for the user beside the value."""


@dataclass(frozen=True)
class Variable:
    """One variable of the REPL, as `SHOW_VARS` and the root's prompt show it."""

    name: str
    type: str
    size: int | None
    preview: str


def describe_variable(name: str, value: Any) -> Variable:
    """Describe a plain value under a plain name as a kernel does."""
    described = describe_one(name, value)
    assert described is not None, "modules and names with an underscore are not shown"
    return Variable(**described)


@dataclass(frozen=True)
class Snapshot:
    """The changes of a cell to the saved variables. Its bytes are opaque: nothing outside a kernel reads them."""

    groups: Sequence[Group] = ()
    """The new and changed groups."""
    gone: Sequence[str] = ()
    """Ids of groups that no longer exist."""
    chunks: Sequence[bytes] = ()
    """The chunks that this kernel has not sent before."""


@dataclass(frozen=True)
class Restored:
    """The result of a restore."""

    names: Sequence[str]
    """Variables that were restored completely."""
    lost: Mapping[str, str]
    """Variables that were not, or only in part, and why. Using a missing part raises an error that says so."""
    notes: Sequence[str] = ()
    """Other versions of Python or of packages than those that saved them, each as the rest of a sentence."""


@dataclass(frozen=True)
class BlockResult:
    """One block of a cell that ran, as the kernel says: it may be wrong, within the bounds of the cell's result."""

    start: int
    end: int
    """The part of the cell's output that it printed, in characters."""
    error: str | None = None
    """`Name: message` of the exception that ended it."""
    seconds: float = 0.0
    computed: float = 0.0
    """The seconds of them that no sub-call was waited for."""


@dataclass(frozen=True)
class CellResult:
    """The result of a cell. `output` is complete up to the kernel's own cap, which it then mentions.

    `timeout`: the cell was interrupted, as `error` says why, and its effects remain. `died`: the kernel died during the
    cell; set by the code that replaces the kernel, never by a session (which raises KernelLost).
    """

    status: CellStatus
    output: str = ""
    error: CellError | None = None
    final: Final | None = None
    voided: bool = False
    """True when the code asked to end the run, and the cell then ended in an error."""
    variables: Sequence[Variable] = field(default=())
    seconds: float = 0.0
    computed: float = field(default=0.0, compare=False)
    """The seconds that it computed, by the clock of this program: no call was unanswered, and nobody asked."""
    elapsed: float = field(default=0.0, compare=False)
    """The seconds from its beginning to its end, by the clock of this program."""
    blocks: tuple[BlockResult, ...] = field(default=(), compare=False)
    """The blocks that ran, in order; none where what the kernel says of them is not possible."""
    snapshot: Snapshot | None = None
    """The changes since the kernel's last snapshot; None when it could not be taken."""
    unsaved: str | None = None
    """Why there is no snapshot."""
    seen: tuple[tuple[str, int, int], ...] = ()
    """The parts of documents, in characters, that the output may have, as the kernel says: it may be wrong."""
    displays: Mapping[str, dict[str, Any] | None] = field(default_factory=dict[str, dict[str, Any] | None])
    """Display forms of the variables that the cell has changed, as the kernel says; None where there was no room."""
