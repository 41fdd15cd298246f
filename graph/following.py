"""Follows a run while it is executed, by any process: what has been saved since the last look.

A look at a run that has saved nothing costs two small queries. Otherwise it reads the new steps, the calls of the cell
under way, and the sum of what the run has spent, which is read less often where it takes long. So a look does not cost
more in a long run.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from ..nodes.runtime.turns import number_of, together, turns_of
from ..state.blobs.texts import Texts
from ..state.errors import StoredDataDamaged, StoreError
from ..state.records import TurnRecord, Usage, as_usage
from ..state.saved_turns import Saved, SavedStep, last_saved, steps_after
from ..state.stores import Stores
from ..state.threads import Thread
from .checkpoints import Checkpoints, state_at
from .exit_status import RunStatus

EVERY = 0.5
"""Seconds between two looks."""
Doing = Literal["starting", "whole", "asking", "running", "calling", "ending"]
_ENDING = 5.0
"""Seconds that the end of an answered run's execution is waited for at most: only then its time is saved."""
_SHARE = 20
"""Sums are read again once so many times the time has passed that they took."""
_OF_TURN = "thread_id = ? AND key >= ? AND key < ?"
_COUNTS = (
    f"SELECT status, count(*), sum(coalesce(settled, 0) <= ?) FROM calls WHERE {_OF_TURN} AND kind != 'root' "
    "GROUP BY status"
)
_ASKED = f"SELECT 1 FROM calls WHERE {_OF_TURN} AND kind = 'root' AND status = 'asked' LIMIT 1"
_BELOW_CELL = """
WITH RECURSIVE below (thread_id, depth) AS (
    SELECT thread_id, depth FROM children WHERE caller = ? AND call >= ? AND call < ?
    UNION SELECT children.thread_id, children.depth FROM children JOIN below ON children.caller = below.thread_id
)
"""
_CHILDREN = f"{_BELOW_CELL} SELECT depth, status, count(*) FROM below JOIN threads USING (thread_id) GROUP BY 1, 2"
_LATEST = (
    f"{_BELOW_CELL} SELECT thread_id, depth, turns, substr(question, 1, 400) FROM below JOIN threads "
    "USING (thread_id) WHERE status = 'running' ORDER BY updated DESC LIMIT 1"
)


@dataclass(frozen=True)
class CellCounts:
    """The sub-calls of the cell under way, and the sub-RLMs that it has started, those below them included."""

    posted: int = 0
    """Sub-calls that the cell has made, as far as is saved."""
    answered: int = 0
    failed: int = 0
    in_flight: int = 0
    """Those that were sent and have no answer yet."""
    children: dict[int, dict[str, int]] = field(default_factory=dict[int, dict[str, int]])
    """Numbers of sub-RLMs by depth and status."""
    latest: tuple[str, int, int, str] | None = None
    """The running sub-RLM that was saved last: thread, depth, turns and question."""


@dataclass(frozen=True)
class Look:
    """The saved data of a run, with the parts that are new since the look before."""

    thread_id: str
    status: RunStatus | Literal["damaged"]
    """`busy` while a process runs it; `damaged` when its entry in the index has changed on disk, and nobody does."""
    doing: Doing
    """The work of a busy run. `whole`: it asks for an answer to the whole input; `asking`: it asks the root
    model for a turn; `running`: its cell runs; `calling`: its cell waits for sub-calls; `ending`: it has an answer.
    """
    turn: int
    """The turn under way, or the last one."""
    max_turns: int
    last: bool
    """True when the cell under way is that of the last turn."""
    turns: list[dict[str, Any]]
    """The turns that are new or have changed, whole, in the form of `rlm show --json` without `variables`."""
    cell: CellCounts
    usage: Usage | None
    """The usage of its tree, while it is busy without the requests in flight; None where that cannot be read."""
    saved: float
    """The time at which the last step was saved, in seconds since 1970."""
    damaged: list[int] = field(default_factory=list[int])
    """The numbers of new steps that are not, or not wholly, what was saved."""
    earlier: int = 0
    """In the first look: the number of turns before those in `turns`."""

    @property
    def ended(self) -> bool:
        """True when no process runs it: nothing changes until somebody resumes it."""
        return self.status != "busy"


async def turn_document(texts: Texts, turn: TurnRecord) -> dict[str, Any]:
    """Return a turn as `rlm show --json` prints it, without the variables; a sentence replaces a damaged text."""
    output, reply, thoughts = (turn.get(name) for name in ("output", "reply", "thoughts"))
    return {
        "turn": turn.get("number", 0),
        "status": turn.get("status"),
        "code": [await texts.get_or_damage(block) for block in turn.get("blocks", [])],
        "output": await texts.get_or_damage(output) if output else None,
        "error": turn.get("error"),
        "nudge": turn.get("nudge"),
        "notes": turn.get("notes", []),
        "seconds": turn.get("seconds"),
        "reply": await texts.get_or_damage(reply) if reply else None,
        "thoughts": await texts.get_or_damage(thoughts) if thoughts else None,
    }


