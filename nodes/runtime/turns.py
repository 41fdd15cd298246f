"""Read the turns of a run from the records that nodes wrote.

An active run reads them once: adding a turn costs as much after five hundred others as after none.
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
    """Return one record a turn, in order: what `plan` wrote and what `execute_code` added to it."""
    turns: dict[int, TurnRecord] = {}
    for record in records:
        number = number_of(record)
        turns[number] = together(turns.get(number, TurnRecord()), record)
    return [turns[number] for number in sorted(turns)]


def number_of(record: TurnRecord) -> int:
    """Return the number of a record's turn."""
    return record.get("number", 0)


def together(before: TurnRecord, record: TurnRecord) -> TurnRecord:
    """Return a turn's record with another one added to it."""
    both: TurnRecord = {
        "notes": [*before.get("notes", []), *record.get("notes", [])],
        "short": {**before.get("short", {}), **record.get("short", {})},
    }
    return {**before, **record, **both}


def history_entries(question: str, turns: Sequence[TurnRecord], after: int, upto: int) -> list[tuple[str, str]]:
    """Return what the REPL's `history` gains before the cell of turn `upto` when it was last sent at turn `after`.

    `(role, text or hash)` pairs: a hash where the text is stored, marked by the role's `*`.
    """
    entries: list[tuple[str, str]] = []
    by_number = {turn.get("number", 0): turn for turn in turns}
    for number in range(after + 1, upto + 1):
        entries.append(("user", question) if number == 1 else _sent_after(by_number.get(number - 1)))
        reply = by_number.get(number, TurnRecord()).get("reply")
        if reply:
            entries.append(("assistant*", reply))
    return entries


async def history_texts(texts: Texts, entries: Iterable[tuple[str, str]]) -> tuple[dict[str, str], ...]:
    """Return the entries as the REPL shows them: `{"role", "content"}`, uncut."""
    return tuple(
        [
            {"role": role.rstrip("*"), "content": await texts.get(content) if role.endswith("*") else content}
            for role, content in entries
        ]
    )


def _sent_after(turn: TurnRecord | None) -> tuple[str, str]:
    """Return what the model was sent after a turn: what its cell printed, or why nothing ran."""
    if turn is None:
        return "user", ""
    output = turn.get("output")
    return ("user*", output) if output else ("user", turn.get("nudge") or turn.get("error") or "")


def turns_of(state: "RunState") -> list[TurnRecord]:
    """Return the turns of a state so far, each with the variables that a user set after it."""
    turns = merged(state.get("turns", []))
    edits = state.get("edits", [])
    return _with_edits(turns, edits) if edits else turns


def variables_after(turns: Iterable[TurnRecord]) -> list[list[VariableRecord]]:
    """Return the variables after each turn, by name; a turn without code leaves them as they were."""
    found: list[list[VariableRecord]] = []
    for turn in turns:
        found.append(variables_next(found[-1] if found else [], turn))
    return found


def variables_next(before: list[VariableRecord], turn: TurnRecord) -> list[VariableRecord]:
    """Return the variables after a turn, given those before it."""
    whole, changed, gone = turn.get("variables"), turn.get("changed", ()), turn.get("gone", ())
    if whole is None and not changed and not gone:
        return before
    known = {variable["name"]: variable for variable in (*(before if whole is None else whole), *changed)}
    return [known[name] for name in sorted(known.keys() - set(gone))]


def changes_of(before: Sequence[VariableRecord], after: Sequence[VariableRecord]) -> TurnRecord:
    """Return what a turn's record keeps of the variables after it, given those before it."""
    known = {variable["name"]: variable for variable in before}
    return {
        "changed": [variable for variable in after if known.get(variable["name"]) != variable],
        "gone": sorted(known.keys() - {variable["name"] for variable in after}),
    }


def said_before_all(state: "RunState") -> list[str]:
    """Return notes on what was done before the first turn: variables set by a user, answers that were not accepted."""
    about = _overlaid([], [edit for edit in state.get("edits", []) if edit["turn"] == 0])
    edits = [f"A person set variables before the first turn: {_listed(about)}"] if about else []
    return [*edits, *state.get("told_first", [])]


def _with_edits(turns: list[TurnRecord], edits: Sequence[EditRecord]) -> list[TurnRecord]:
    """Add a note and the new values to each turn after which a user set variables, and return the turns."""
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
    """The results of `turns_of` and `variables_after`, kept and extended: most records are those of the state before.

    Callers must not change what it returns.
    """

    def __init__(self) -> None:
        self._records: list[TurnRecord] = []
        self._edits: list[EditRecord] = []
        self._turns: list[TurnRecord] = []
        self._variables: list[list[VariableRecord]] = []
        self._each: dict[Callable[[TurnRecord], Any], list[Any]] = {}

    def turns(self, state: "RunState") -> Sequence[TurnRecord]:
        """Return the turns of the state, each as one record."""
        records, edits = state.get("turns", self._records[:0]), state.get("edits", self._edits[:0])
        if records is self._records and edits is self._edits:
            return self._turns
        known = len(self._records)
        if edits or self._edits or len(records) < known or not all(map(is_, self._records, records)):
            # Another branch of the run, or a user set variables, which changes the turn that they were set after.
            self._turns = turns_of(state)
            self._forget(0)
        else:
            for record in records[known:]:
                self._add(record)
        self._records, self._edits = records, edits
        return self._turns

    def variables(self, state: "RunState") -> Sequence[list[VariableRecord]]:
        """Return the variables after each turn, by name."""
        for turn in self.turns(state)[len(self._variables) :]:
            self._variables.append(variables_next(self._variables[-1] if self._variables else [], turn))
        return self._variables

    def each(self, state: "RunState", about: Callable[[TurnRecord], T]) -> Sequence[T]:
        """Return the result of `about` for each turn. It must depend on nothing but the turn."""
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
        """Drop what is derived from the turns at this index and after it."""
        for kept in (self._variables, *self._each.values()):
            del kept[at:]


_SHORT_CODE = 240
_SHORT_OUTPUT = 160


def short_form(output: str, blocks: Sequence[str] = ()) -> dict[str, str]:
    """Return what the state keeps of a turn's text: `code` and `output`, at most 400 characters together.

    A key is absent when its text is empty.
    """
    short = {"code": shortened("\n".join(blocks), _SHORT_CODE), "output": shortened(output, _SHORT_OUTPUT)}
    return {key: text for key, text in short.items() if text}
