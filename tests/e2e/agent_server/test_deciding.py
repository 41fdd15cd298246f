"""Decisions through LangGraph's SDK, with a real server, its store and real kernels."""

from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

from tests.e2e.agent_server.reviewing import (
    APPROVE,
    Cells,
    actions,
    answer,
    answer_to,
    approve_all,
    edit,
    ids,
    reject,
    respond,
    waiting,
)
from tests.e2e.agent_server.test_threads_both_ways import known
from tests.graph.sub_rlms.conftest import tree_script

DECISIONS = ["approve", "edit", "reject", "respond"]


async def test_a_run_shows_its_approval_request_and_an_approval_by_name_resumes_it(
    client: LangGraphClient, thread: str, tmp_path: Path
) -> None:
    model = Cells(tmp_path, "x = llm_query('a')", "FINAL(x + '!')")
    result: Any = await client.runs.wait(thread, "rlm", input=model.question("code"))
    shown = await waiting(client, thread)
    assert [(one["id"], one["value"]) for one in result["__interrupt__"]] == [(shown["id"], shown["value"])]
    [action] = actions(shown)
    assert (action["name"], action["args"], action["turn"]) == ("execute_code", {"code": "x = llm_query('a')"}, 1)
    assert "wants to run this code" in action["description"]
    assert shown["value"]["review_configs"] == [{"action_name": "execute_code", "allowed_decisions": DECISIONS}]
    assert model.asked.prompts == [], "nothing runs before it is approved"
    await client.runs.wait(thread, "rlm", command=answer_to(shown, APPROVE))
    then = await waiting(client, thread)
    assert (actions(then)[0]["args"], model.asked.prompts) == ({"code": "FINAL(x + '!')"}, ["a"])
    assert then["id"] != shown["id"]
    result = await client.runs.wait(thread, "rlm", command=answer(APPROVE))
    assert (result["status"], result["answer_value"]) == ("answered", "A!")
    assert (await client.threads.get(thread))["status"] == "idle"
    assert model.asked.prompts == ["a"] and len(model.asked.roots) == 2


@pytest.mark.parametrize("by", ["input", "input's settings", "assistant"])
async def test_an_input_or_an_assistant_sets_the_gates_of_a_run(
    client: LangGraphClient, thread: str, tmp_path: Path, by: str
) -> None:
    model = Cells(tmp_path, "FINAL(1)")
    given, assistant = model.question(), "rlm"
    if by == "input":
        given["approve"] = ["final"]
    elif by == "input's settings":
        del given["approve"]
        given["settings"]["approve"] = ["final"]
    else:
        context: Any = {"approve": ["final"], "model": model.name}
        assistant = (await client.assistants.create("rlm", context=context))["assistant_id"]
        given = {"question": "What?"}
    await client.runs.wait(thread, assistant, input=given)
    assert [action["name"] for action in actions(await waiting(client, thread))] == ["final_answer"]
    result: Any = await client.runs.wait(thread, assistant, command=answer(APPROVE))
    assert result["answer_value"] == 1
    if assistant != "rlm":
        await client.assistants.delete(assistant)


async def test_edited_code_runs_in_place_of_the_original(client: LangGraphClient, thread: str, tmp_path: Path) -> None:
    await client.runs.wait(thread, "rlm", input=Cells(tmp_path, "FINAL('shown')").question("code"))
    decided = answer(edit("execute_code", code="FINAL('edited')"))
    result: Any = await client.runs.wait(thread, "rlm", command=decided)
    assert result["answer_value"] == "edited"


