"""Reads one turn of a run for display: messages and reply, code, calls by line, and variables.

Only what is saved of this turn is read, so that turn 900 costs as much as turn 9. A run whose steps were pruned, and a
turn whose steps are damaged, is read from the state as a whole.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

from ..nodes.replies.blocks import lay_out
from ..nodes.replies.python_source import SourceJudge
from ..nodes.runtime.turns import merged, number_of, turns_of
from ..nodes.runtime.untrusted_text import cut_output
from ..state.call_sums import LineSum
from ..state.errors import StoredDataDamaged, StoreError
from ..state.records import EditRecord, TurnRecord, VariableRecord
from ..state.saved_turns import Saved, steps_of_turn
from ..state.stores import Stores
from ..state.threads import Step, Thread
from ..state.turn_calls import sent_messages
from ..state.turn_rows import TurnRow
from .call_pages import line_sums
from .checkpoints import Checkpoints, state_at
from .displayed_variables import Form, displays_at

_MOST_MESSAGES = 200
_LOOKED_BACK = 8
"""Turns before a turn in which one that ran code is looked for."""
_LONGEST_REPLY = 200_000
"""Characters of a reply in which prose is looked for."""
Change = Literal["added", "changed", "removed", ""]


@dataclass(frozen=True)
class Message:
    """A message of the root request of a turn."""

    role: str
    place: int
    """Its place among the messages of the request, from 1."""
    text: str | None = None
    """Its text; None for those up to the model's last reply, which were sent before, maybe in a longer form."""


@dataclass(frozen=True)
class BlockShown:
    """A block of the code of a turn."""

    code: str
    calls: Mapping[int, LineSum] = field(default_factory=dict[int, LineSum])
    """The sub-calls of its lines, by the number of the line."""
    seconds: float | None = None
    computed: float | None = None
    """The seconds of them that it did not wait for calls."""
    error: str | None = None
    output: str | None = None
    """Its part of the output; None where the parts are not known."""


@dataclass(frozen=True)
class VariableShown:
    """A variable after a turn, and as it was before it."""

    now: VariableRecord | None
    """None when it was removed."""
    was: VariableRecord | None
    change: Change
    form: Form | None = None
    """Its display form, where this turn has changed it and one is stored."""
    why_lost: str | None = None
    """Why it could not be saved; None when it was."""

    @property
    def name(self) -> str:
        """Its name."""
        return cast(VariableRecord, self.now or self.was)["name"]


@dataclass(frozen=True)
class OneTurn:
    """A turn as a page shows it. Texts that are damaged are replaced by a sentence in brackets that says so."""

    thread_id: str
    number: int
    turns: int
    """The number of turns that the run has."""
    row: TurnRow
    record: TurnRecord
    blocks: list[BlockShown]
    told: list[Message]
    """The messages of the root request; none where it is not saved."""
    prose: str
    """The reply without its code."""
    thoughts: str | None
    output: str | None
    seen_output: str | None
    """The output as the model saw it; None where that is the whole of it."""
    calls: list[LineSum]
    """The sub-calls by line; several blocks may have a line of the same number."""
    variables: list[VariableShown]
    """Those that changed come first."""
    only_changes: bool
    """True when not all variables are known, but only those that changed."""
    notes: list[str]
    steps: Sequence[Step] = ()
    damaged: list[int] = field(default_factory=list[int])
    """The numbers of its steps that are not, or not wholly, what was saved."""
    under_way: bool = False
    """True when its cell has not ended."""

    @property
    def unplaced(self) -> list[LineSum]:
        """The sub-calls that no line of code is known for."""
        return [one for one in self.calls if not any(one in block.calls.values() for block in self.blocks)]


