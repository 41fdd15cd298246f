"""The session protocol: what the graph sees of a kernel, whichever kernel it is.

A cell *stands still* at its sub-calls: `begin` starts it and returns; `next_call` yields what its code
asks for, from any of its threads and coroutines; `deliver` hands an answer to the code that waits for
it; `next_call` yields None once the cell has ended, and `result` says how. Between those calls the
graph may save, stop or wait for a person: the kernel keeps its place.

Implementations: `jupyter.JupyterKernels` (a real kernel in a kernel-host process) and
`memory.MemoryKernels` (a thread, for tests). Both pass `contract.py`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from ..state.blobs.snapshots import Group
from ..state.input.child_context import PostedContext

CallKind = Literal["llm", "rlm"]
FailureKind = Literal["model", "budget", "cancelled", "usage", "rejected"]
CellStatus = Literal["ok", "error", "timeout", "died"]


@dataclass(frozen=True)
class ContextFiles:
    """Where a kernel finds its input: one file of UTF-8 text, and for documents an index of it.

    The index is JSON Lines, one document a line: `{"name", "start", "end", "chars", "meta"}`, offsets in
    bytes of the pack. Without an index the pack is one text.
    """

    pack: Path
    index: Path | None = None
    start: int = 0
    end: int | None = None
    """The range of the pack, in bytes, that is the text, or that the documents lie in; None: to its end."""
    handed: bool = False
    """Whether it is what a sub-RLM was handed of its caller's input: then it sees nothing else of the pack."""


@dataclass(frozen=True)
class KernelSpec:
    """What a kernel is started with."""

    thread_id: str
    context: ContextFiles | None = None
    sub_calls: bool = True
    """False at depth 0: the query functions raise, saying so."""
    sub_rlms: bool = False
    """True from depth 2 on: `rlm_query` hands its `context` over apart; else it is put behind the prompt."""
    models: tuple[str, ...] = ()
    """The only model names that code may ask for."""
    memory: int = 4 << 30
    """Bytes of address space."""
    cell_timeout: float = 300.0
    """Seconds of a cell's own computing; waiting for answers does not count."""

    sandboxed: bool = True
    """Whether it must be confined; False: it runs as the user, who has said so."""
    environment: str = ""
    """The folder of a virtual environment that it runs in; empty: this program's own, of which it sees a part."""
    provisioner: str = ""
    """The Jupyter kernel provisioner that starts it; empty: ours."""

    def process(self) -> dict[str, Any]:
        """What the kernel host is told of this: plain JSON."""
        context = self.context
        files = [context.pack, context.index] if context else []
        return {
            "memory": self.memory,
            "cpu_seconds": self.cell_timeout,
            "files": [str(path) for path in files if path],
            "handed": context is not None and context.handed,
            "sandboxed": self.sandboxed,
            "environment": self.environment,
            "provisioner": self.provisioner,
        }

    def setup(self) -> dict[str, Any]:
        """What the kernel itself is told of this (`inside/repl.py`): plain JSON."""
        context = self.context
        return {
            "pack": str(context.pack) if context else None,
            "index": str(context.index) if context and context.index else None,
            "start": context.start if context else 0,
            "end": context.end if context else None,
            "sub_calls": self.sub_calls,
            "sub_rlms": self.sub_rlms,
            "models": list(self.models),
            "confined": self.sandboxed,
        }


@dataclass(frozen=True)
class Cell:
    """One root turn's code: blocks run in order, and the first error ends it."""

    turn: int
    blocks: tuple[str, ...]
    history: tuple[dict[str, str], ...] = ()
    """`{"role", "content"}` entries that the REPL's `history` gains before the code runs."""


@dataclass(frozen=True)
class PostedCall:
    """A sub-call that the cell's code waits for. Parsed from a kernel, so nothing in it is trusted."""

    id: int
    kind: CallKind
    prompt: str
    model: str | None = None
    schema: dict[str, Any] | None = None
    cache: bool = False
    context: PostedContext | None = None
    """What a sub-RLM is handed as its `context`."""
    rest: int = field(default=1, compare=False)
    """How many calls were posted together, as the kernel says, from this one on."""
    weight: int = field(default=0, compare=False)
    """What it counts of what a kernel may post ahead: its characters, and something for each of its texts."""


@dataclass(frozen=True)
class Answered:
    """The call's answer: text, or the parsed value when a schema was asked for."""

    value: Any


@dataclass(frozen=True)
class Failed:
    """The call failed for good; the code sees `SubCallError`, `FailedCall`, `BudgetExceeded` or `CallsRejected`."""

    kind: FailureKind
    message: str


Outcome = Answered | Failed


