"""All that is needed to show what a run waits for, read while the home is open."""

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...state.errors import StoreError, UnknownThread
from .requests import Request, Waiting, waiting_of

if TYPE_CHECKING:
    from ...graph.run import Run
    from ...graph.runner import Runner


@dataclass(frozen=True)
class Cell:
    """The code of an earlier turn."""

    turn: int
    code: str


@dataclass(frozen=True)
class Pending:
    """A run that waits for a person."""

    run: "Run"
    waiting: tuple[Waiting, ...]
    before: dict[tuple[str, int], Cell] = field(default_factory=dict[tuple[str, int], Cell])
    """By thread and turn, the cell before it."""

    def cell_before(self, request: Request) -> Cell | None:
        """What ran before the code that a request is about."""
        return self.before.get((request.thread_id, request.turn))


async def pending_of(runner: "Runner", run: "Run") -> Pending | None:
    """What the run waits for; None when it does not."""
    if run.status != "paused" or not run.interrupts:
        return None
    waiting = tuple(waiting_of(run))
    before: dict[tuple[str, int], Cell] = {}
    code = [request for one in waiting for request in one.requests if request.name == "execute_code"]
    for thread in dict.fromkeys(request.thread_id for request in code):
        cells = await _cells(runner, thread)
        for request in code:
            earlier = [cell for cell in cells if cell.turn < request.turn]
            if request.thread_id == thread and earlier:
                before[thread, request.turn] = earlier[-1]
    return Pending(run, waiting, before)


async def _cells(runner: "Runner", thread: str) -> list[Cell]:
    """The code of a run's turns; none where they cannot be read, which is no reason not to ask."""
    with contextlib.suppress(StoreError, UnknownThread):
        turns = (await runner.library.show(thread, runner.graph))["turns"]
        return [Cell(turn["turn"], "\n\n".join(turn["code"])) for turn in turns if turn["code"]]
    return []
