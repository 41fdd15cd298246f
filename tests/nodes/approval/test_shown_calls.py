"""A reviewer sees all that is sent: every waiting prompt, schema and context, and the approval is of all of it."""

import json
from typing import Any

import pytest

from durable_rlm import Run
from durable_rlm.graph.executor import config_of
from durable_rlm.graph.maintenance import collect_garbage, verify_run
from durable_rlm.nodes.approval import call_listing
from durable_rlm.state.errors import StoredDataDamaged
from durable_rlm.state.open_home import open_stores
from tests.damage import ask, change
from tests.nodes.approval.waiting_run import APPROVE, Reviewed, edit, requests

HIDDEN = "a document that must not leave " * 200
SCHEMA = {"type": "string", "description": HIDDEN}
ASKING = f"""
hidden = {HIDDEN!r}
x = llm_query("Is the sky blue?", schema={{"type": "string", "description": hidden}})
y = rlm_query("Fine?", context=hidden)
"""
FAN_OUT = "x = llm_query_batched([f'{i} ' + 'long ' * (1000 if i < 50 else 1) for i in range(1500)])"


def calls_of(run: Run) -> list[dict[str, Any]]:
    [request] = requests(run)
    return request["args"]["calls"]


async def asked_alone(reviewed: Reviewed, name: str, cell: str, **settings: Any) -> Run:
    """Start another run, in a home of its own, until it waits."""
    other = Reviewed(reviewed.folder / name)
    other.folder.mkdir()
    return await other.start([cell, "FINAL(1)"], "calls", **settings)


async def test_every_prompt_of_a_large_fan_out_is_shown_whole(reviewed: Reviewed) -> None:
    run = await reviewed.start([FAN_OUT, "FINAL(len(x))"], "calls")
    prompts = {f"{i} " + "long " * (1000 if i < 50 else 1) for i in range(1500)}
    assert {call["prompt"] for call in calls_of(run)} == prompts and len(calls_of(run)) == 1500
    assert all(call["chars"] == len(call["prompt"]) for call in calls_of(run))
    assert (await reviewed.decide(APPROVE)).answer == 1500


async def test_the_saved_request_does_not_grow_with_its_calls(reviewed: Reviewed) -> None:
    await reviewed.start([FAN_OUT, "FINAL(len(x))"], "calls")
    for table, column in (("writes", "value"), ("checkpoints", "checkpoint")):
        [(largest,)] = ask(reviewed.home, f"SELECT max(length({column})) FROM {table}")
        assert largest < 20_000, f"{table} has a row of {largest:,} bytes"


async def test_schemas_and_contexts_are_shown_with_their_sizes(reviewed: Reviewed) -> None:
    run = await reviewed.start([ASKING, "FINAL(1)"], "calls", max_depth=2, sub="return '\"yes\"'")
    [typed] = calls_of(run)
    assert (typed["schema"], typed["schema_chars"]) == (SCHEMA, len(json.dumps(SCHEMA)))
    run = await reviewed.decide(APPROVE)
    [handed] = calls_of(run)
    assert (handed["kind"], handed["context"]["text"]) == ("rlm", HIDDEN)
    assert (handed["context"]["chars"], handed["context"]["documents"]) == (len(HIDDEN), 1)


async def test_documents_handed_to_sub_rlms_are_shown_under_their_names_and_once(reviewed: Reviewed) -> None:
    cell = "x = rlm_query_batched(['Fine?', 'Sure?'], context=[['first text', 'second text']] * 2)"
    run = await reviewed.start([cell, "FINAL(1)"], "calls", max_depth=2)
    first, second = [call["context"] for call in calls_of(run)]
    assert (first["text"], first["documents"]) == ("[1]\nfirst text\n\n[2]\nsecond text", 2)
    assert second["text_at"] == calls_of(run)[0]["key"] and "text" not in second


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = llm_query('q' * 3_000 + 'a')", "x = llm_query('q' * 3_000 + 'b')"),
        ("x = llm_query('q', schema={'type': 'string'})", "x = llm_query('q', schema={'type': 'number'})"),
        ("x = rlm_query('q', context='a')", "x = rlm_query('q', context='b')"),
        ("x = llm_query('q', max_tokens=10)", "x = llm_query('q', max_tokens=20)"),
        (
            "x = llm_query_batched([f'q{i}' for i in range(30)])",
            "x = llm_query_batched([f'q{i}' for i in range(29)] + ['other'])",
        ),
    ],
)
async def test_the_hash_of_what_is_shown_covers_all_that_is_sent(reviewed: Reviewed, one: str, other: str) -> None:
    def hash_of(run: Run) -> str:
        args = requests(run)[0]["args"]
        assert call_listing.calls_digest(args["calls"]) == args["digest"]
        # The model is a file in the folder of its run, and the key is a hash itself.
        return call_listing.calls_digest([{**call, "model": "", "key": ""} for call in args["calls"]])

    first = await asked_alone(reviewed, "one", one, max_depth=2)
    again = await asked_alone(reviewed, "again", one, max_depth=2)
    second = await asked_alone(reviewed, "other", other, max_depth=2)
    assert hash_of(first) == hash_of(again) != hash_of(second)