@dataclass(frozen=True)
class CellError:
    """The exception that ended a cell, as text."""

    name: str
    message: str
    traceback: str


@dataclass(frozen=True)
class Final:
    """The value that the code ended the run with: JSON, or the text of what is not JSON."""

    value: Any
    text_of: str | None = None
    """The type of what is not JSON."""


@dataclass(frozen=True)
class Variable:
    """One variable of the REPL, as `SHOW_VARS` and the root's prompt show it."""

    name: str
    type: str
    size: int | None
    preview: str


@dataclass(frozen=True)
class Snapshot:
    """What a cell changed of the saved variables. Its bytes are opaque: nothing outside a kernel looks into them."""

    groups: Sequence[Group] = ()
    """New and changed ones."""
    gone: Sequence[str] = ()
    """Ids of groups that are no more."""
    chunks: Sequence[bytes] = ()
    """The chunks that this kernel has not sent before."""


@dataclass(frozen=True)
class Restored:
    """What a restore brought back."""

    names: Sequence[str]
    """Variables that are as they were."""
    lost: Mapping[str, str]
    """Variables that are not, or not wholly, and why. Using what is missing of them raises, saying so."""


@dataclass(frozen=True)
class CellResult:
    """How a cell ended. `output` is whole up to the kernel's own cap, which it then mentions.

    `timeout`: the cell was interrupted, what it had done stands. `died`: the kernel went with it; said by
    whoever replaces the kernel, never by a session (it raises KernelLost).
    """

    status: CellStatus
    output: str = ""
    error: CellError | None = None
    final: Final | None = None
    variables: Sequence[Variable] = field(default=())
    seconds: float = 0.0
    snapshot: Snapshot | None = None
    """What changed since the kernel's last snapshot; None when it could not be taken."""
    unsaved: str | None = None
    """Why there is no snapshot."""


class KernelSession(Protocol):
    """One live kernel. Every method raises KernelLost once the kernel is gone."""

    @property
    def waiting(self) -> int:
        """Calls that were posted and not taken yet."""
        ...

    @property
    def busy(self) -> bool:
        """Whether a cell was begun whose result has not been taken."""
        ...

    @property
    def lost(self) -> bool:
        """Whether the kernel is known to be gone."""
        ...

    async def restore(self, groups: Sequence[Group], batches: AsyncIterator[Mapping[str, bytes]]) -> Restored:
        """Bring saved variables into a fresh kernel; `batches` are their chunks by hash, in any order.

        A group that cannot be brought back (a chunk is missing, its code raises) is `lost`; the others are not.
        """
        ...

    async def compare(self, groups: Sequence[Group], batches: AsyncIterator[Mapping[str, bytes]]) -> Sequence[str]:
        """Names of saved variables, as far as they can be loaded, that are not in this kernel what they were."""
        ...

    async def begin(self, cell: Cell) -> None:
        """Start `cell` and return at once. Raises RuntimeError while another one is under way."""
        ...

    async def next_call(self) -> PostedCall | None:
        """The next call that the cell posts, each once; None when the cell has ended."""
        ...

    async def peek(self) -> bool:
        """Wait until a call is posted (True) or the cell has ended (False), and take nothing."""
        ...

    async def deliver(self, call_id: int, outcome: Outcome) -> None:
        """Hand an answer to the code that waits for it; an unknown or settled id is ignored."""
        ...

    async def result(self) -> CellResult:
        """Wait for the cell's end and say how it ended; afterwards the session is not busy."""
        ...

    async def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the cell; what swallows it is killed a little later."""
        ...

    async def close(self) -> None:
        """End the kernel now. Safe to call twice."""
        ...


@dataclass(frozen=True)
class Sandbox:
    """What confines kernels: it has proven itself when they were made ready."""

    tier: str
    """`bubblewrap`, `namespaces`, `landlock`; or `none`."""
    refused: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """Stronger ones that did not hold, and why."""
    packages: Sequence[str] = ()
    """Modules that code can import beside the standard library, of those worth naming."""


class Kernels(Protocol):
    """Starts kernels."""

    async def warm_up(self, *, sandboxed: bool = True, environment: str = "") -> Sandbox:
        """Do now what the first start would wait for, and say what confines kernels.

        Raises NoSandbox when they are to be confined and nothing holds, UsageError for an environment that cannot
        run them, KernelStartFailed.
        """
        ...

    def packages(self, environment: str = "") -> Sequence[str]:
        """Return the modules that `warm_up` found code of this environment can import, of those worth naming."""
        ...

    async def start(self, spec: KernelSpec) -> KernelSession:
        """A fresh kernel with `context` and the REPL's names in place. Raises KernelStartFailed."""
        ...

    async def close(self) -> None:
        """End every kernel that is still alive."""
        ...
