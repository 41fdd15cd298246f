"""The session protocol: the graph's interface to a kernel of any kind.

A cell *waits* at its sub-calls: `begin` starts it and returns; `next_call` returns each call that its code makes, from
any of its threads and coroutines; `deliver` hands an answer to the code that waits for it; `next_call` returns None
once the cell has ended, and `result` returns its result. Between those calls the graph may save, stop or wait for a
reviewer: the kernel keeps its place.

Implementations: `jupyter.JupyterKernels` (a real kernel in a kernel-host process) and, for tests, `MemoryKernels` in
`tests/contract/in_memory_kernel.py` (a thread). Both pass `tests/contract/session_contract.py`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from ..state.blobs.snapshots import Group
from ..state.input.child_context import PostedContext
from .results import CellResult, Restored
from .search import SearchInput, SearchQuery

CallKind = Literal["llm", "rlm", "search"]
FailureKind = Literal["model", "budget", "cancelled", "usage", "rejected"]
REFUSED_ON = "CallsRefused"
"""The name of the error of a cell that was interrupted because it went on making calls that are refused."""


@dataclass(frozen=True)
class ContextFiles:
    """The files of a kernel's input: one file of UTF-8 text (the pack), and for documents an index of it.

    The index (`state/input/index.py`) has the name, range, metadata and places of each document. Without an index the
    pack is one text without a name.
    """

    pack: Path
    index: Path | None = None
    start: int = 0
    end: int | None = None
    """The range of the pack, in bytes, that is the text or contains the documents; `end` None: to the pack's end."""
    handed: bool = False
    """True when it is the part of its caller's input given to a sub-RLM, which then sees nothing else of the pack."""
    text: bool = False
    """True when the index has one document, which is the text."""


@dataclass(frozen=True)
class KernelSpec:
    """The settings with which a kernel is started."""

    thread_id: str
    context: ContextFiles | None = None
    sub_calls: bool = True
    """False at depth 0: the query functions then raise an error that says so."""
    sub_rlms: bool = False
    """True from depth 2 on: `rlm_query` sends its `context` separately; else it is appended to the prompt."""
    models: tuple[str, ...] = ()
    """The only model names that code may ask for."""
    prompt_tokens: int = 12_000
    """Estimated tokens of a prompt that the sub-model reads well: what code packs unless it says another size."""
    memory: int = 4 << 30
    """Bytes of address space."""
    cell_timeout: float = 300.0
    """Seconds that a cell may compute; waiting for answers does not count."""
    search: SearchInput | None = field(default=None, compare=False)
    """Searches its input; None: nothing does, and code that searches gets an error."""

    sandboxed: bool = True
    """True when it must be confined; False: it runs as the user, who has asked for that."""
    environment: str = ""
    """The folder of the virtual environment that it runs in; empty: this program's own, of which it sees a part."""
    provisioner: str = ""
    """The Jupyter kernel provisioner that starts it; empty: this program's own."""
    spool: str | None = None
    """The folder in which answers that come in parts are kept meanwhile; None: the system's for temporary files."""

    def process(self) -> dict[str, Any]:
        """Return the settings for the kernel host, as plain JSON."""
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
        """Return the settings for the kernel itself (`inside/repl.py`), as plain JSON."""
        context = self.context
        return {
            "pack": str(context.pack) if context else None,
            "index": str(context.index) if context and context.index else None,
            "text": context is None or context.text or context.index is None,
            "start": context.start if context else 0,
            "end": context.end if context else None,
            "sub_calls": self.sub_calls,
            "sub_rlms": self.sub_rlms,
            "models": list(self.models),
            "prompt_tokens": self.prompt_tokens,
            "confined": self.sandboxed,
        }


@dataclass(frozen=True)
class Cell:
    """The code of one root turn: its blocks run in order, and the first error ends it."""

    turn: int
    blocks: tuple[str, ...]
    history: tuple[dict[str, str], ...] = ()
    """`{"role", "content"}` entries that the REPL's `history` gains before the code runs."""


@dataclass(frozen=True)
class Origin:
    """The place in the cell's code that made a call, and the parts of the input that its prompt was made from."""

    block: int | None = None
    line: int | None = None
    """The block, and the line in it, both from 1; None for a call from a thread or a task."""
    ranges: tuple[tuple[str, int, int], ...] = ()
    """Documents by name, with the range of each in characters."""


