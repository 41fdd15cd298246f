"""The state and the REPL's variables at one of a run's steps, read from its checkpoints.

No kernel is started and no value is loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from ..nodes.restore.points import RestorePoint, restore_points
from ..nodes.runtime.dependencies import Stores
from ..nodes.runtime.turns import turns_of, variables_after
from ..state.errors import StoredDataDamaged, UsageError, cli_command
from ..state.records import EditRecord, VariableRecord
from ..state.threads import Step, Thread

if TYPE_CHECKING:
    from ..state.run_state import RunState


class Checkpoints(Protocol):
    """What reads a thread's states: the compiled graph."""

    async def aget_state(self, config: Any) -> Any:
        """The snapshot that `config` names."""
        ...


@dataclass(frozen=True)
class StateAtStep:
    """The state after a step, and the nodes that would run next."""

    thread: Thread
    step: Step | None
    """None for the state as it is now."""
    state: "RunState"
    next: frozenset[str]

    @property
    def in_cell(self) -> bool:
        """Whether a cell stands at sub-calls."""
        return bool(self.state.get("cell")) and self.state.get("waiting", 0) > 0

    @property
    def ended(self) -> bool:
        """Whether no further turn would come."""
        return self.next <= {"finalize"}


async def find_step(stores: Stores, thread_id: str, number: int) -> Step:
    """Step `number` of a thread. Raises UsageError when there is none, StoredDataDamaged."""
    steps = await stores.threads.steps(thread_id)
    for step in steps:
        if step.step == number:
            if step.kind == "damaged":
                raise StoredDataDamaged(
                    f"Step {number} of {thread_id}: {step.summary}.",
                    hint=f"{cli_command('verify', thread_id)} says what is lost.",
                )
            return step
    there = f"It has steps 1 to {steps[-1].step}." if steps else "It has none yet."
    raise UsageError(f"The run has no step {number}.", hint=f"{there} {cli_command('steps', thread_id)} lists them.")


async def state_at(stores: Stores, checkpoints: Checkpoints, thread: Thread, number: int | None) -> StateAtStep:
    """The run after step `number`, or as it is now. Raises UsageError for a step that there is not."""
    step = None if number is None else await find_step(stores, thread.thread_id, number)
    place = {"thread_id": thread.thread_id} | ({"checkpoint_id": step.checkpoint_id} if step else {})
    snapshot = await checkpoints.aget_state({"configurable": place})
    return StateAtStep(thread, step, cast("RunState", snapshot.values), frozenset(snapshot.next))


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
    points = restore_points(state)
    cells = [at for at, point in enumerate(points) if "values" not in point.done]
    last = cells[-1] if cells else -1
    known = await _after_cell(stores, points[last], state) if cells else {}
    for point in points[last + 1 :]:
        if "values" in point.done:
            known |= _set(point.done)
    return dict(sorted(known.items()))


async def _after_cell(stores: Stores, point: RestorePoint, state: "RunState") -> dict[str, Known]:
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


def _only_described(point: RestorePoint, state: "RunState", why: str | None) -> dict[str, Known]:
    """The variables of a cell that has no snapshot, as far as the cell's end described them."""
    why_not = _EARLIER if why is None else f"not saved: {why}"
    turns = turns_of(state)
    described = zip(turns, variables_after(turns), strict=True)
    variables = next(after for turn, after in described if turn.get("number") == point.turn)
    return {variable["name"]: Known(variable, why_not) for variable in variables}


def _set(edit: EditRecord) -> dict[str, Known]:
    values: Mapping[str, str] = edit["values"]
    return {one["name"]: Known(one, None, (values[one["name"]],)) for one in edit["about"] if one["name"] in values}
