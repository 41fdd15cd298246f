"""Routes of the graph: the next node as a function of the state alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.types import Send

from durable_rlm.graph.routes import after_direct, after_execute, after_plan, after_prepare, after_review
from durable_rlm.state.run_state import CellRef, EditRecord, RunState

CELL: CellRef = {"turn": 1, "blocks": ["h"], "digest": "d"}


@pytest.mark.parametrize("mode", ["auto", "direct"])
def test_the_direct_call_is_tried_first_only_in_a_run_without_turns_and_edits(mode: str) -> None:
    state: RunState = {"settings": {"mode": mode}}
    assert after_prepare(state) == "direct"
    assert after_prepare({**state, "turns": [{"number": 1}]}) == "plan"
    edit: EditRecord = {"turn": 0, "values": {}, "about": [], "position": "p", "snapshot": None, "lost": {}}
    assert after_prepare({**state, "edits": [edit]}) == "plan"


def test_a_run_begins_with_the_repl_by_default() -> None:
    assert after_prepare({"settings": {"mode": "rlm"}}) == "plan"
    assert after_prepare({"settings": {}}) == "plan", "runs of earlier versions have no mode"
    with pytest.raises(ValueError, match="no mode"):
        after_prepare({"settings": {"mode": "fast"}})


def test_a_direct_answer_or_a_spent_budget_ends_the_run() -> None:
    assert after_direct({"final": {"text": "h", "typed": False}}) == "finalize"
    assert after_direct({"final": None, "last": True}) == "finalize"
    assert after_direct({"final": None, "last": False}) == "plan"


def test_code_is_executed_and_a_turn_without_code_leads_to_another_unless_it_was_the_last() -> None:
    assert after_plan({"cell": CELL, "last": True}) == "execute_code"
    assert after_plan({"cell": None, "last": False}) == "plan"
    assert after_plan({"cell": None, "last": True}) == "finalize"


@given(
    code=st.sets(st.sampled_from(["code", "code:writes", "code:imports", "code:calls", "all"])),
    others=st.sets(st.sampled_from(["calls", "calls>9", "cost>0.5", "final", "budget"])),
    last=st.booleans(),
)
def test_code_is_reviewed_exactly_when_a_gate_requires_it(code: set[str], others: set[str], last: bool) -> None:
    state: RunState = {"cell": CELL, "last": last, "settings": {"approve": [*others, *code]}}
    assert after_plan(state) == ("review" if code else "execute_code")
    assert after_plan({**state, "cell": None}) == ("finalize" if last else "plan"), "nothing to review"


@given(waiting=st.integers(1, 100_000), concurrency=st.integers(1, 1000))
def test_a_waiting_cell_gets_a_worker_a_call_up_to_a_bound(waiting: int, concurrency: int) -> None:
    state: RunState = {"cell": CELL, "waiting": waiting, "settings": {"concurrency": concurrency}, "turn": 1}
    sends = after_execute(state)
    assert isinstance(sends, list) and len(sends) == min(waiting, concurrency + min(concurrency, 32), 1_000)
    assert all(isinstance(send, Send) and send.node == "sub_call" for send in sends)


def test_tasks_of_workers_carry_no_text() -> None:
    state: RunState = {"cell": CELL, "waiting": 1, "settings": {"concurrency": 1}, "turn": 1, "question": "long" * 1000}
    [send] = after_execute(state)
    assert "long" not in str(send.arg)  # type: ignore[union-attr]


@given(final=st.booleans(), last=st.booleans())
def test_an_ended_cell_ends_the_turn_or_the_run(final: bool, last: bool) -> None:
    state: RunState = {"cell": None, "last": last, "final": {"text": "h", "typed": False} if final else None}
    assert after_execute(state) == ("finalize" if final or last else "plan")


def test_a_cell_that_did_not_run_is_reviewed_again() -> None:
    assert after_execute({"cell": CELL, "waiting": 0}) == "review"


def test_an_approval_request_leads_to_the_review_and_back_to_its_origin() -> None:
    asks: RunState = {"asks": {"asked": "0" * 64}}
    assert after_plan(asks) == after_direct(asks) == after_execute({**asks, "cell": CELL, "waiting": 3}) == "review"
    assert after_review({"cell": CELL, "waiting": 3}) == "execute_code"
    assert after_review({"settings": {"mode": "rlm"}}) == "plan"
    assert after_review({"settings": {"mode": "auto"}}) == "direct"
    assert after_review({"settings": {"mode": "auto"}, "told_first": ["not accepted"]}) == "plan"


def test_an_answer_is_reviewed_when_a_gate_requires_it() -> None:
    final: RunState = {"final": {"text": "0" * 64, "typed": False}}
    gated: RunState = {**final, "settings": {"approve": ["final"]}}
    assert after_execute(gated) == after_direct(gated) == "review"
    assert after_execute(final) == after_review(gated) == "finalize"


def test_rejected_code_of_the_last_turn_ends_the_run() -> None:
    assert after_review({"cell": None, "last": True}) == "finalize"