async def turn_of_run(stores: Stores, checkpoints: Checkpoints, row: Thread, number: int) -> OneTurn | None:
    """Return turn `number` of a run; None when it has no such turn. Raises StoreError."""
    turns = await stores.turn_rows.count(row.thread_id)
    if not 1 <= number <= turns:
        return None
    found = await stores.turn_rows.one(row.thread_id, number)
    saved = await steps_of_turn(stores.database, row.thread_id, number)
    record = _together(saved, number)
    if not record:
        record = await _from_state(stores, checkpoints, row, number)
    after = Kept(record, _edits(saved.values, number))
    calls = await line_sums(stores, row.thread_id, number)
    output = await _text(stores, record.get("output"))
    reply = await _text(stores, record.get("reply"))
    seen = await asyncio.to_thread(cut_output, output) if output else None
    variables, only_changes = await _variables(stores, await _before(stores, row, number), after)
    return OneTurn(
        thread_id=row.thread_id,
        number=number,
        turns=turns,
        row=found or TurnRow(number),
        record=record,
        blocks=await _blocks(stores, record, saved.values, output, calls),
        told=await _told(stores, row.thread_id, number),
        prose=await asyncio.to_thread(prose_of, reply or ""),
        thoughts=await _text(stores, record.get("thoughts")),
        output=output,
        seen_output=None if seen == output else seen,
        calls=calls,
        variables=variables,
        only_changes=only_changes,
        notes=[*record.get("notes", ()), *_said_of(after)],
        steps=[one.step for one in saved.steps],
        damaged=[one.step.step for one in saved.steps if one.damaged],
        under_way=record.get("status") is None and bool(record.get("blocks")),
    )


def _said_of(kept: "Kept") -> list[str]:
    said = ", ".join(f"{name} = {one['preview']}" for name, one in kept.set_by_person.items())
    return [f"A person set variables after this turn: {said}"] if said else []


async def _text(stores: Stores, name: str | None) -> str | None:
    return await stores.texts.get_or_damage(name) if name else None


def prose_of(reply: str) -> str:
    """Return a reply without its blocks of code."""
    text = reply[:_LONGEST_REPLY].replace("\r", "")
    parts = lay_out(text, truncated=False, judge=SourceJudge()).prose
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _together(saved: Saved, number: int) -> TurnRecord:
    records = [one for step in saved.steps for one in step.records if number_of(one) == number]
    [record] = merged(records) or [TurnRecord()]
    return record


async def _from_state(stores: Stores, checkpoints: Checkpoints, row: Thread, number: int) -> TurnRecord:
    try:
        state = (await state_at(stores, checkpoints, row, None)).state
    except StoreError:
        return TurnRecord()
    return next((turn for turn in turns_of(state) if number_of(turn) == number), TurnRecord())


async def _told(stores: Stores, thread_id: str, number: int) -> list[Message]:
    sent = await sent_messages(stores.database, thread_id, number)
    last_reply = max((place for place, (role, _) in enumerate(sent, 1) if role == "assistant"), default=0)
    return [
        Message(role, place, await stores.texts.get_or_damage(name) if place > last_reply else None)
        for place, (role, name) in enumerate(sent, 1)
        if place > len(sent) - _MOST_MESSAGES
    ]


async def message_text(stores: Stores, thread_id: str, number: int, place: int) -> str | None:
    """Return the text of a message of a turn's root request, by its place among them from 1; None without one.

    Raises StoreError.
    """
    sent = await sent_messages(stores.database, thread_id, number)
    return await stores.texts.get(sent[place - 1][1]) if 1 <= place <= len(sent) else None


async def _blocks(
    stores: Stores, record: TurnRecord, values: Mapping[str, Any], output: str | None, calls: Sequence[LineSum]
) -> list[BlockShown]:
    cell = values.get("cell") or {}
    # The code that is about to run may be a reviewer's, which the turn's record has only once it ran.
    pending = bool(cell) and record.get("status") is None and cell.get("turn") == record.get("number")
    names = cell["blocks"] if pending else record.get("blocks", [])
    codes = [await stores.texts.get_or_damage(name) for name in names]
    by_line = {one.line: one for one in calls if one.line}
    # A call says its line, and not its block: with several blocks only lines that one of them has are certain.
    counts = [code.count("\n") + 1 for code in codes]
    blocks: list[BlockShown] = []
    parts: Sequence[Mapping[str, Any]] = cast("Mapping[str, Any]", record).get("parts") or ()
    for place, code in enumerate(codes):
        lines = {
            line: found
            for line, found in by_line.items()
            if line <= counts[place] and not any(line <= other for at, other in enumerate(counts) if at != place)
        }
        part = parts[place] if place < len(parts) else None
        blocks.append(_block(code, lines, part, output))
    return blocks