@pytest.mark.parametrize("decide", [reject, respond], ids=["reject", "respond"])
async def test_the_words_of_a_decision_are_sent_to_the_model_and_nothing_runs(
    client: LangGraphClient, thread: str, tmp_path: Path, decide: Any
) -> None:
    model = Cells(tmp_path, "llm_query('never')", "FINAL(1)")
    await client.runs.wait(thread, "rlm", input=model.question("code"))
    await client.runs.wait(thread, "rlm", command=answer(decide("Look at the dates first.")))
    assert actions(await waiting(client, thread))[0]["args"] == {"code": "FINAL(1)"}
    assert "Look at the dates first." in model.asked.roots[-1]
    result: Any = await client.runs.wait(thread, "rlm", command=answer(APPROVE))
    assert (result["answer_value"], model.asked.prompts) == (1, [])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"decisions": []}, "0 decisions for 1 action requests"),
        ({"decisions": [APPROVE, APPROVE]}, "2 decisions for 1 action requests"),
        ({"decisions": [{"type": "accept"}]}, "That is no answer"),
        ([{"type": "accept", "args": None}], "That is no answer"),
        ("yes", "That is no answer"),
        ({"decisions": [edit("execute_code", code="this is no code")]}, "is not Python"),
        ({"decisions": [APPROVE], "shown": "0" * 64}, "not what waits now"),
        ({"0" * 32: {"decisions": [APPROVE]}}, "does not wait"),
    ],
    ids=["none", "too many", "another word", "Agent Inbox's old form", "a word", "no code", "other hash", "other name"],
)
async def test_an_answer_that_does_not_fit_is_refused_and_the_run_still_waits(
    client: LangGraphClient, thread: str, tmp_path: Path, given: Any, reason: str
) -> None:
    await client.runs.wait(thread, "rlm", input=Cells(tmp_path, "FINAL(1)").question("code"))
    shown = await waiting(client, thread)
    with pytest.raises(Exception, match=reason):
        await client.runs.wait(thread, "rlm", command={"resume": given})
    run = await client.runs.create(thread, "rlm", command={"resume": given})
    await client.runs.join(thread, run["run_id"])
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "error"
    assert await waiting(client, thread) == shown
    result: Any = await client.runs.wait(thread, "rlm", command=answer_to(shown, APPROVE))
    assert result["answer_value"] == 1


async def test_each_request_of_an_interrupt_takes_its_own_decision(
    client: LangGraphClient, thread: str, tmp_path: Path
) -> None:
    cells = {"top": ["FINAL(rlm_query_batched(['one', 'two']))"], "one": ["FINAL(1)"], "two": ["FINAL(2)"]}
    model = tree_script(tmp_path / "tree.py", cells)
    given: Any = {"question": "top", "approve": ["code"], "settings": {"model": model, "max_depth": 2}}
    await client.runs.wait(thread, "rlm", input=given)
    await client.runs.wait(thread, "rlm", command=answer(APPROVE))
    shown = await waiting(client, thread)
    codes = [action["args"]["code"] for action in actions(shown)]
    assert sorted(codes) == ["FINAL(1)", "FINAL(2)"]
    assert len({action["thread_id"] for action in actions(shown)} - {thread}) == 2
    with pytest.raises(Exception, match="1 decisions for 2 action requests"):
        await client.runs.wait(thread, "rlm", command=answer(APPROVE))
    decided = [edit("execute_code", code="FINAL('mine')") if code == "FINAL(2)" else APPROVE for code in codes]
    result: Any = await client.runs.wait(thread, "rlm", command=answer_to(shown, *decided))
    assert result["answer_value"] == ["1", "mine"]


