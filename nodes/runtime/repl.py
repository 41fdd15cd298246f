"""The REPL of a run: a kernel session, the cells that have ended in it, and the cell that runs in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ...kernel.results import CellResult, Restored
from ...kernel.session import Cell, KernelSession
from ...state.blobs.snapshots import Group, Groups, Snapshots, UnknownChunk
from ...state.call_keys import START, AnswerSet, advance
from ...state.records import RestoreRecord
from .call_decisions import CallDecisions
from .dispatcher import CallDispatcher
from .parked_calls import ParkedCalls


@dataclass
class CellCalls:
    """The sub-calls of a cell: those recorded in an earlier run of it, and those that it has made so far."""

    parked: ParkedCalls
    """The calls that wait for approval, and the rule by which calls are parked."""
    recorded: frozenset[str] = frozenset()
    """Keys of the calls that the journal has for this cell."""
    requested: set[str] = field(default_factory=set[str])
    """Keys of the calls that it has made."""
    unrecorded: dict[str, str] = field(default_factory=dict[str, str])
    """The first characters of the prompts that had no recorded answer, by key, in the order of the calls."""
    truncated: int = 0
    """Number of answers that were cut at their output limit."""
    answers: AnswerSet = field(default_factory=AnswerSet)

    @property
    def missing(self) -> list[str]:
        """Recorded keys that the cell has not asked for."""
        return sorted(self.recorded - self.requested)


class Repl:
    """One kernel session, and its position.

    A fresh REPL is at `START`. `restore` loads a snapshot into it. `begin_cell` starts a cell; its sub-calls are served
    until `wait` returns its result; `stop_calls`, `save_variables` and `end_cell` process the result, and the next cell
    may begin. `close` ends the kernel at any time. Every method that talks to the kernel raises KernelLost once it is
    gone.
    """

    def __init__(self, session: KernelSession, snapshots: Snapshots) -> None:
        self._session = session
        self._snapshots = snapshots
        self._position = START
        self._cell: str | None = None
        self._calls: CellCalls | None = None
        self._dispatcher: CallDispatcher | None = None
        self._report_calls: Callable[[], None] | None = None
        self._manifest: str | None = None
        self._groups: Groups = {}
        self._restore_report: RestoreRecord | None = None
        self._history_sent_upto = 0

    @property
    def session(self) -> KernelSession:
        """The kernel, to which answers are delivered."""
        return self._session

    @property
    def position(self) -> str:
        """The hash over the cells that have ended in it and the answers they got."""
        return self._position

    @property
    def in_cell(self) -> bool:
        """True when a cell was begun and has not ended."""
        return self._cell is not None

    @property
    def lost_between_cells(self) -> bool:
        """True when the kernel died while no cell ran, so that no cell caused it."""
        return self._session.lost and self._cell is None

    @property
    def calls(self) -> CellCalls:
        """The sub-calls of the cell that was begun last."""
        assert self._calls is not None, "no cell was begun"
        return self._calls

    @property
    def answering(self) -> bool:
        """True when calls are being answered: answers that were paid for must reach the cell."""
        return bool(self._dispatcher and self._dispatcher.active)

    @property
    def open_calls(self) -> int:
        """Calls that no worker has taken, or that one left under way."""
        return self._dispatcher.open_calls if self._dispatcher else self._session.waiting

    @property
    def snapshot(self) -> str | None:
        """The name of the snapshot that was saved or loaded last."""
        return self._manifest

    @property
    def saved_variables(self) -> list[str]:
        """Names of the variables in the last snapshot, sorted."""
        return sorted(variable["name"] for group in self._groups.values() for variable in group["about"])

    @property
    def unsaved_variables(self) -> dict[str, str]:
        """Variables that the last snapshot lacks or has in part, and why."""
        return {name: why for group in self._groups.values() for name, why in group["lost"].items()}

    @property
    def restore_report(self) -> RestoreRecord | None:
        """The report of its restore, until the next cell has ended."""
        return self._restore_report

    @restore_report.setter
    def restore_report(self, report: RestoreRecord) -> None:
        self._restore_report = report

    @property
    def history_sent_upto(self) -> int:
        """The turn up to which the REPL's `history` has been sent."""
        return self._history_sent_upto

    def stands_at(self, position: str, cell: str | None) -> bool:
        """Return whether the REPL is at this position and runs no other cell than this one."""
        return self._position == position and self._cell in (None, cell)

    async def begin_cell(
        self, cell: Cell, digest: str, calls: CellCalls, dispatcher: CallDispatcher, report_calls: Callable[[], None]
    ) -> None:
        """Start a cell. `report_calls` sends an event about the progress of its calls."""
        self._cell, self._calls, self._dispatcher, self._report_calls = digest, calls, dispatcher, report_calls
        await self._session.begin(cell)
        self._history_sent_upto = cell.turn

    async def wait(self) -> Literal["calls", "approval"] | CellResult:
        """Wait until calls need workers, only parked calls are left, or the cell has ended: then return its result.

        Raises what must stop the run.
        """
        blocked = await self._dispatcher.wait_until_blocked() if self._dispatcher else "ended"
        return await self._session.result() if blocked == "ended" else blocked

    async def serve(self, *, seconds: float, max_workers: int) -> int:
        """Be one of the workers that answer the cell's calls. Return how many calls it answered."""
        return await self._dispatcher.serve(seconds=seconds, max_workers=max_workers) if self._dispatcher else 0

    def decide(self, decisions: CallDecisions) -> None:
        """Hand a reviewer's decisions to the calls that wait for them."""
        if self._dispatcher:
            self._dispatcher.decide(decisions)

    async def run_without_calls(self, cell: Cell) -> CellResult:
        """Run code of this program, which makes no sub-calls, to its end."""
        await self._session.begin(cell)
        return await self._session.result()

    async def stop_calls(self) -> None:
        """Cancel the calls that the ended cell did not wait for, and send the last event about them."""
        if self._dispatcher:
            await self._dispatcher.close()
        if self._report_calls:
            self._report_calls()

    def position_after(self, digest: str) -> str:
        """Return the position to which a cell with this digest and the answers delivered so far leads."""
        return advance(self._position, digest, self.calls.answers.digest)

    async def save_variables(self, result: CellResult) -> str | None:
        """Save what the cell changed, with the next commit. Return why that could not be done, or None.

        Without a new snapshot `snapshot` stays at the last one; what the kernel sends next still builds on what it has
        sent before.
        """
        snapshot = result.snapshot
        if snapshot is None:
            return result.unsaved or "the kernel sent none"
        try:
            self._manifest, self._groups = await self._snapshots.save(
                self._manifest, self._groups, snapshot.groups, snapshot.gone, snapshot.chunks
            )
        except UnknownChunk as error:
            return f"the kernel sent a snapshot that is none: {error}"
        return None

    def end_cell(self, position: str) -> None:
        """Record that a cell, or another step that led to this position, has ended."""
        self._position = position
        self._cell = self._dispatcher = self._report_calls = self._restore_report = None

    async def restore(self, groups: Groups, snapshot: str, position: str) -> Restored:
        """Load the groups of a snapshot into a fresh kernel. Return what could not be brought back, and why."""
        restored = await self._session.restore(list(groups.values()), self._snapshots.batches(groups.values()))
        self._groups, self._manifest, self._position = groups, snapshot, position
        return restored

    async def differing(self, groups: Sequence[Group]) -> Sequence[str]:
        """Return the names of saved variables whose values in this kernel differ from the saved ones."""
        return await self._session.compare(groups, self._snapshots.batches(groups))

    async def close(self) -> None:
        """End the kernel and the calls under way. Safe to call twice."""
        if self._dispatcher:
            await self._dispatcher.close()
        await self._session.close()