def _block(code: str, lines: Mapping[int, LineSum], part: Mapping[str, Any] | None, output: str | None) -> BlockShown:
    if part is None:
        return BlockShown(code, lines)
    start, end = part["output"]
    said = (output or "")[start:end]
    return BlockShown(code, lines, part["seconds"], part["computed"], part["error"], said)


async def _before(stores: Stores, row: Thread, number: int) -> "Kept":
    """Return what the latest turn before this one that ran code says of variables."""
    for earlier in range(number - 1, max(0, number - _LOOKED_BACK - 1), -1):
        saved = await steps_of_turn(stores.database, row.thread_id, earlier)
        kept = Kept(_together(saved, earlier), _edits(saved.values, earlier))
        if kept.record.get("snapshot") or kept.edits:
            return kept
    return Kept(TurnRecord(), [])


class Kept(NamedTuple):
    """The record of a turn, as far as variables follow from it, and the values that a person has set since."""

    record: TurnRecord
    edits: list[EditRecord]

    @property
    def set_by_person(self) -> dict[str, VariableRecord]:
        """The variables that a person has set after the turn."""
        return {one["name"]: one for edit in self.edits for one in edit["about"]}


async def _variables(stores: Stores, before: Kept, after: Kept) -> tuple[list[VariableShown], bool]:
    """Return the variables after a turn, and whether only those are known that changed."""
    record = after.record
    was = await _saved_after(stores, before) or {}
    now = await _saved_after(stores, after)
    changed = {**{one["name"]: one for one in record.get("changed", ())}, **after.set_by_person}
    only_changes = now is None and bool(record)
    now = {**(now or {}), **changed}
    gone = set(record.get("gone", ())) - after.set_by_person.keys()
    lost = record.get("lost", {})
    # Of this turn alone: what turns before it have stored is not read.
    forms = await displays_at(stores, [record], number_of(record), after.edits)
    shown = [
        VariableShown(one, was.get(name), _change(name, was, changed), forms.get(name), lost.get(name))
        for name, one in now.items()
        if name not in gone
    ]
    shown += [VariableShown(None, was.get(name) or _nothing(name), "removed") for name in gone]
    return sorted(shown, key=lambda one: (not one.change, one.change == "removed", one.name)), only_changes


def _change(name: str, was: Mapping[str, VariableRecord], changed: Mapping[str, VariableRecord]) -> Change:
    # What differs without being among the changed was set by a person in between.
    return "" if name not in changed else "changed" if name in was else "added"


def _nothing(name: str) -> VariableRecord:
    return VariableRecord(name=name, type="", size=None, preview="")


async def _saved_after(stores: Stores, kept: Kept) -> dict[str, VariableRecord] | None:
    """Return the descriptions of the variables after a turn; None without a snapshot that can be read."""
    name, whole = kept.record.get("snapshot"), kept.record.get("variables")
    if not name:
        known = None if whole is None else {one["name"]: one for one in whole}
    else:
        try:
            groups = await stores.snapshots.groups(name)
        except StoredDataDamaged:
            return None
        known = {one["name"]: one for group in groups.values() for one in group["about"]}
    return known if known is None else {**known, **kept.set_by_person}


def _edits(values: Mapping[str, Any], number: int) -> list[EditRecord]:
    """Return what a person has set after a turn, as the state after its last step has it."""
    return [edit for edit in cast("Sequence[EditRecord]", values.get("edits") or ()) if edit.get("turn") == number]