NO_ORIGIN = Origin()


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
    """The `context` of a sub-RLM."""
    max_tokens: int | None = None
    """The most output tokens of the answer, if the code said so."""
    arguments: dict[str, Any] | None = None
    """The arguments of a tool."""
    origin: Origin = NO_ORIGIN
    attachments: tuple[str, ...] = ()
    """Content hashes of what is sent with the prompt."""
    search: SearchQuery | None = None
    """For the kind `search`, which is answered beside the calls and given to no caller of `next_call`."""
    rest: int = field(default=1, compare=False)
    """The number of calls from this one on that were posted together, as the kernel says."""
    weight: int = field(default=0, compare=False)
    """Its share of what a kernel may post ahead: its characters, and an amount for each of its texts."""

    @property
    def recorded_kind(self) -> Literal["llm", "rlm"]:
        """The kind under which the journal has it, which has no searches."""
        return "rlm" if self.kind == "rlm" else "llm"


@dataclass(frozen=True)
class Answered:
    """The call's answer: a text, or the parsed value when the call has a schema."""

    value: Any


@dataclass(frozen=True)
class Failed:
    """The call failed for good; the code sees `SubCallError`, `FailedCall`, `BudgetExceeded` or `CallsRejected`."""

    kind: FailureKind
    message: str


Outcome = Answered | Failed


class KernelSession(Protocol):
    """One live kernel. Every method raises KernelLost once the kernel is gone."""

    @property
    def waiting(self) -> int:
        """Number of calls that were posted and not taken yet."""
        ...

    @property
    def busy(self) -> bool:
        """True when a cell was begun whose result has not been taken."""
        ...

    @property
    def lost(self) -> bool:
        """True when the kernel is known to be gone."""
        ...

    async def restore(self, groups: Sequence[Group], batches: AsyncIterator[Mapping[str, bytes]]) -> Restored:
        """Load saved variables into a fresh kernel; `batches` are their chunks by hash, in any order.

        A group that cannot be restored (a chunk is missing, its code raises) is `lost`; the others are not.
        """
        ...

    async def compare(self, groups: Sequence[Group], batches: AsyncIterator[Mapping[str, bytes]]) -> Sequence[str]:
        """Return the names of the saved variables that can be loaded and differ from those in this kernel."""
        ...

    async def begin(self, cell: Cell) -> None:
        """Start `cell` and return at once. Raises RuntimeError while another one is under way."""
        ...

    async def next_call(self) -> PostedCall | None:
        """Wait for the next call that the cell posts and return it, each once; None when the cell has ended."""
        ...

    async def peek(self) -> bool:
        """Wait until a call is posted (return True) or the cell has ended (return False), without taking a call."""
        ...

    async def deliver(self, call_id: int, outcome: Outcome) -> None:
        """Hand an answer to the code that waits for it; an unknown or settled id is ignored."""
        ...

    async def result(self) -> CellResult:
        """Wait for the cell's end and return its result; afterwards the session is not busy."""
        ...

    async def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the cell; the kernel is killed shortly after if the cell ignores it."""
        ...

    async def close(self) -> None:
        """End the kernel now. Safe to call twice."""
        ...


@dataclass(frozen=True)
class Sandbox:
    """The sandbox that confines kernels, verified when they were made ready."""

    tier: str
    """`bubblewrap`, `namespaces`, `landlock`; or `none`."""
    refused: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """The stronger tiers that did not hold, and why."""
    packages: Sequence[str] = ()
    """Those modules worth naming that code can import beside the standard library."""


class Kernels(Protocol):
    """A factory of kernels."""

    async def warm_up(self, *, sandboxed: bool = True, environment: str = "") -> Sandbox:
        """Do in advance what the first start would wait for, and return the sandbox that confines kernels.

        Raises NoSandbox when they have to be confined and no tier holds, UsageError for an environment that cannot
        run them, KernelStartFailed.
        """
        ...

    async def try_provisioner(self, name: str) -> None:
        """Check that a Jupyter kernel provisioner starts kernels. Raises UsageError when it does not."""
        ...

    def packages(self, environment: str = "") -> Sequence[str]:
        """Return those modules worth naming that `warm_up` has found importable in this environment."""
        ...

    async def start(self, spec: KernelSpec) -> KernelSession:
        """Start a kernel with `context` and the REPL's names set. Raises KernelStartFailed."""
        ...

    async def close(self) -> None:
        """End every kernel that is still alive."""
        ...
