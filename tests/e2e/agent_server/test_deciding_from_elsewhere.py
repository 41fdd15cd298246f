"""Decisions by the command line on runs of the server, and by clients on its runs; interrupts outlive their server."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

from durable_rlm.graph.langgraph_ids import server_name
from tests.e2e.agent_server.reviewing import APPROVE, Cells, actions, answer, answer_to, approve_all, waiting
from tests.e2e.agent_server.serving import Server, Waiting, served
from tests.e2e.agent_server.test_threads_both_ways import known

CELLS = ("x = llm_query('a')", "FINAL(x + llm_query('b'))")
NOTHING_WAITS, PAUSED, BUSY = 2, 3, 5


def ended(process: "subprocess.Popen[str]") -> tuple[int, Any, str]:
    """Wait for the process to end. Returns its exit status, the JSON document on stdout, and its stderr."""
    said, stderr = process.communicate(timeout=60)
    return process.returncode, json.loads(said) if said else None, stderr


async def test_a_client_decides_a_run_of_the_command_line(
    client: LangGraphClient, server: Server, tmp_path: Path
) -> None:
    model = Cells(tmp_path, *CELLS)
    started = server.rlm("run", "What?", "--model", model.name, "--approve", "code", "--json")
    status, run, _ = await asyncio.to_thread(ended, started)
    assert (status, run["status"]) == (PAUSED, "paused")
    thread = str(server_name(run["thread_id"]))
    await known(client, thread, "interrupted")
    assert thread in [one["thread_id"] for one in await client.threads.search(status="interrupted", limit=1000)]
    shown = await waiting(client, thread)
    assert [(one["id"], one["value"]) for one in run["interrupts"]] == [(shown["id"], shown["value"])]
    assert (await approve_all(client, thread))["answer_value"] == "AB"
    assert json.loads(server.rlm_output("show", thread, "--json"))["answer"] == "AB"
    assert (model.asked.prompts, len(model.asked.roots)) == (["a", "b"], 2)


async def test_the_command_line_decides_a_run_of_a_client(
    client: LangGraphClient, server: Server, thread: str, tmp_path: Path
) -> None:
    model = Cells(tmp_path, *CELLS)
    await client.runs.wait(thread, "rlm", input=model.question("code"))
    stale = await waiting(client, thread)
    review = ("review", thread, "--approve", "--json")
    status, run, _ = await asyncio.to_thread(ended, server.rlm(*review))
    assert (status, run["interrupts"][0]["value"]["turn"]) == (PAUSED, 2)
    shown = await waiting(client, thread)
    assert [one["id"] for one in run["interrupts"]] == [shown["id"]]
    with pytest.raises(Exception, match="does not wait"):
        await client.runs.wait(thread, "rlm", command=answer_to(stale, APPROVE))
    status, run, _ = await asyncio.to_thread(ended, server.rlm(*review))
    assert (status, run["answer"]) == (0, "AB")
    state: Any = await client.threads.get_state(thread)
    assert (state["values"]["answer_value"], state["interrupts"]) == ("AB", [])
    assert not (await known(client, thread, "idle"))["interrupts"]
    assert (model.asked.prompts, len(model.asked.roots)) == (["a", "b"], 2)


async def test_the_command_line_cannot_decide_a_run_that_the_server_executes(
    client: LangGraphClient, server: Server, thread: str, tmp_path: Path
) -> None:
    model = Waiting(tmp_path, "waits")
    given: Any = {"question": "What?", "approve": ["code"], "settings": {"model": model.name}}
    await client.runs.wait(thread, "rlm", input=given)
    await client.runs.wait(thread, "rlm", command=answer(APPROVE))
    run = await client.runs.create(thread, "rlm", command=answer(APPROVE))
    await model.until_asked()
    status, _, stderr = await asyncio.to_thread(ended, server.rlm("review", thread, "--approve"))
    assert status == NOTHING_WAITS and "is being run by another process now" in stderr, stderr
    status, _, stderr = await asyncio.to_thread(ended, server.rlm("resume", thread))
    assert status == BUSY and f"{thread} is being run by process" in stderr, stderr
    await client.runs.cancel(thread, run["run_id"], wait=True)
    model.answer_from_now_on()
    status, done, _ = await asyncio.to_thread(ended, server.rlm("resume", thread, "--json"))
    assert (status, done["answer"]) == (0, "AB")
    assert model.asked.prompts == ["a", "b", "b"]


async def test_an_interrupt_outlives_a_killed_server_and_is_decided_by_its_id(tmp_path: Path) -> None:
    model = Cells(tmp_path, *CELLS)
    with served(tmp_path, RLM_MODEL=model.name) as server:
        async with server.client() as client:
            thread = (await client.threads.create())["thread_id"]
            await client.runs.wait(thread, "rlm", input={"question": "What?", "approve": ["code"]})
            await client.runs.wait(thread, "rlm", command=answer(APPROVE))
            before = await waiting(client, thread)
        server.end(9)
        listed = json.loads(server.rlm_output("list", "--json"))
        assert [(one["thread_id"], one["status"]) for one in listed] == [(thread, "paused")]
        server.start()
        async with server.client() as client:
            after = await waiting(client, thread)
            assert after == before and actions(after)[0]["args"] == {"code": CELLS[1]}
            result: Any = await client.runs.wait(thread, "rlm", command=answer_to(before, APPROVE))
            assert (result["status"], result["answer_value"]) == ("answered", "AB")
        assert (model.asked.prompts, len(model.asked.roots)) == (["a", "b"], 2)
