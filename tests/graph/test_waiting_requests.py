"""Waiting requests are read by pages from what is saved, by any process, and a decision is bound to it."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Run
from durable_rlm.graph.saved_states import SavedCheckpoints
from durable_rlm.graph.waiting_requests import WaitingAction, waiting_prompts, waiting_requests
from durable_rlm.state.errors import StoredDataDamaged, UsageError
from durable_rlm.state.open_home import open_stores
from durable_rlm.state.stores import Stores
from durable_rlm.studio.approval.requests import waiting_of
from tests.graph.sub_rlms.conftest import tree_script
from tests.nodes.approval.waiting_run import APPROVE, Reviewed, requests

MANY = "x = llm_query_batched([f'{i} ä' + '€' * (9_000 if i % 7 == 0 else i % 5) for i in range(42 * 7)])"
VARIED = """
what = {"type": "string", "description": "d" * 9_000}
x = [llm_query("Is the sky blue?", schema=what, max_tokens=20), llm_query("")]
y = rlm_query_batched(["Fine?", "Sure?"], context=[["first text", "second text"]] * 2)
"""


@pytest.fixture
def reviewed(tmp_path: Path) -> Reviewed:
    return Reviewed(tmp_path)


async def read(stores: Stores, thread: str) -> list[Any]:
    return await waiting_requests(SavedCheckpoints(stores), thread)


def calls_of(run: Run) -> list[dict[str, Any]]:
    return requests(run)[0]["args"]["calls"]


async def test_all_prompts_of_a_gate_are_saved_and_read_by_pages(reviewed: Reviewed) -> None:
    run = await reviewed.start([MANY, "FINAL(len(x))"], "calls")
    async with open_stores(reviewed.home) as stores:
        [request] = await read(stores, reviewed.thread)
        [action] = request.actions
        pages = [await waiting_prompts(stores, action, first, 50, cut_at=100) for first in range(1, 295, 50)]
        [last] = (await waiting_prompts(stores, action, 294, 50, cut_at=20_000)).calls
    assert (action.name, action.count, "calls" in action.args) == ("sub_calls", 294, False)
    assert [page.count for page in pages] == [294] * 6 and [len(page.calls) for page in pages] == [50] * 5 + [44]
    listed, whole = [call for page in pages for call in page.calls], calls_of(run)
    assert [call["prompt"] for call in listed] == [call["prompt"][:100] for call in whole]
    assert [call["chars"] for call in listed] == [len(call["prompt"]) for call in whole]
    assert last == whole[-1]


async def test_the_expected_cost_of_each_call_adds_up_to_what_the_request_says(reviewed: Reviewed) -> None:
    await reviewed.start([MANY, "FINAL(len(x))"], "calls")
    async with open_stores(reviewed.home) as stores:
        [request] = await read(stores, reviewed.thread)
        [action] = request.actions
        calls = (await waiting_prompts(stores, action, 1, 1_000)).calls
    for name in ("estimated_input_tokens", "output_tokens_at_most", "estimated_cost_usd"):
        assert sum(call[name] for call in calls) == action.args[name]
    assert len(calls) == action.count and all(call["model"].startswith("scripted:") for call in calls)


async def test_a_page_has_the_schemas_and_the_contexts_that_are_sent(reviewed: Reviewed) -> None:
    run = await reviewed.start([VARIED, "FINAL(1)"], "calls", max_depth=2, sub="return '\"yes\"'")
    seen: list[dict[str, Any]] = []
    while run.status == "paused":
        async with open_stores(reviewed.home) as stores:
            [request] = await read(stores, reviewed.thread)
            for action, asked in zip(request.actions, requests(run), strict=True):
                seen += (await waiting_prompts(stores, action, cut_at=20_000)).calls
                assert seen[-len(asked["args"]["calls"]) :] == asked["args"]["calls"]
                for call in (await waiting_prompts(stores, action, cut_at=10)).calls:
                    assert len(call["prompt"]) <= 10 and (call.get("schema") is None or len(call["schema"]) == 10)
                    # With the headings of its documents.
                    assert len(call.get("context", {}).get("text", "")) <= 20
        run = await reviewed.decide(*[APPROVE] * len(request.actions))
    assert any("schema" in call for call in seen) and any("context" in call for call in seen)
    assert run.answer == 1


@pytest.mark.parametrize(
    ("gate", "cell", "name"),
    [
        ("code", "FINAL(1)", "execute_code"),
        ("calls", "FINAL(llm_query('a'))", "sub_calls"),
        ("final", "FINAL(1)", "final_answer"),
        ("budget", "x = llm_query_batched(['a', 'b', 'c', 'd'])", "budget"),
    ],
)
async def test_a_decision_is_bound_to_the_hash_that_is_read(
    reviewed: Reviewed, gate: str, cell: str, name: str
) -> None:
    limits: dict[str, Any] = {"max_calls": 3} if gate == "budget" else {}
    run = await reviewed.start([cell, "FINAL(2)"], gate, **limits)
    async with open_stores(reviewed.home) as stores:
        [request] = await read(stores, reviewed.thread)
        asked = [action.name for action in request.actions]
        assert (request.id, asked, request.turn) == (run.interrupts[0]["id"], [name], 1)
        assert request.shown == run.interrupts[0]["value"]["shown"] == waiting_of(run)[0].shown
        assert "approve" in request.actions[0].allowed and request.actions[0].description
        if gate != "calls":
            assert (await waiting_prompts(stores, request.actions[0])).calls == []
    with pytest.raises(UsageError, match="not what waits now"):
        await reviewed.decide(APPROVE, interrupt=request.id, shown="0" * 64)
    assert (await reviewed.decide(APPROVE, interrupt=request.id, shown=request.shown)).status != "paused"


async def test_the_requests_of_sub_rlms_are_those_of_the_run_at_the_top(reviewed: Reviewed) -> None:
    tree = {"top": ["FINAL(rlm_query_batched(['middle a', 'middle b']))"], "middle": ["FINAL(llm_query('deep'))"]}
    script = tree_script(reviewed.folder / "tree.py", tree)
    await reviewed.run(script, "calls", question="top", max_depth=2)
    await reviewed.decide(APPROVE)
    async with open_stores(reviewed.home) as stores:
        [request] = await read(stores, reviewed.thread)
        for action in request.actions:
            [call] = (await waiting_prompts(stores, action)).calls
            assert (action.thread_id != reviewed.thread, call["prompt"]) == (True, "deep")
    assert len(request.actions) == 2


async def test_a_run_that_does_not_wait_has_no_requests(reviewed: Reviewed) -> None:
    await reviewed.start(["FINAL(1)"])
    async with open_stores(reviewed.home) as stores:
        assert await read(stores, reviewed.thread) == []


async def test_a_page_that_there_is_not_and_a_damaged_listing_are_refused(reviewed: Reviewed) -> None:
    await reviewed.start([MANY, "FINAL(len(x))"], "calls")
    async with open_stores(reviewed.home) as stores:
        [request] = await read(stores, reviewed.thread)
        action: WaitingAction = request.actions[0]
        for first in (0, 295):
            with pytest.raises(UsageError, match=f"no call {first} in"):
                await waiting_prompts(stores, action, first)
    [blob] = [path for path in (reviewed.home / "blobs").rglob(f"{action.args['listed'][:2]}*/*") if path.is_file()]
    blob.write_bytes(blob.read_bytes().replace("€".encode(), b"$$$", 1))
    async with open_stores(reviewed.home) as stores:
        with pytest.raises(StoredDataDamaged):
            await waiting_prompts(stores, action, 1, 1)