class Following:
    """Repeated looks at one run, which may be executed by another process, or by none."""

    def __init__(
        self,
        stores: Stores,
        checkpoints: Checkpoints,
        thread_id: str,
        *,
        most: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`most`: the number of turns that the first look has at most, the latest ones; None: all.

        `checkpoints` is `Runner.graph`; `clock` measures how long reading takes, in seconds.
        """
        self._stores = stores
        self._checkpoints = checkpoints
        self.thread_id = thread_id
        """The whole name of the run."""
        self._most = most
        self._clock = clock
        self._version: tuple[int, int] | None = None
        self._alive = False
        self._known: dict[int, TurnRecord] = {}
        self._step = SavedPlace()
        self._sums_after = float("-inf")
        self._stale = False
        self._usage: Usage | None = None
        self._first = True
        self._answered: float | None = None
        """The time at which the answer was seen first, by `clock`."""
        self._ending = False

    async def follow(
        self, *, every: float = EVERY, sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    ) -> AsyncGenerator[Look]:
        """Yield what is saved, and then each time what is new, until no process runs the run.

        `every`: seconds between two looks. Raises UnknownThread, also when the run is deleted meanwhile; StoreError.
        """
        while True:
            look = await self.look()
            if look is not None:
                yield look
                if look.ended:
                    return
            await sleep(every)

    async def look(self) -> Look | None:
        """Return what is new since the last look; None when nothing is. Raises UnknownThread, StoreError."""
        version = await self._stores.database.version()
        alive = bool(await self._stores.leases.holder_alive([self.thread_id]))
        stale = self._stale and self._clock() >= self._sums_after
        if not self._first and (version, alive) == (self._version, self._alive) and not (stale or self._ending):
            return None
        row = await self._stores.threads.look(self.thread_id)
        status = self._standing(row, alive=alive)
        damaged, changed = await self._read_steps(row)
        # Another branch may have fewer turns than the one before.
        shown = sorted(changed & self._known.keys())
        if self._first and self._most is not None:
            shown = shown[max(0, len(shown) - self._most) :]
        earlier = len(self._known) - len(shown) if self._first else 0
        cell = await self._counts() if status == "busy" else CellCounts()
        if status != "busy" or self._clock() >= self._sums_after:
            await self._sum(in_flight=status != "busy")
        else:
            self._stale = True
        self._version, self._alive, self._first = version, alive, False
        doing = await self._doing(cell)
        begins = status == "busy" and doing == "asking"
        return Look(
            thread_id=self.thread_id,
            status=status,
            doing=doing,
            turn=self._step.turn + begins,
            max_turns=row.limits.max_turns,
            last=self._step.last and not begins,
            turns=[await turn_document(self._stores.texts, self._known[number]) for number in shown],
            cell=cell,
            usage=self._usage,
            saved=self._step.saved or row.updated,
            damaged=damaged,
            earlier=earlier,
        )

    def _standing(self, row: Thread, *, alive: bool) -> RunStatus | Literal["damaged"]:
        if row.status == "answered" and not row.damaged:
            if self._answered is None:
                self._answered = self._clock()
            self._ending = alive and self._clock() - self._answered < _ENDING
            return "busy" if self._ending else "answered"
        if alive:
            # Also while its last status is about to be saved, or it is about to be resumed.
            return "busy"
        if row.damaged:
            return "damaged"
        return "stopped" if row.status == "running" else row.status

    async def now(self) -> Look | None:
        """Return what `look` does without what was saved before, so that it costs the same in a run of any length.

        `turns` has what the last step added. For a single look: None after another one. Raises as `look` does.
        """
        last = await last_saved(self._stores.database, self.thread_id)
        for step in last.steps:
            # The step before it, which it then leads on from.
            self._step = SavedPlace(number=step.step.step - 1, checkpoint=step.parent)
        return await self.look()

    async def _read_steps(self, row: Thread) -> tuple[list[int], set[int]]:
        """Read the new steps. Return the numbers of damaged ones, and of the turns that are new or have changed."""
        damaged: list[int] = []
        changed: set[int] = set()
        while True:
            found = await steps_after(self._stores.database, self.thread_id, self._step.number)
            if found.last < self._step.number:
                # Some were taken back; the line begins anew behind what is left.
                self._step = SavedPlace()
                continue
            broken = False
            for step in found.steps:
                if step.damaged:
                    damaged.append(step.step.step)
                broken = broken or not self._step.leads_to(step)
                changed |= self._add(step.records)
                self._step = self._step.after(step)
            if found.steps:
                self._step = self._step.with_values(found)
            if broken:
                changed |= await self._reload(row, damaged)
            if self._step.number >= found.last:
                return damaged, changed

    def _add(self, records: Sequence[TurnRecord]) -> set[int]:
        for record in records:
            number = number_of(record)
            self._known[number] = together(self._known.get(number, TurnRecord()), record)
        return {number_of(record) for record in records}

    async def _reload(self, row: Thread, damaged: list[int]) -> set[int]:
        """Read all turns anew, after a step that does not only add to them. Return the numbers of those that differ."""
        try:
            state = (await state_at(self._stores, self._checkpoints, row, None)).state
        except StoredDataDamaged:
            if self._step.number not in damaged:
                damaged.append(self._step.number)
            return set()
        before, self._known = self._known, {number_of(turn): turn for turn in turns_of(state)}
        return {number for number, turn in self._known.items() if before.get(number) != turn}

    async def _counts(self) -> CellCounts:
        if not self._step.in_cell:
            return CellCounts()
        of_turn = (self.thread_id, *_keys_of(self._step.turn))
        counts: dict[str, tuple[int, int]] = {}
        children: dict[int, dict[str, int]] = {}
        for status, count, before in await self._stores.database.read(_COUNTS, (self._step.settled, *of_turn)):
            counts[str(status)] = int(count), int(before) if status != "asked" else 0
        for depth, status, count in await self._stores.database.read(_CHILDREN, of_turn):
            children.setdefault(int(depth), {})[str(status)] = int(count)
        latest = await self._stores.database.read(_LATEST, of_turn) if children else []
        posted = sum(count for count, _ in counts.values())
        done = sum(before for _, before in counts.values())
        answered, failed, asked = (counts.get(status, (0, 0))[0] for status in ("answered", "failed", "asked"))
        return CellCounts(
            max(posted, done + self._step.waiting),
            answered,
            failed,
            asked,
            children,
            cast(tuple[str, int, int, str], latest[0]) if latest else None,
        )

    async def _doing(self, cell: CellCounts) -> Doing:
        if self._step.in_cell:
            return "calling" if cell.in_flight or cell.posted > cell.answered + cell.failed else "running"
        if self._step.ending:
            return "ending"
        if self._step.turn or await self._asks(1):
            return "asking"
        return "whole" if await self._asks(0) else "starting"

    async def _asks(self, turn: int) -> bool:
        return bool(await self._stores.database.read(_ASKED, (self.thread_id, *_keys_of(turn))))

    async def _sum(self, *, in_flight: bool) -> None:
        began = self._clock()
        try:
            self._usage = as_usage(await self._stores.spending.by(self.thread_id, in_flight=in_flight))
        except StoreError:
            self._usage = None
        now = self._clock()
        self._sums_after, self._stale = now + _SHARE * (now - began), False


@dataclass(frozen=True)
class SavedPlace:
    """The last step that was read, and the parts of the state after it that are needed here."""

    number: int = 0
    checkpoint: str | None = None
    saved: float = 0.0
    settled: int = 0
    turn: int = 0
    last: bool = False
    in_cell: bool = False
    waiting: int = 0
    ending: bool = False

    def leads_to(self, step: SavedStep) -> bool:
        """Return whether a step adds to this one, and is no edit or branch."""
        return step.step.kind != "edit" and (step.damaged or step.parent == self.checkpoint)

    def after(self, step: SavedStep) -> "SavedPlace":
        """Return the place at a step."""
        about = step.step
        return replace(
            self,
            number=about.step,
            checkpoint=about.checkpoint_id,
            saved=about.created or self.saved,
            settled=about.settled or self.settled,
            turn=about.turn or self.turn,
        )

    def with_values(self, saved: Saved) -> "SavedPlace":
        """Return this place with what the state after it says."""
        values = saved.values
        if not values:
            return self
        turn, waiting, kind = values.get("turn"), values.get("waiting"), saved.steps[-1].step.kind
        return replace(
            self,
            turn=turn if isinstance(turn, int) else self.turn,
            last=bool(values.get("last")),
            in_cell=bool(values.get("cell")),
            ending=bool(values.get("final")) or values.get("status", "running") != "running",
            # After any other step, these calls are among those that have been answered since.
            waiting=waiting if isinstance(waiting, int) and kind == "execute_code" else 0,
        )


def _keys_of(turn: int) -> tuple[str, str]:
    """Return the bounds between which the keys of a turn's calls are."""
    # The semicolon is the character after the colon that ends the turn's number in a key.
    return f"{turn}:", f"{turn};"
