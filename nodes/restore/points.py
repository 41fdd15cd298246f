"""The moments that a REPL can be brought back to: after each cell, and after each change that a person made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...state.blobs.texts import Texts
from ...state.records import EditRecord, TurnRecord
from ..runtime.turns import turns_of

if TYPE_CHECKING:
    from ...state.run_state import RunState

REPLAYABLE = ("ok", "error")
"""How a cell must have ended so that running it again can come to the same end."""


@dataclass(frozen=True)
class RestorePoint:
    """A moment, and what was done to come to it from the one before: a cell was run, or variables were set."""

    position: str
    snapshot: str | None
    lost: dict[str, str]
    """Variables that the snapshot does not have, or not whole."""
    done: TurnRecord | EditRecord

    @property
    def turn(self) -> int:
        """The turn whose cell ended last."""
        return self.done["turn"] if "values" in self.done else self.done.get("number", 0)

    @property
    def replayable(self) -> bool:
        """Whether doing it again can come to the same end."""
        return "values" in self.done or self.done.get("status") in REPLAYABLE

    @property
    def seconds(self) -> float:
        """What doing it took."""
        return 0.0 if "values" in self.done else self.done.get("seconds", 0.0)


def restore_points(state: "RunState") -> list[RestorePoint]:
    """The moments of a state in order. A cell whose kernel died left the REPL as it was, so it makes none."""
    points = [
        RestorePoint(turn.get("position", ""), turn.get("snapshot"), turn.get("lost", {}), turn)
        for turn in turns_of(state)
        if turn.get("status") not in (None, "died")
    ]
    points += [RestorePoint(edit["position"], edit["snapshot"], edit["lost"], edit) for edit in state.get("edits", [])]
    # Stable: a turn's cell comes before what was set after it.
    return sorted(points, key=lambda point: (point.turn, "values" in point.done))


async def edit_code(edit: EditRecord, texts: Texts) -> Sequence[str]:
    """The cell that sets the variables: one block."""
    # No name of its own, such as an imported module's, could be one of the user's.
    values = [(name, await texts.get(value)) for name, value in edit["values"].items()]
    return ["\n".join(f"{name} = __import__('json').loads({value!r})" for name, value in values)]
