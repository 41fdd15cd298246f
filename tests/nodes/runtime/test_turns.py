"""A transcript says of each state what reading all of its records says."""

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
    """Of any turn up to the fifth, as nodes and reviewers write them: what there is in it is chance."""
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
    edits_at_all=st.booleans(),
    back=st.integers(0, 6),
)
def test_each_state_is_read_as_if_it_were_the_first(
    batches: list[list[TurnRecord]], edited: list[list[EditRecord]], edits_at_all: bool, back: int
) -> None:
    transcript = Transcript()
    written: list[TurnRecord] = []
    states: list[RunState] = [{}]
    for batch, made in zip(batches, edited, strict=False):
        written = [*written, *batch]
        state: RunState = {"turns": written}
        if edits_at_all:
            state["edits"] = made
        states.append(state)
    # Also back to an earlier one, as a run that is forked or gone on with from there.
    for state in [*states, *states[back:], *states]:
        turns = turns_of(state)
        # Asked in any order, and more than once.
        assert list(transcript.each(state, number)) == [number(turn) for turn in turns]
        assert list(transcript.variables(state)) == variables_after(turns)
        assert list(transcript.turns(state)) == list(transcript.turns(state)) == turns
