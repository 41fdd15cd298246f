"""Decisions in the forms that pages made with LangGraph's libraries send."""

import json
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

from tests.e2e.agent_server.reviewing import APPROVE, Cells, actions, answer, edit, ids, waiting
from tests.e2e.agent_server.test_threads_both_ways import until


async def listed(client: LangGraphClient, thread: str, turn: int) -> Any:
    """Return the interrupt of a turn once the server's list has it: pages take it from there."""

    async def look() -> Any:
        of_tasks: Any = (await client.threads.get(thread)).get("interrupts") or {}
        return [one for of_task in of_tasks.values() for one in of_task]

    [found] = await until(look, lambda found: [one["value"]["turn"] for one in found] == [turn])
    return found


async def test_the_streaming_protocol_of_pages_carries_decisions(
    client: LangGraphClient, thread: str, tmp_path: Path
) -> None:
    """`run.start` and `input.respond` with the id, which `useStream` and `threads.stream` send."""
    model = Cells(tmp_path, "x = llm_query('a')", "FINAL(x)")
    async with client.threads.stream(thread, assistant_id="rlm") as stream:
        await stream.run.start(input=model.question("code"))
        for turn in 1, 2:
            shown = await listed(client, thread, turn)
            await until(lambda: _ids(stream), lambda found, wanted=shown["id"]: wanted in found)
            await stream.run.respond({"decisions": [APPROVE]}, interrupt_id=shown["id"])
        result: Any = await stream.output.with_timeout(30)
    assert result["answer_value"] == "A"
    assert (model.asked.prompts, len(model.asked.roots)) == (["a"], 2)


async def _ids(stream: Any) -> list[str]:
    return [one["interrupt_id"] for one in stream.interrupts]


async def test_a_page_may_send_an_input_and_a_step_with_its_decision(
    client: LangGraphClient, thread: str, tmp_path: Path
) -> None:
    """Agent Chat UI: `submit({}, {command: {resume: {decisions}}})`, all modes, with the step that it shows."""
    await client.runs.wait(thread, "rlm", input=Cells(tmp_path, "FINAL(1)").question("code"))
    state: Any = await client.threads.get_state(thread)
    modes: Any = ["values", "updates", "messages-tuple", "custom"]
    sent = client.runs.stream(
        thread,
        "rlm",
        input={},
        command=answer(edit("execute_code", code="FINAL('mine')")),
        checkpoint=state["checkpoint"],
        stream_mode=modes,
        stream_subgraphs=True,
        stream_resumable=True,
        on_disconnect="continue",
    )
    parts = [part async for part in sent]
    assert not [part for part in parts if part.event == "error"]
    assert [part.data for part in parts if part.event == "values"][-1]["answer_value"] == "mine"


async def test_a_page_that_sends_back_all_arguments_unchanged_edits_nothing(
    client: LangGraphClient, thread: str, tmp_path: Path
) -> None:
    """A form sends each argument, edited or not, and an edited list as JSON in a text."""
    cell = "FINAL([len(x) for x in llm_query_batched(['a' * 5_000, 'short'])])"
    model = Cells(tmp_path, cell)
    await client.runs.wait(thread, "rlm", input=model.question("calls"))
    [action] = actions(await waiting(client, thread))
    args = action["args"]
    assert sorted(len(call["prompt"]) for call in args["calls"]) == [5, 5_000]
    for call in args["calls"]:
        if call["prompt"] == "short":
            call["prompt"] = "longer"
    sent = answer(edit("sub_calls", **{**args, "calls": json.dumps(args["calls"])}))
    result: Any = await client.runs.wait(thread, "rlm", command=sent)
    assert result["answer_value"] == [5_000, len("longer")]
    assert model.asked.prompts == ["a" * 5_000, "longer"]


async def test_a_jump_to_the_end_does_not_end_a_run(client: LangGraphClient, thread: str, tmp_path: Path) -> None:
    """The button with which such a page marks a thread as resolved sends `goto`."""
    await client.runs.wait(thread, "rlm", input=Cells(tmp_path, "FINAL(1)").question("code"))
    shown = await waiting(client, thread)
    with pytest.raises(Exception, match="A run takes answers for commands"):
        await client.runs.wait(thread, "rlm", input={}, command={"goto": "__end__"})
    assert ids([await waiting(client, thread)]) == [shown["id"]]
