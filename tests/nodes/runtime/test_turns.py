"""Transcripts of states: the same turns and variables as from reading all records of the state."""

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.nodes.runtime.turns import Transcript, turns_of, variables_after
from durable_rlm.state.records import EditRecord, TurnRecord, VariableRecord
from durable_rlm.state.run_state import RunState

names = st.sampled_from("abc")


def variable(name: str, size: int = 1) -> VariableRecord:
    return {"name": name, "type": "int", "size": size, "preview": str(size)}


@st.composite
def records(draw: st.DrawFn) -> TurnRecord:
    """Return a record of one of the first five turns with random fields, as nodes and reviewers write them."""
    whole: dict[str, Any] = {
        "reply": draw(st.text(max_size=3)),
        "notes": draw(st.lists(st.text(max_size=3), max_size=2)),
        "short": {"code": draw(st.text(max_size=3))},
        "changed": [variable(name, draw(st.integers(0, 9))) for name in draw(st.sets(names))],
        "gone": sorted(draw(st.sets(names))),
        "variables": [variable(name) for name in sorted(draw(st.sets(names)))],
    }
    chosen = draw(st.sets(st.sampled_from(sorted(whole))))
    return cast(TurnRecord, {"number": draw(st.integers(1, 5)), **{name: whole[name] for name in chosen}})


@st.composite
def edits(draw: st.DrawFn) -> EditRecord:
    name = draw(names)
    return {
        "turn": draw(st.integers(0, 5)),
        "values": {name: "hash"},
        "about": [variable(name, 7)],
        "position": "",
        "snapshot": None,
        "lost": {},
    }


def number(turn: TurnRecord) -> int:
    return turn.get("number", 0)


@given(
    batches=st.lists(st.lists(records(), max_size=3), max_size=6),
    edited=st.lists(st.lists(edits(), max_size=2), min_size=6, max_size=6),
    with_edits=st.booleans(),
    back=st.integers(0, 6),
)
def test_reading_further_states_gives_the_same_as_reading_each_one_alone(
    batches: list[list[TurnRecord]], edited: list[list[EditRecord]], with_edits: bool, back: int
) -> None:
    transcript = Transcript()
    written: list[TurnRecord] = []
    states: list[RunState] = [{}]
    for batch, edits_of_state in zip(batches, edited, strict=False):
        written = [*written, *batch]
        state: RunState = {"turns": written}
        if with_edits:
            state["edits"] = edits_of_state
        states.append(state)
    # Earlier states are read again, as in a run that is forked or resumed from there.
    for state in [*states, *states[back:], *states]:
        turns = turns_of(state)
        # The reads come in another order than the records, and more than once.
        assert list(transcript.each(state, number)) == [number(turn) for turn in turns]
        assert list(transcript.variables(state)) == variables_after(turns)
        assert list(transcript.turns(state)) == list(transcript.turns(state)) == turns