async def test_the_hash_is_of_the_calls_that_are_shown_and_not_of_those_that_are_stored(reviewed: Reviewed) -> None:
    [request] = requests(await reviewed.start(["x = llm_query('q')", "FINAL(x)"], "calls"))
    swapped = {**request["args"], "calls": [{**request["args"]["calls"][0], "prompt": "another"}]}
    assert call_listing.hashed({**request, "args": swapped}) != call_listing.hashed(request)


async def test_clients_of_the_graph_get_beginnings_of_a_very_large_listing(
    reviewed: Reviewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_listing, "WHOLE", 10_000)
    run = await reviewed.start(["x = llm_query_batched(['a' * 9_000, 'b' * 9_000])", "FINAL(x)"], "calls")
    assert [call["chars"] for call in calls_of(run)] == [len(call["prompt"]) for call in calls_of(run)] == [9_000] * 2
    async with reviewed.open() as runner:
        [interrupt] = (await runner.graph.aget_state(config_of(reviewed.thread))).interrupts
    [request] = interrupt.value["action_requests"]
    assert [(len(call["prompt"]), call["chars"]) for call in request["args"]["calls"]] == [(2_000, 9_000)] * 2
    assert "the first 2,000 characters of each text, of 18,000 in all" in request["description"]
    changed = [{**call, "prompt": "other"} if "b" in call["prompt"] else call for call in request["args"]["calls"]]
    run = await reviewed.decide(edit(calls=changed))
    assert run.answer == ["A" * 9_000, "OTHER"], "a beginning that is sent back is no edit"


# -- the stored listing


async def test_a_listing_is_kept_by_a_collection_and_verified(reviewed: Reviewed) -> None:
    run = await reviewed.start(["x = llm_query_batched(['a', 'b'])", "FINAL(x)"], "calls")
    async with open_stores(reviewed.home) as stores:
        assert (await verify_run(stores, reviewed.thread)).ok
    change(reviewed.home, "UPDATE texts SET touched = 0 WHERE hash = ?", requests(run)[0]["args"]["listed"])
    await collect_garbage(reviewed.home)
    async with reviewed.open() as runner:
        assert calls_of(await runner.read(reviewed.thread)) == calls_of(run)
    assert (await reviewed.decide(APPROVE)).answer == ["A", "B"]


async def test_calls_whose_listing_is_damaged_are_not_approved_unseen(reviewed: Reviewed) -> None:
    run = await reviewed.start(["x = llm_query_batched(['a', 'b'])", "FINAL(x)"], "calls")
    name = requests(run)[0]["args"]["listed"]
    [(body,)] = ask(reviewed.home, "SELECT body FROM texts WHERE hash = ?", name)
    change(reviewed.home, "UPDATE texts SET body = ? WHERE hash = ?", b"other", name)
    async with open_stores(reviewed.home) as stores:
        [problem] = (await verify_run(stores, reviewed.thread)).problems
    assert any("the sub-calls that wait for approval" in needed for needed in problem.needed_by)
    async with reviewed.open() as runner:
        run = await runner.read(reviewed.thread)
    assert "cannot be shown" in run.interrupts[0]["value"]["problem"]
    with pytest.raises(StoredDataDamaged):
        await reviewed.decide(APPROVE)
    assert reviewed.asked.prompts == []
    change(reviewed.home, "UPDATE texts SET body = ? WHERE hash = ?", body, name)
    assert (await reviewed.decide(APPROVE)).answer == ["A", "B"]
