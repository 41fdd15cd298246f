"""The turns of a live run, read once: a turn costs as much to add after five hundred others as after none."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import is_
from typing import TYPE_CHECKING, Any, TypeVar

from ...state.records import EditRecord, TurnRecord, VariableRecord
from .turns import number_of, together, turns_of, variables_next

if TYPE_CHECKING:
    from ...state.run_state import RunState

T = TypeVar("T")


class Transcript:
    """What `turns_of` and `variables_after` say of a state, kept from the state before, whose records it mostly has.

    What it returns is not to be changed.
    """

    def __init__(self) -> None:
        self._records: list[TurnRecord] = []
        self._edits: list[EditRecord] = []
        self._turns: list[TurnRecord] = []
        self._variables: list[list[VariableRecord]] = []
        self._each: dict[Callable[[TurnRecord], Any], list[Any]] = {}

    def turns(self, state: "RunState") -> Sequence[TurnRecord]:
        """The turns of the state, each as one record."""
        records, edits = state.get("turns", self._records[:0]), state.get("edits", self._edits[:0])
        if records is self._records and edits is self._edits:
            return self._turns
        known = len(self._records)
        if edits or self._edits or len(records) < known or not all(map(is_, self._records, records)):
            # Another branch of the run, or a person set something: that is told with the turn that it came after.
            self._turns = turns_of(state)
            self._forget(0)
        else:
            for record in records[known:]:
                self._add(record)
        self._records, self._edits = records, edits
        return self._turns

    def variables(self, state: "RunState") -> Sequence[list[VariableRecord]]:
        """The variables after each of them, by name."""
        for turn in self.turns(state)[len(self._variables) :]:
            self._variables.append(variables_next(self._variables[-1] if self._variables else [], turn))
        return self._variables

    def each(self, state: "RunState", about: Callable[[TurnRecord], T]) -> Sequence[T]:
        """What `about` makes of each of them, of which it must be a function and of nothing else."""
        turns, made = self.turns(state), self._each.setdefault(about, [])
        made += map(about, turns[len(made) :])
        return made

    def _add(self, record: TurnRecord) -> None:
        number = number_of(record)
        at = bisect_left(self._turns, number, key=number_of)
        if at < len(self._turns) and number_of(self._turns[at]) == number:
            self._turns[at] = together(self._turns[at], record)
        else:
            self._turns.insert(at, together(TurnRecord(), record))
        self._forget(at)

    def _forget(self, at: int) -> None:
        """The turn at this index is not what it was."""
        for kept in (self._variables, *self._each.values()):
            del kept[at:]
