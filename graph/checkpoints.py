"""A run as it was after one of its steps."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from ..nodes.runtime.dependencies import Stores
from ..state.errors import StoredDataDamaged, UsageError, cli_command
from ..state.threads import Step, Thread

if TYPE_CHECKING:
    from ..state.run_state import RunState


class Checkpoints(Protocol):
    """What reads a thread's states: the compiled graph."""

    async def aget_state(self, config: Any) -> Any:
        """The snapshot that `config` names."""
        ...


@dataclass(frozen=True)
class Moment:
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


async def moment_of(stores: Stores, checkpoints: Checkpoints, thread: Thread, number: int | None) -> Moment:
    """The run after step `number`, or as it is now. Raises UsageError for a step that there is not."""
    step = None if number is None else await find_step(stores, thread.thread_id, number)
    place = {"thread_id": thread.thread_id} | ({"checkpoint_id": step.checkpoint_id} if step else {})
    snapshot = await checkpoints.aget_state({"configurable": place})
    return Moment(thread, step, cast("RunState", snapshot.values), frozenset(snapshot.next))
