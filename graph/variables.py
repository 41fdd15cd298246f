"""The REPL's variables at a moment, from what is saved of them: no kernel is started and no value is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..nodes.restore.points import Point, points_of
from ..nodes.runtime.dependencies import Stores
from ..nodes.runtime.turns import turns_of, variables_after
from ..state.errors import StoredDataDamaged
from ..state.records import EditRecord, VariableRecord

if TYPE_CHECKING:
    from ..state.run_state import RunState

_EARLIER = "it was saved by an earlier version, without its value; running its cells again brings it back"


@dataclass(frozen=True)
class Known:
    """What is known of a variable."""

    about: VariableRecord
    why_not: str | None
    """Why it could not be brought back as it was; None when it can."""
    content: tuple[str, ...] = ()
    """What its value is saved as, with those that it shares objects with: equal for equal values."""
    shares_with: tuple[str, ...] = ()
    """Variables that have objects in common with it."""

    def to_json(self) -> dict[str, Any]:
        """The object that `rlm vars --json` prints for it."""
        return {
            "type": self.about["type"],
            "size": self.about["size"],
            "preview": self.about["preview"],
            "restorable": self.why_not is None,
            "why_not": self.why_not,
        }


async def variables_at(stores: Stores, state: "RunState") -> dict[str, Known]:
    """The variables of a state by name, in its order; in mid-cell those from before the cell."""
    points = points_of(state)
    cells = [at for at, point in enumerate(points) if "values" not in point.done]
    last = cells[-1] if cells else -1
    known = await _after_cell(stores, points[last], state) if cells else {}
    for point in points[last + 1 :]:
        if "values" in point.done:
            known |= _set(point.done)
    return dict(sorted(known.items()))


async def _after_cell(stores: Stores, point: Point, state: "RunState") -> dict[str, Known]:
    if point.snapshot is None:
        return _only_described(point, state, point.lost.get("*"))
    try:
        groups = await stores.snapshots.groups(point.snapshot)
    except StoredDataDamaged as damaged:
        return _only_described(point, state, damaged.message)
    known: dict[str, Known] = {}
    for group in groups.values():
        content = (*group["chunks"], group["form"])
        about = {variable["name"]: variable for variable in group["about"]}
        # What is lost is named, though it is nothing to show otherwise (a module, a random generator).
        for name in {**about, **dict.fromkeys(group["lost"])}:
            shares = tuple(other for other in group["names"] if other != name)
            shown = about.get(name) or VariableRecord(name=name, type="", size=None, preview="")
            known[name] = Known(shown, group["lost"].get(name), content, shares)
    return known


def _only_described(point: Point, state: "RunState", why: str | None) -> dict[str, Known]:
    """The variables of a cell that has no snapshot, as far as the cell's end described them."""
    why_not = _EARLIER if why is None else f"not saved: {why}"
    turns = turns_of(state)
    described = zip(turns, variables_after(turns), strict=True)
    variables = next(after for turn, after in described if turn.get("number") == point.turn)
    return {variable["name"]: Known(variable, why_not) for variable in variables}


def _set(edit: EditRecord) -> dict[str, Known]:
    values: Mapping[str, str] = edit["values"]
    return {one["name"]: Known(one, None, (values[one["name"]],)) for one in edit["about"] if one["name"] in values}
