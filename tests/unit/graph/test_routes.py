"""Where a run goes next, as a function of its state alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.types import Send

from durable_rlm.graph.routes import after_execute, after_plan
from durable_rlm.state.schema import CellRef, RunState

CELL: CellRef = {"turn": 1, "blocks": ["h"], "digest": "d"}


def test_code_is_reviewed_and_a_turn_without_it_is_asked_again_unless_it_was_the_last() -> None:
    assert after_plan({"cell": CELL, "last": True}) == "review"
    assert after_plan({"cell": None, "last": False}) == "plan"
    assert after_plan({"cell": None, "last": True}) == "finalize"


@given(waiting=st.integers(1, 100_000), concurrency=st.integers(1, 1000))
def test_a_standing_cell_gets_a_lane_a_call_up_to_the_concurrency(waiting: int, concurrency: int) -> None:
    state: RunState = {"cell": CELL, "waiting": waiting, "settings": {"concurrency": concurrency}, "turn": 1}
    sends = after_execute(state)
    assert isinstance(sends, list) and len(sends) == min(waiting, concurrency)
    assert all(isinstance(send, Send) and send.node == "sub_call" for send in sends)


def test_lanes_carry_no_text() -> None:
    state: RunState = {"cell": CELL, "waiting": 1, "settings": {"concurrency": 1}, "turn": 1, "question": "long" * 1000}
    [send] = after_execute(state)
    assert "long" not in str(send.arg)  # type: ignore[union-attr]


@given(final=st.booleans(), last=st.booleans())
def test_an_ended_cell_ends_the_turn_or_the_run(final: bool, last: bool) -> None:
    state: RunState = {"cell": None, "last": last, "final": {"text": "h", "typed": False} if final else None}
    assert after_execute(state) == ("finalize" if final or last else "plan")


def test_an_impossible_state_raises() -> None:
    with pytest.raises(ValueError, match="neither"):
        after_execute({"cell": CELL, "waiting": 0})
