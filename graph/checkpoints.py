"""Reads the state and the REPL's variables at a step of a run from its checkpoints.

It starts no kernel and loads no value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from ..nodes.restore.points import RestorePoint, restore_points
from ..nodes.runtime.turns import turns_of, variables_after
from ..state.errors import StoredDataDamaged, UsageError, cli_command
from ..state.records import EditRecord, VariableRecord
from ..state.stores import Stores
from ..state.threads import Step, Thread

if TYPE_CHECKING:
    from ..state.run_state import RunState


MOST_STEPS = 1 << 53
"""A number that no step reaches; SQLite has no room for much larger ones."""


class Checkpoints(Protocol):
    """A reader of a thread's states: the compiled graph, or `SavedCheckpoints` without it."""

    async def aget_state(self, config: Any) -> Any:
        """Return the snapshot that `config` names."""
        ...


@dataclass(frozen=True)
class StateAtStep:
    """The state after a step, and the nodes that would run next."""

    thread: Thread
    step: Step | None
    """None for the current state."""
    state: "RunState"
    next: frozenset[str]
    requests: Sequence[Any] = ()
    """The interrupts of the tasks that follow it, with an `id` and a `value` each."""

    @property
    def in_cell(self) -> bool:
        """True when a cell waits for sub-calls."""
        return bool(self.state.get("cell")) and self.state.get("waiting", 0) > 0

    @property
    def ended(self) -> bool:
        """True when no further turn would follow."""
        return self.next <= {"finalize"}


async def find_step(stores: Stores, thread_id: str, number: int) -> Step:
    """Return step `number` of a thread. Raises UsageError when there is no such step, StoredDataDamaged."""
    for step in await stores.threads.steps_from(thread_id, number, 1) if 0 < number < MOST_STEPS else ():
        if step.kind == "damaged":
            raise StoredDataDamaged(
                f"Step {number} of {thread_id}: {step.summary}.",
                hint=f"{cli_command('verify', thread_id)} says what is lost.",
            )
        return step
    last = await stores.threads.last_step_number(thread_id)
    there = f"It has steps 1 to {last}." if last else "It has none yet."
    raise UsageError(f"The run has no step {number}.", hint=f"{there} {cli_command('steps', thread_id)} lists them.")


async def state_at(stores: Stores, checkpoints: Checkpoints, thread: Thread, number: int | None) -> StateAtStep:
    """Return the run after step `number`, or as it is now. Raises UsageError when there is no such step."""
    step = None if number is None else await find_step(stores, thread.thread_id, number)
    place = {"thread_id": thread.thread_id} | ({"checkpoint_id": step.checkpoint_id} if step else {})
    snapshot = await checkpoints.aget_state({"configurable": place})
    state = cast("RunState", snapshot.values)
    return StateAtStep(thread, step, state, frozenset(snapshot.next), tuple(snapshot.interrupts))


_EARLIER = "it was saved by an earlier version, without its value; running its cells again brings it back"


@dataclass(frozen=True)
class Known:
    """A variable's description, and whether it can be restored."""

    about: VariableRecord
    why_not: str | None
    """Why it cannot be restored; None when it can."""
    content: tuple[str, ...] = ()
    """The saved form of its value, together with those that it shares objects with: equal for equal values."""
    shares_with: tuple[str, ...] = ()
    """Names of the variables that share objects with it."""

    def to_json(self) -> dict[str, Any]:
        """Return the object that `rlm vars --json` prints for it."""
        return {
            "type": self.about["type"],
            "size": self.about["size"],
            "preview": self.about["preview"],
            "restorable": self.why_not is None,
            "why_not": self.why_not,
        }


async def variables_at(stores: Stores, state: "RunState") -> dict[str, Known]:
    """Return the variables of a state, sorted by name; in mid-cell those from before the cell."""
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
        # A lost variable is named even when it would not be shown otherwise (a module, a random generator).
        for name in {**about, **dict.fromkeys(group["lost"])}:
            shares = tuple(other for other in group["names"] if other != name)
            shown = about.get(name) or VariableRecord(name=name, type="", size=None, preview="")
            known[name] = Known(shown, group["lost"].get(name), content, shares)
    return known


def _only_described(point: RestorePoint, state: "RunState", why: str | None) -> dict[str, Known]:
    """Return the variables of a cell without a snapshot, as they were described when the cell ended."""
    why_not = _EARLIER if why is None else f"not saved: {why}"
    turns = turns_of(state)
    described = zip(turns, variables_after(turns), strict=True)
    variables = next(after for turn, after in described if turn.get("number") == point.turn)
    return {variable["name"]: Known(variable, why_not) for variable in variables}


def _set(edit: EditRecord) -> dict[str, Known]:
    values: Mapping[str, str] = edit["values"]
    return {one["name"]: Known(one, None, (values[one["name"]],)) for one in edit["about"] if one["name"] in values}
