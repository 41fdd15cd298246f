"""Runs of the command line as threads of the server, with their status; one process at a time executes a run."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError

from durable_rlm.graph.langgraph_ids import server_name
from tests.e2e.agent_server.serving import Server, Waiting, served
from tests.scripts import repl, write_script


async def until(look: Callable[[], Awaitable[Any]], wanted: Callable[[Any], bool]) -> Any:
    """Poll `look` until its result is as wanted, and return it: the server looks at the index every second."""
    end = time.monotonic() + 20
    while True:
        found = await look()
        if wanted(found):
            return found
        assert time.monotonic() < end, found
        await asyncio.sleep(0.05)


async def known(client: LangGraphClient, thread: str, status: str) -> Any:
    """Return the server's thread once it has this status."""

    async def look() -> Any:
        try:
            return await client.threads.get(thread)
        except NotFoundError:
            return None

    return await until(look, lambda found: found is not None and found["status"] == status)


@pytest.mark.parametrize("named", [[], ["--thread", "contracts"]], ids=["generated name", "given name"])
async def test_a_client_can_resume_a_run_of_the_command_line(
    client: LangGraphClient, server: Server, model: str, named: list[str]
) -> None:
    asked = ("run", "From a shell?", "--model", model, "--json", *named)
    run = json.loads(await asyncio.to_thread(server.rlm_output, *asked))
    assert run["thread_id"] == "contracts" if named else run["thread_id"].startswith("shell-")
    thread = str(server_name(run["thread_id"]))
    found = await known(client, thread, "idle")
    facts = {"question": "From a shell?", "run_status": "answered", "top": True, "name": run["thread_id"]}
    assert found["metadata"] | facts == found["metadata"]
    assert thread in [one["thread_id"] for one in await client.threads.search(metadata={"graph_id": "rlm"})]
    state: Any = await client.threads.get_state(thread)
    assert (state["values"]["answer_value"], state["next"]) == ("AB", [])
    history = await client.threads.get_history(thread, limit=100)
    assert len(history) == run["steps"]
    assert {one["checkpoint"]["thread_id"] for one in history} == {thread}
    result: Any = await client.runs.wait(thread, "rlm", input=None, checkpoint=history[4]["checkpoint"])
    assert result["answer_value"] == "AB"
    assert len(json.loads(server.rlm_output("steps", run["thread_id"], "--json"))) > run["steps"]
    await client.threads.delete(thread)
    assert run["thread_id"] not in [one["thread_id"] for one in json.loads(server.rlm_output("list", "--json"))]


async def test_the_server_does_not_execute_a_run_of_another_process(
    client: LangGraphClient, server: Server, tmp_path: Path
) -> None:
    waiting = Waiting(tmp_path, "waits")
    process = server.rlm("run", "What?", "--model", waiting.name, "--json")
    try:
        await waiting.until_asked()
        [run] = [one for one in json.loads(server.rlm_output("list", "--json")) if one["model"] == waiting.name]
        thread = str(server_name(run["thread_id"]))
        assert (await known(client, thread, "busy"))["metadata"]["run_status"] == "busy"
        with pytest.raises(Exception, match=r"RunBusy: .*is being run by process"):
            await client.runs.wait(thread, "rlm", input=None)
        with pytest.raises(ConflictError, match="is being run by process"):
            await client.threads.update_state(thread, {"question": "Why?"})
        await known(client, thread, "busy")
        assert json.loads(server.rlm_output("show", thread, "--json"))["status"] == "busy", "nor does it disturb it"
    finally:
        process.kill()
        process.communicate()
    await known(client, thread, "interrupted")
    waiting.answer_from_now_on()
    result: Any = await client.runs.wait(thread, "rlm", input=None)
    assert result["answer_value"] == "AB"
    assert waiting.asked.prompts == ["a", "b", "b"] and len(waiting.asked.roots) == 2


async def test_sub_rlms_are_threads_that_name_their_parent(
    client: LangGraphClient, thread: str, tmp_path: Path
) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(rlm_query('Is it?', context='a text'))")])
    with (tmp_path / "m.py").open("a") as script:
        script.write("of_top = root\n")
        script.write("def root(messages):\n    asked = messages[1]['content'].count('Is it?')\n")
        script.write(f"    return {repl('FINAL(context)')!r} if asked else of_top(messages)\n")
    given: Any = {"question": "What?", "settings": {"model": model, "max_depth": 2}}
    result: Any = await client.runs.wait(thread, "rlm", input=given)
    assert result["answer_value"] == "a text"
    [child] = await until(
        lambda: client.threads.search(metadata={"parent_thread_id": thread}), lambda found: len(found) == 1
    )
    assert (child["metadata"]["top"], child["metadata"]["question"]) == (False, "Is it?")
    values: Any = (await client.threads.get_state(child["thread_id"]))["values"]
    assert values["answer_value"] == "a text"


async def test_a_deleted_run_is_not_a_thread(client: LangGraphClient, server: Server, model: str) -> None:
    run = json.loads(await asyncio.to_thread(server.rlm_output, "run", "Q?", "--model", model, "--json"))
    thread = str(server_name(run["thread_id"]))
    await known(client, thread, "idle")
    await asyncio.to_thread(server.rlm_output, "delete", run["thread_id"], "--yes")

    async def there() -> bool:
        return thread in [one["thread_id"] for one in await client.threads.search(limit=1000)]

    await until(there, lambda found: not found)


async def test_a_killed_server_resumes_its_runs_and_pays_for_no_call_twice(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path, "waits")
    with served(tmp_path, RLM_MODEL=waiting.name) as server:
        async with server.client() as client:
            thread = (await client.threads.create())["thread_id"]
            await client.runs.create(thread, "rlm", input={"question": "What?", "context": "abc"})
            await waiting.until_asked()
        server.end(9)
        assert json.loads(server.rlm_output("show", thread, "--json"))["status"] == "stopped"
        waiting.answer_from_now_on()
        server.start()
        async with server.client() as client:
            found: Any = await client.threads.get(thread)
            assert found["metadata"]["question"] == "What?", "the index tells a server that has forgotten it"
            result: Any = await client.runs.wait(thread, "rlm", input=None)
            assert (result["status"], result["answer_value"]) == ("answered", "AB")
        assert waiting.asked.prompts == ["a", "b", "b"] and len(waiting.asked.roots) == 2
        calls = json.loads(server.rlm_output("calls", thread, "--json"))
        assert [call["prompt"] for call in calls] == ["a", "b"]
        assert "Blocking call" not in server.log
