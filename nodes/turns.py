"""The turns of a run, read from the records that nodes wrote."""

from collections.abc import Iterable, Sequence

from ..state.schema import RunState, TurnRecord
from ..state.texts import Texts


def merged(records: Iterable[TurnRecord]) -> list[TurnRecord]:
    """One record a turn, in order: what `plan` wrote and what `execute_code` added to it."""
    turns: dict[int, TurnRecord] = {}
    for record in records:
        number = record.get("number", 0)
        before = turns.get(number, TurnRecord())
        both: TurnRecord = {
            "notes": [*before.get("notes", []), *record.get("notes", [])],
            "short": {**before.get("short", {}), **record.get("short", {})},
        }
        turns[number] = {**before, **record, **both}
    return [turns[number] for number in sorted(turns)]


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


def turns_of(state: RunState) -> list[TurnRecord]:
    """The turns of a state so far."""
    return merged(state.get("turns", []))
