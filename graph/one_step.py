"""Reads the state after one step for display: the code about to run, what is asked, and the variables."""

from dataclasses import dataclass, field

from ..nodes.runtime.turns import turns_of
from ..state.errors import StoredDataDamaged
from ..state.records import Usage
from ..state.stores import Stores
from ..state.threads import Step, Thread
from .checkpoints import Checkpoints, StateAtStep, state_at, variables_at
from .displayed_variables import displays_of
from .one_turn import VariableShown
from .waiting_requests import WaitingRequest, requests_in


@dataclass(frozen=True)
class OneStep:
    """A state as a page shows it. Texts that are damaged are replaced by a sentence in brackets that says so."""

    step: Step
    question: str
    status: str
    turns: int
    """The number of turns so far."""
    next: frozenset[str]
    """The nodes that run next; empty at the end of the run."""
    code: list[str]
    """The blocks of the cell that is about to run, or under way; none between turns."""
    waiting: int
    """The sub-calls that the cell under way waits for; 0 while none is."""
    requests: list[WaitingRequest]
    """The requests that a person is, or was, asked at this step."""
    variables: list[VariableShown]
    """By name; in mid-cell those from before the cell."""
    usage: Usage | None
    troubles: list[str] = field(default_factory=list[str])
    """Sentences about the parts of it that could not be read."""

    @property
    def ended(self) -> bool:
        """True when no further turn would follow."""
        return self.next <= {"finalize"}


async def step_of_run(stores: Stores, checkpoints: Checkpoints, row: Thread, number: int) -> OneStep:
    """Return the state after step `number`. Raises UsageError when there is no such step, StoredDataDamaged."""
    at = await state_at(stores, checkpoints, row, number)
    assert at.step is not None, "a number was given"
    cell, troubles = at.state.get("cell"), list[str]()
    requests: list[WaitingRequest] = []
    try:
        requests = requests_in(row.thread_id, at.requests)
    except StoredDataDamaged as damaged:
        troubles.append(damaged.message)
    return OneStep(
        step=at.step,
        question=at.state.get("question") or row.question,
        status=at.state.get("status", "running"),
        turns=len(turns_of(at.state)),
        next=at.next,
        code=[await stores.texts.get_or_damage(block) for block in cell["blocks"]] if cell else [],
        waiting=at.state.get("waiting", 0) if cell else 0,
        requests=requests,
        variables=await _variables(stores, at),
        usage=at.state.get("usage"),
        troubles=troubles,
    )


async def _variables(stores: Stores, at: StateAtStep) -> list[VariableShown]:
    known = await variables_at(stores, at.state)
    forms = await displays_of(stores, at.state)
    return [VariableShown(one.about, None, "", forms.get(name), one.why_not) for name, one in known.items()]
