"""Gates of sub-RLMs: the run at the top requests their approvals, also from two levels below it."""

from typing import Any

import pytest

from durable_rlm import Run
from durable_rlm.state.errors import UsageError
from tests.graph.sub_rlms.conftest import tree_script
from tests.nodes.approval.waiting_run import APPROVE, Reviewed, edit, names, reject, requests

TREE = {
    "top": ["x = rlm_query_batched(['middle a', 'middle b'])", "FINAL(x)"],
    "middle": ["y = rlm_query('leaf ' + str(1))", "FINAL('m' + y)"],
    "leaf": ["z = llm_query('deep')", "FINAL(z)"],
}


async def started(reviewed: Reviewed, *gates: str, depth: int = 3, **settings: Any) -> Run:
    model = tree_script(reviewed.folder / "tree.py", TREE)
    return await reviewed.run(model, *gates, question="top", max_depth=depth, **settings)


async def test_the_run_at_the_top_waits_with_the_requests_of_two_sub_rlms_together(reviewed: Reviewed) -> None:
    run = await started(reviewed, "code", depth=2)
    run = await reviewed.decide(APPROVE)
    assert names(run) == ["execute_code", "execute_code"]
    threads = {request["thread_id"] for request in requests(run)}
    assert len(threads) == 2 and reviewed.thread not in threads
    assert all(request["description"].startswith(f"Sub-RLM {request['thread_id'][:8]}") for request in requests(run))
    run = await reviewed.approve_all(run)
    assert (run.status, run.answer) == ("answered", ["mLEAF 1", "mLEAF 1"])


async def test_an_approval_reaches_a_sub_rlm_two_levels_down(reviewed: Reviewed) -> None:
    run = await started(reviewed, "calls>1")
    waited = []
    while run.status == "paused":
        waited.append([(request["name"], request["args"]["count"]) for request in requests(run)])
        run = await reviewed.decide(*[APPROVE] * len(requests(run)))
    assert (waited, run.answer) == ([[("sub_calls", 2)]], ["mDEEP", "mDEEP"])

    other = Reviewed(reviewed.folder / "other")
    other.folder.mkdir()
    run = await started(other, "calls")
    seen: list[str] = []
    while run.status == "paused":
        seen += [request["args"]["calls"][0]["prompt"] for request in requests(run)]
        run = await other.decide(*[APPROVE] * len(requests(run)))
    assert (seen, run.answer) == (["middle a", "leaf 1", "leaf 1", "deep", "deep"], ["mDEEP", "mDEEP"])


async def test_each_of_several_sub_rlms_gets_its_own_decision(reviewed: Reviewed) -> None:
    run = await started(reviewed, "code", depth=2)
    run = await reviewed.decide(APPROVE)
    run = await reviewed.decide(edit(code="y = 'first'"), edit(code="y = 'second'"))
    run = await reviewed.approve_all(run)
    assert sorted(run.answer) == ["mfirst", "msecond"]


async def test_a_sub_rlm_continues_after_its_decision_and_waits_again_at_its_next_cell(
    reviewed: Reviewed,
) -> None:
    run = await started(reviewed, "code", depth=2)
    run = await reviewed.decide(APPROVE)
    first = {request["thread_id"]: request["args"]["code"] for request in requests(run)}
    run = await reviewed.decide(APPROVE, APPROVE)
    second = {request["thread_id"]: request["args"]["code"] for request in requests(run)}
    assert first.keys() == second.keys()
    assert set(first.values()) == {TREE["middle"][0]}
    assert set(second.values()) == {TREE["middle"][1]}


async def test_the_answer_of_a_sub_rlm_does_not_wait_at_the_answer_gate(reviewed: Reviewed) -> None:
    run = await started(reviewed, "final", depth=2)
    assert [request["thread_id"] for request in requests(run)] == [reviewed.thread]


async def test_a_rejected_sub_rlm_call_starts_no_sub_rlm(reviewed: Reviewed) -> None:
    await started(reviewed, "calls", depth=2)
    await reviewed.decide(reject("do it yourself"))
    async with reviewed.open() as runner:
        assert [run["thread_id"] for run in await runner.queries.runs()] == [reviewed.thread]
        [call, _] = await runner.queries.calls(reviewed.thread)
        assert call.to_json()["error"] == "do it yourself"


async def test_a_decision_for_a_sub_rlm_is_accepted_only_at_the_run_at_the_top(reviewed: Reviewed) -> None:
    run = await started(reviewed, "code", depth=2)
    run = await reviewed.decide(APPROVE)
    child = requests(run)[0]["thread_id"]
    async with reviewed.open() as runner:
        with pytest.raises(UsageError, match="is a part of reviewed"):
            await runner.decide(child, [APPROVE])


async def test_a_decision_applies_to_one_wait_of_a_sub_rlm_and_to_no_later_one(reviewed: Reviewed) -> None:
    """The run at the top is killed after its decision was saved and passed on, and before anything else was saved."""
    run = await started(reviewed, "code", depth=2)
    run = await reviewed.decide(APPROVE)
    child = requests(run)[0]["thread_id"]
    run = await reviewed.decide(APPROVE, APPROVE)
    async with reviewed.open() as runner:
        before = await runner.queries.steps(child)
        # The same cell runs again, with the decisions of earlier waits in the state.
        assert (await runner.resume(reviewed.thread)).interrupts == run.interrupts
        assert await runner.queries.steps(child) == before


async def test_a_decision_on_a_request_of_a_sub_rlm_can_raise_the_budget_of_the_tree(reviewed: Reviewed) -> None:
    run = await started(reviewed, "budget", max_calls=6)
    while run.status == "paused":
        assert {request["args"]["resource"] for request in requests(run)} == {"calls"}
        run = await reviewed.decide(*[edit(limit=50)] * len(requests(run)))
    assert (run.status, run.answer) == ("answered", ["mDEEP", "mDEEP"])
    async with reviewed.open() as runner:
        assert (await runner.queries.about(reviewed.thread))["limits"]["max_calls"] == 50


async def test_sub_rlms_that_exceed_the_same_budget_of_the_tree_share_one_request(reviewed: Reviewed) -> None:
    run = await started(reviewed, "budget", depth=2, max_calls=3)
    assert [(request["name"], request["args"]["resource"]) for request in requests(run)] == [("budget", "calls")]
    assert "2 wait for this" in requests(run)[0]["description"]
    run = await reviewed.decide(edit(limit=50))
    assert (run.status, run.answer) == ("answered", ["mLEAF 1", "mLEAF 1"])
