"""List the points that a REPL can be restored to: after each cell, and after each change of variables by a user."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...state.blobs.texts import Texts
from ...state.records import EditRecord, TurnRecord
from ..runtime.turns import turns_of

if TYPE_CHECKING:
    from ...state.run_state import RunState

REPLAYABLE = ("ok", "error")
"""Statuses of cells that can come to the same end when they are run again."""


@dataclass(frozen=True)
class RestorePoint:
    """A point, and what led to it from the one before: a cell was run, or variables were set."""

    position: str
    snapshot: str | None
    lost: dict[str, str]
    """Variables that the snapshot lacks or has only in part."""
    done: TurnRecord | EditRecord

    @property
    def turn(self) -> int:
        """The turn whose cell ended last."""
        return self.done["turn"] if "values" in self.done else self.done.get("number", 0)

    @property
    def replayable(self) -> bool:
        """True when doing it again can come to the same end."""
        return "values" in self.done or self.done.get("status") in REPLAYABLE

    @property
    def seconds(self) -> float:
        """Seconds that it took; 0 for variables that were set."""
        return 0.0 if "values" in self.done else self.done.get("seconds", 0.0)


def restore_points(state: "RunState") -> list[RestorePoint]:
    """Return the points of a state in order. A cell whose kernel died left the REPL as it was, so it adds none."""
    points = [
        RestorePoint(turn.get("position", ""), turn.get("snapshot"), turn.get("lost", {}), turn)
        for turn in turns_of(state)
        if turn.get("status") not in (None, "died")
    ]
    points += [RestorePoint(edit["position"], edit["snapshot"], edit["lost"], edit) for edit in state.get("edits", [])]
    # Stable: a turn's cell comes before what was set after it.
    return sorted(points, key=lambda point: (point.turn, "values" in point.done))


async def edit_code(edit: EditRecord, texts: Texts) -> Sequence[str]:
    """Return the cell that sets the variables: one block."""
    # The code defines no name of its own, such as an imported module's, because that could be one of the user's.
    values = [(name, await texts.get(value)) for name, value in edit["values"].items()]
    return ["\n".join(f"{name} = __import__('json').loads({value!r})" for name, value in values)]
