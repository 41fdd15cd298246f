"""The turns of a run, read from the records that nodes wrote.

An active run reads them once: a turn costs as much to add after five hundred others as after none.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from operator import is_
from typing import TYPE_CHECKING, Any, TypeVar

from ...state.blobs.texts import Texts
from ...state.records import EditRecord, TurnRecord, VariableRecord
from .untrusted_text import shortened

if TYPE_CHECKING:
    from ...state.run_state import RunState


def merged(records: Iterable[TurnRecord]) -> list[TurnRecord]:
    """One record a turn, in order: what `plan` wrote and what `execute_code` added to it."""
    turns: dict[int, TurnRecord] = {}
    for record in records:
        number = number_of(record)
        turns[number] = together(turns.get(number, TurnRecord()), record)
    return [turns[number] for number in sorted(turns)]


def number_of(record: TurnRecord) -> int:
    """Which turn it is of."""
    return record.get("number", 0)


def together(before: TurnRecord, record: TurnRecord) -> TurnRecord:
    """What is known of a turn, and a record that adds to it."""
    both: TurnRecord = {
        "notes": [*before.get("notes", []), *record.get("notes", [])],
        "short": {**before.get("short", {}), **record.get("short", {})},
    }
    return {**before, **record, **both}


def history_entries(question: str, turns: Sequence[TurnRecord], after: int, upto: int) -> list[tuple[str, str]]:
    """What the REPL's `history` gains before the cell of turn `upto` when it was last told at turn `after`.

    `(role, text or hash)` pairs: a hash where the text is stored, marked by the role's `*`.
    """
    entries: list[tuple[str, str]] = []
    by_number = {turn.get("number", 0): turn for turn in turns}
    for number in range(after + 1, upto + 1):
        entries.append(("user", question) if number == 1 else _heard(by_number.get(number - 1)))
        reply = by_number.get(number, TurnRecord()).get("reply")
        if reply:
            entries.append(("assistant*", reply))
    return entries


async def history_texts(texts: Texts, entries: Iterable[tuple[str, str]]) -> tuple[dict[str, str], ...]:
    """The entries as the REPL shows them: `{"role", "content"}`, uncut."""
    return tuple(
        [
            {"role": role.rstrip("*"), "content": await texts.get(content) if role.endswith("*") else content}
            for role, content in entries
        ]
    )


def _heard(turn: TurnRecord | None) -> tuple[str, str]:
    """What the model was told after a turn: what its cell printed, or why nothing ran."""
    if turn is None:
        return "user", ""
    output = turn.get("output")
    return ("user*", output) if output else ("user", turn.get("nudge") or turn.get("error") or "")


def turns_of(state: "RunState") -> list[TurnRecord]:
    """The turns of a state so far, each with what a person set after it."""
    turns = merged(state.get("turns", []))
    edits = state.get("edits", [])
    return _with_edits(turns, edits) if edits else turns


def variables_after(turns: Iterable[TurnRecord]) -> list[list[VariableRecord]]:
    """The variables after each turn, by name; one without code leaves them as they were."""
    found: list[list[VariableRecord]] = []
    for turn in turns:
        found.append(variables_next(found[-1] if found else [], turn))
    return found


def variables_next(before: list[VariableRecord], turn: TurnRecord) -> list[VariableRecord]:
    """Those after a turn, given those before it."""
    whole, changed, gone = turn.get("variables"), turn.get("changed", ()), turn.get("gone", ())
    if whole is None and not changed and not gone:
        return before
    known = {variable["name"]: variable for variable in (*(before if whole is None else whole), *changed)}
    return [known[name] for name in sorted(known.keys() - set(gone))]


def changes_of(before: Sequence[VariableRecord], after: Sequence[VariableRecord]) -> TurnRecord:
    """What a turn's record says of the variables after it, given those before it."""
    known = {variable["name"]: variable for variable in before}
    return {
        "changed": [variable for variable in after if known.get(variable["name"]) != variable],
        "gone": sorted(known.keys() - {variable["name"] for variable in after}),
    }


def said_before_all(state: "RunState") -> list[str]:
    """What is said of what a person did before the first turn: variables that they set, answers not accepted."""
    about = _overlaid([], [edit for edit in state.get("edits", []) if edit["turn"] == 0])
    edits = [f"A person set variables before the first turn: {_listed(about)}"] if about else []
    return [*edits, *state.get("told_first", [])]


def _with_edits(turns: list[TurnRecord], edits: Sequence[EditRecord]) -> list[TurnRecord]:
    """The turns with a note on each after which variables were set, and with their variables as they then were."""
    for turn in turns:
        here = [edit for edit in edits if edit["turn"] == turn.get("number", 0)]
        if here:
            turn["changed"] = _overlaid(turn.get("changed", []), here)
            turn["gone"] = [name for name in turn.get("gone", []) if not any(name in edit["values"] for edit in here)]
            changed = _listed(_overlaid([], here))
            turn["notes"] = [*turn.get("notes", []), f"A person set variables after this turn: {changed}"]
    return turns


def _overlaid(variables: Sequence[VariableRecord], edits: Sequence[EditRecord]) -> list[VariableRecord]:
    by_name = {variable["name"]: variable for variable in variables}
    for edit in edits:
        by_name.update({variable["name"]: variable for variable in edit["about"]})
    return list(by_name.values())


def _listed(variables: Sequence[VariableRecord]) -> str:
    return ", ".join(f"{variable['name']} = {variable['preview']}" for variable in variables)


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


_SHORT_CODE = 240
_SHORT_OUTPUT = 160


def short_form(output: str, blocks: Sequence[str] = ()) -> dict[str, str]:
    """Return what the state keeps of a turn's text: `code` and `output`, at most 400 characters together.

    Absent keys are empty.
    """
    short = {"code": shortened("\n".join(blocks), _SHORT_CODE), "output": shortened(output, _SHORT_OUTPUT)}
    return {key: text for key, text in short.items() if text}