async def test_a_request_of_a_sub_rlm_two_levels_down_is_decided_at_the_top(
    client: LangGraphClient, thread: str, tmp_path: Path
) -> None:
    cells = {
        "top": ["FINAL(rlm_query('middle'))"],
        "middle": ["FINAL('m' + rlm_query('leaf'))"],
        "leaf": ["FINAL('l' + llm_query('deep'))"],
    }
    model = tree_script(tmp_path / "tree.py", cells)
    given: Any = {"question": "top", "approve": ["code"], "settings": {"model": model, "max_depth": 3}}
    result: Any = await client.runs.wait(thread, "rlm", input=given)
    seen: list[tuple[str, str]] = []
    while "__interrupt__" in result:
        shown = await waiting(client, thread)
        [action] = actions(shown)
        seen.append((action["args"]["code"], action["thread_id"]))
        if action["thread_id"] != thread:
            await known(client, action["thread_id"], "interrupted")
            with pytest.raises(Exception, match=f"is a part of {thread}, which asks for it"):
                await client.runs.wait(action["thread_id"], "rlm", command=answer(APPROVE))
        result = await client.runs.wait(thread, "rlm", command=answer_to(shown, APPROVE))
    assert [code for code, _ in seen] == [turns[0] for turns in cells.values()]
    assert len({of for _, of in seen}) == 3
    assert result["answer_value"] == "mlDEEP"


async def test_sub_calls_and_the_final_answer_wait_too(client: LangGraphClient, thread: str, tmp_path: Path) -> None:
    model = Cells(tmp_path, "FINAL(llm_query_batched(['a', 'b']))")
    await client.runs.wait(thread, "rlm", input=model.question("calls", "final"))
    [calls] = actions(await waiting(client, thread))
    assert (calls["name"], calls["args"]["count"], model.asked.prompts) == ("sub_calls", 2, [])
    second = calls["args"]["calls"][1]
    decided = answer(edit("sub_calls", calls=[{"key": second["key"], "prompt": "other"}]))
    await client.runs.wait(thread, "rlm", command=decided)
    [final] = actions(await waiting(client, thread))
    assert (final["name"], final["args"]) == ("final_answer", {"answer": ["A", "OTHER"]})
    result: Any = await client.runs.wait(thread, "rlm", command=answer(edit("final_answer", answer=["mine"])))
    assert (result["answer_value"], model.asked.prompts) == (["mine"], ["a", "other"])


async def test_a_stream_reports_the_interrupt_and_the_steps_after_its_decision(
    client: LangGraphClient, thread: str, tmp_path: Path
) -> None:
    model = Cells(tmp_path, "x = llm_query('a')", "FINAL(x)")
    modes: Any = ["updates", "messages", "custom", "values"]
    question = model.question("code")
    parts = [part async for part in client.runs.stream(thread, "rlm", input=question, stream_mode=modes)]
    shown = await waiting(client, thread)
    updates = [part.data for part in parts if part.event == "updates"]
    assert ids(updates[-1]["__interrupt__"]) == [shown["id"]]
    approved = answer_to(shown, APPROVE)
    parts = [part async for part in client.runs.stream(thread, "rlm", command=approved, stream_mode=modes)]
    nodes = [node for part in parts if part.event == "updates" for node in part.data]
    assert nodes == ["review", "execute_code", "sub_call", "execute_code", "plan", "__interrupt__"]
    assert {part.data["event"] for part in parts if part.event == "custom"} >= {"code", "calls", "output", "turn"}
    said = [part.data[0]["content"] for part in parts if part.event == "messages/complete"]
    assert len(said) == 1 and "FINAL(x)" in said[0]
    assert (await approve_all(client, thread))["answer_value"] == "A"


async def test_the_graph_shows_the_review_node_and_the_schemas_show_the_gates(client: LangGraphClient) -> None:
    [assistant] = await client.assistants.search(graph_id="rlm", metadata={"created_by": "system"})
    for xray in (False, True):
        drawing: Any = await client.assistants.get_graph(assistant["assistant_id"], xray=xray)
        edges = {(edge["source"], edge["target"]) for edge in drawing["edges"]}
        before = {"plan", "direct", "execute_code", "finalize"}
        after = {"plan", "direct", "execute_code", "finalize"}
        assert {source for source, target in edges if target == "review"} == before
        assert {target for source, target in edges if source == "review"} == after
    schemas = await client.assistants.get_schemas(assistant["assistant_id"])
    for form in schemas["input_schema"], schemas.get("context_schema"):
        approve = (form or {})["properties"]["approve"]
        assert approve["title"] and "code" in approve["description"]
