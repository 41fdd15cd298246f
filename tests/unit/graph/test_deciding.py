"""A change of the state is no decision, in whatever form LangGraph takes changes."""

from typing import Any

import pytest
from langgraph.types import Command, StateUpdate

from durable_rlm.graph.deciding import check_decides_nothing
from durable_rlm.state.errors import UsageError

STATE = {"approved": "a", "verdicts": [], "leave": None, "note": None}


@pytest.mark.parametrize(
    "change",
    [
        {"approved": "b"},
        {"note": "x", "verdicts": [{"decided": "0"}]},
        {"leave": {"dollars": 5.0}},
        Command(update={"approved": "b"}),
        Command(update=[("approved", "b")]),
        [Command(update={"note": "x"}), {"approved": "b"}],
    ],
    ids=["approved", "verdicts", "leave", "command", "pairs", "list"],
)
def test_what_would_pass_for_a_decision_is_refused(change: Any) -> None:
    with pytest.raises(UsageError, match="an edit of the state is no decision"):
        check_decides_nothing(STATE, [[StateUpdate({"note": "fine"})], [StateUpdate(change, "review")]])


@pytest.mark.parametrize("change", [None, {"note": "x"}, {**STATE, "note": "x"}, Command(goto="plan")])
def test_what_leaves_the_decisions_as_they_are_is_none(change: Any) -> None:
    check_decides_nothing(STATE, [[StateUpdate(change)]])
