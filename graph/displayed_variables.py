"""The display forms of the REPL's variables after a turn, from what the turns have saved: no value is loaded."""

import json
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from ..kernel.posted_displays import OTHERS_CHANGED, display_of, parse_displays
from ..nodes.runtime.turns import number_of, turns_of, variables_next
from ..state.errors import StoredDataDamaged
from ..state.records import EditRecord, TurnRecord, VariableRecord
from ..state.stores import Stores

if TYPE_CHECKING:
    from ..state.run_state import RunState

Form = dict[str, Any]
Forms = dict[str, Form | None]
_LARGEST = 4 << 20
"""Characters of JSON of a value that a person has set, up to which it has a form."""


async def displays_at(
    stores: Stores, turns: Sequence[TurnRecord], number: int, edits: Sequence[EditRecord] = ()
) -> Forms:
    """Return the form of each variable after turn `number`: the latest stored one, unless the value has changed since.

    `turns` and `edits` are those of a state (`turns_of`, `edits`). None where no form is stored: in older runs, where
    there was no room, and for the input. Raises StoreError.
    """
    shown = _variables_after(turns, number)
    if number == 0:
        shown = {one["name"]: one for edit in edits if edit["turn"] == 0 for one in edit["about"]}
    found: Forms = {}
    for at in reversed(list(takewhile(lambda turn: number_of(turn) <= number, turns))):
        if shown.keys() <= found.keys():
            break
        found |= {name: one for name, one in (await _changed_at(stores, at, edits)).items() if name not in found}
        if OTHERS_CHANGED in found:
            # Forms that are older may be those of other values.
            break
    found = {**await _set_by_a_person(stores, edits, 0), **found} if OTHERS_CHANGED not in found else found
    return {name: found.get(name) for name in shown}


async def displays_of(stores: Stores, state: "RunState") -> Forms:
    """Return the form of each variable of a state, in mid-cell those from before the cell. Raises StoreError."""
    turns, edits = turns_of(state), state.get("edits", [])
    ended = [number_of(turn) for turn in turns if turn.get("status") is not None]
    return await displays_at(stores, turns, max([0, *ended, *(edit["turn"] for edit in edits)]), edits)


def _variables_after(turns: Sequence[TurnRecord], number: int) -> dict[str, VariableRecord]:
    variables: list[VariableRecord] = []
    for turn in takewhile(lambda turn: number_of(turn) <= number, turns):
        variables = variables_next(variables, turn)
    return {one["name"]: one for one in variables}


async def _changed_at(stores: Stores, turn: TurnRecord, edits: Sequence[EditRecord]) -> Forms:
    """Return the forms of the variables that a turn has changed, and of those that a person set after it."""
    found = await _stored(stores, turn)
    # A change without a form: what was stored before is the form of another value.
    found = {**{one["name"]: None for one in turn.get("changed", ())}, **found}
    return {**found, **await _set_by_a_person(stores, edits, number_of(turn))}


async def _stored(stores: Stores, turn: TurnRecord) -> Forms:
    name = turn.get("displays")
    if not name:
        return {}
    try:
        return parse_displays(json.loads(await stores.texts.get(name)))
    except (StoredDataDamaged, ValueError, RecursionError):
        return {OTHERS_CHANGED: None}


async def _set_by_a_person(stores: Stores, edits: Sequence[EditRecord], turn: int) -> Forms:
    found: Forms = {}
    for edit in edits:
        values: Mapping[str, str] = edit["values"] if edit["turn"] == turn else {}
        for name, stored in values.items():
            found[name] = await _form_of_json(stores, stored)
    return found


async def _form_of_json(stores: Stores, stored: str) -> Form | None:
    try:
        text = await stores.texts.get(stored)
        return display_of(json.loads(text)) if len(text) <= _LARGEST else None
    except (StoredDataDamaged, ValueError, RecursionError):
        return None
