"""Runs that a client takes back or deletes, as LangGraph's server offers it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

from tests.e2e.agent_server.serving import Server, Waiting

WAITS_AT_MOST = 30


def given(model: str, question: str = "What?") -> Any:
    return {"question": question, "settings": {"model": model}}


@pytest.fixture
def waiting(tmp_path: Path) -> Waiting:
    return Waiting(tmp_path, "waits")


async def test_a_run_that_another_replaces_leaves_nothing(
    client: LangGraphClient, server: Server, thread: str, waiting: Waiting, model: str
) -> None:
    first = await client.runs.create(thread, "rlm", input=given(waiting.name))
    await waiting.until_asked()
    asked: Any = given(model, "Another question?")
    result: Any = await asyncio.wait_for(
        client.runs.wait(thread, "rlm", input=asked, multitask_strategy="rollback"), WAITS_AT_MOST
    )
    assert result["answer_value"] == "AB", result
    assert json.loads(server.rlm_output("show", thread, "--json"))["question"] == "Another question?"
    assert [run["run_id"] for run in await client.runs.list(thread)] != [first["run_id"]]
    calls = json.loads(server.rlm_output("calls", thread, "--json"))
    assert len(calls) == 3, "those of the run that was taken back are gone with it"


async def test_a_run_that_is_taken_back_leaves_the_thread_as_it_was(
    client: LangGraphClient, server: Server, thread: str, waiting: Waiting
) -> None:
    stopped = await client.runs.create(thread, "rlm", input=given(waiting.name))
    await waiting.until_asked()
    await client.runs.cancel(thread, stopped["run_id"], wait=True)
    steps = server.rlm_output("steps", thread, "--json")
    resumed = await client.runs.create(thread, "rlm", input=None)
    await waiting.until_asked()
    await client.runs.cancel(thread, resumed["run_id"], wait=True, action="rollback")
    assert server.rlm_output("steps", thread, "--json") == steps
    assert json.loads(server.rlm_output("show", thread, "--json"))["status"] == "stopped"
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, resumed["run_id"])
    waiting.answer_from_now_on()
    result: Any = await client.runs.wait(thread, "rlm", input=None)
    assert result["answer_value"] == "AB"
    assert waiting.asked.prompts == ["a", "b", "b", "b"], "what was answered is not paid for again"


async def test_a_copy_keeps_its_steps_when_the_original_is_taken_back(
    client: LangGraphClient, server: Server, thread: str, waiting: Waiting
) -> None:
    run = await client.runs.create(thread, "rlm", input=given(waiting.name))
    await waiting.until_asked()
    await client.runs.cancel(thread, run["run_id"], wait=True)
    copied: Any = await client.threads.copy(thread)
    await client.runs.delete(thread, run["run_id"])
    listed = {one["thread_id"] for one in json.loads(server.rlm_output("list", "--json"))}
    assert copied["thread_id"] in listed and thread not in listed
    waiting.answer_from_now_on()
    result: Any = await client.runs.wait(copied["thread_id"], "rlm", input=None)
    assert result["answer_value"] == "AB"


@pytest.mark.parametrize("joined", ["join", "join_stream"])
async def test_joining_a_run_ends_when_its_thread_is_deleted(
    client: LangGraphClient, server: Server, thread: str, waiting: Waiting, joined: str
) -> None:
    run = await client.runs.create(thread, "rlm", input=given(waiting.name))
    await waiting.until_asked()

    async def join() -> None:
        if joined == "join":
            await client.runs.join(thread, run["run_id"])
        else:
            async for _ in client.runs.join_stream(thread, run["run_id"]):
                pass

    joining = asyncio.create_task(join())
    await asyncio.sleep(0)
    await client.threads.delete(thread)
    await asyncio.wait([joining], timeout=WAITS_AT_MOST)
    assert joining.done(), "it still waits"
    assert thread not in [one["thread_id"] for one in json.loads(server.rlm_output("list", "--json"))]
