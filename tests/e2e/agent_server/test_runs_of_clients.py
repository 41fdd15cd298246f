"""Runs, forks, edits and streams by a client of the Agent Server: LangGraph's SDK, a real server, real kernels."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError

from tests.e2e.agent_server.conftest import REPLIES
from tests.e2e.agent_server.serving import Server, Waiting
from tests.scripts import Asked, repl
from tests.servers.openai_server import ScriptedServer


async def test_the_server_publishes_the_graphs_schemas_and_drawing(client: LangGraphClient) -> None:
    [assistant] = await client.assistants.search(graph_id="rlm")
    schemas = await client.assistants.get_schemas(assistant["assistant_id"])
    form = (schemas["input_schema"] or {})["properties"]
    assert form["question"]["title"] == "Question" and form["question"]["description"]
    assert {"context", "max_turns", "max_calls", "max_tokens", "max_cost", "max_time", "approve"} <= set(form)
    settings = (schemas.get("context_schema") or {})["properties"]
    assert settings["model"]["title"] == "Root model" and {"max_depth", "schema", "memory"} <= set(settings)
    assert {"answer_value", "status", "usage"} <= set((schemas["output_schema"] or {})["properties"])
    for xray in (False, True):
        drawing: Any = await client.assistants.get_graph(assistant["assistant_id"], xray=xray)
        assert {"prepare", "plan", "review", "execute_code", "sub_call", "finalize"} <= {
            node["id"] for node in drawing["nodes"]
        }
    assert await client.assistants.get_subgraphs(assistant["assistant_id"], recurse=True) == {}


async def test_a_run_of_a_client_is_saved_in_the_home_with_its_answer(
    client: LangGraphClient, server: Server, thread: str, question: Any
) -> None:
    result: Any = await client.runs.wait(thread, "rlm", input={**question, "context": "some text"})
    assert (result["status"], result["answer_value"]) == ("answered", "AB")
    assert (await client.threads.get(thread))["status"] == "idle"
    shown = json.loads(server.rlm_output("show", thread, "--json"))
    assert (shown["status"], shown["answer"], shown["question"]) == ("answered", "AB", "What?")
    assert thread in [run["thread_id"] for run in json.loads(server.rlm_output("list", "--json"))]
    assert len(json.loads(server.rlm_output("calls", thread, "--json"))) == 3
    assert "first" in server.rlm_output("vars", thread)
    steps = json.loads(server.rlm_output("steps", thread, "--json"))
    fork = json.loads(server.rlm_output("fork", thread, "--step", "6", "--json"))
    assert fork["thread_id"] != thread
    assert "first" in server.rlm_output("diff", thread, "3", str(steps[-1]["step"]))


async def test_turns_output_and_answer_are_streamed(client: LangGraphClient, thread: str, question: Any) -> None:
    modes: Any = ["updates", "messages", "custom", "values"]
    parts = [part async for part in client.runs.stream(thread, "rlm", input=question, stream_mode=modes)]
    said = [part.data[0]["content"] for part in parts if part.event == "messages/complete"]
    assert said == [*REPLIES, "AB"], "the root's turns, whole, and the answer"
    assert {part.data["event"] for part in parts if part.event == "custom"} >= {"turn", "code", "calls", "output"}
    nodes = {node for part in parts if part.event == "updates" for node in part.data}
    assert {"prepare", "plan", "execute_code", "sub_call", "finalize"} <= nodes
    assert [part.data for part in parts if part.event == "values"][-1]["answer_value"] == "AB"


async def test_a_run_takes_its_settings_from_its_assistant_and_keeps_them(
    client: LangGraphClient, thread: str, model: str
) -> None:
    context: Any = {"model": model, "max_turns": 7, "max_calls": 70}
    assistant = await client.assistants.create("rlm", context=context, name="careful")
    result: Any = await client.runs.wait(
        thread, assistant["assistant_id"], input={"question": "What?", "settings": {"max_calls": 60}}
    )
    assert result["answer_value"] == "AB"
    values: Any = (await client.threads.get_state(thread))["values"]
    settings = values["settings"]
    assert (settings["model"], settings["max_turns"], settings["max_calls"]) == (model, 7, 60)
    # Resumed under another assistant, it keeps its settings.
    await client.runs.wait(thread, "rlm", input=None)
    values = (await client.threads.get_state(thread))["values"]
    assert values["settings"] == settings


async def test_a_run_repeated_from_a_checkpoint_pays_for_no_call_again(
    client: LangGraphClient, thread: str, question: Any, asked: Asked
) -> None:
    await client.runs.wait(thread, "rlm", input=question)
    history = await client.threads.get_history(thread, limit=100)
    before = len(asked)
    for state in history[3], history[-3]:
        result: Any = await client.runs.wait(thread, "rlm", input=None, checkpoint=state["checkpoint"])
        assert (result["answer_value"], len(asked)) == ("AB", before)
    assert len(await client.threads.get_history(thread, limit=100)) > len(history)


async def test_an_edited_state_makes_a_branch_that_runs_on(
    client: LangGraphClient, server: Server, thread: str, question: Any, asked: Asked
) -> None:
    await client.runs.wait(thread, "rlm", input=question)
    history = await client.threads.get_history(thread, limit=100)
    last_turn = next(state for state in history if state["next"] == ["plan"])
    await client.threads.update_state(thread, {"question": "Why?"}, checkpoint=last_turn["checkpoint"])
    assert (await client.threads.get(thread))["status"] == "interrupted"
    assert json.loads(server.rlm_output("show", thread, "--json"))["status"] == "stopped"
    before = len(asked)
    result: Any = await client.runs.wait(thread, "rlm", input=None)
    assert result["answer_value"] == "AB"
    assert len(asked) == before + 1 and "Why?" in asked.roots[-1], "only the root's turn is requested again"


async def test_a_copied_thread_is_a_fork(client: LangGraphClient, server: Server, thread: str, question: Any) -> None:
    await client.runs.wait(thread, "rlm", input=question)
    copied: Any = await client.threads.copy(thread)
    values: Any = (await client.threads.get_state(copied["thread_id"]))["values"]
    assert values["answer_value"] == "AB"
    assert json.loads(server.rlm_output("show", copied["thread_id"], "--json"))["answer"] == "AB"


async def test_a_second_question_in_a_thread_is_refused_with_a_reason(
    client: LangGraphClient, thread: str, question: Any
) -> None:
    await client.runs.wait(thread, "rlm", input=question)
    again: Any = await client.runs.wait(thread, "rlm", input=question)
    assert again["answer_value"] == "AB"
    with pytest.raises(Exception, match=r"ThreadExists: .* one question: ask another one in a new thread"):
        await client.runs.wait(thread, "rlm", input={**question, "question": "Why?"})


async def test_a_cancelled_run_resumes(client: LangGraphClient, server: Server, thread: str, tmp_path: Path) -> None:
    waiting = Waiting(tmp_path, "waits")
    given: Any = {"question": "What?", "settings": {"model": waiting.name}}
    run = await client.runs.create(thread, "rlm", input=given)
    await waiting.until_asked()
    assert json.loads(server.rlm_output("list", "--json"))[0]["status"] == "busy"
    with pytest.raises(ConflictError):
        await client.threads.update_state(thread, {"question": "Why?"})
    await client.runs.cancel(thread, run["run_id"], wait=True)
    assert json.loads(server.rlm_output("show", thread, "--json"))["status"] == "stopped"
    assert (await client.threads.get(thread))["status"] == "interrupted"
    waiting.answer_from_now_on()
    result: Any = await client.runs.wait(thread, "rlm", input=None)
    assert result["answer_value"] == "AB"
    assert (waiting.asked.prompts, len(waiting.asked.roots)) == (["a", "b", "b"], 2), (
        "what was in flight is asked again"
    )


async def test_a_run_of_a_client_is_stopped_by_the_command_line(
    client: LangGraphClient, server: Server, thread: str, tmp_path: Path
) -> None:
    waiting = Waiting(tmp_path, "stopped")
    given: Any = {"question": "What?", "settings": {"model": waiting.name}}
    run = await client.runs.create(thread, "rlm", input=given)
    await waiting.until_asked()
    stopped = json.loads(await asyncio.to_thread(server.rlm_output, "stop", thread, "--wait", "--json"))
    assert stopped == {"thread_id": thread, "status": "stopped"}
    await client.runs.join(thread, run["run_id"])
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "error"
    waiting.answer_from_now_on()
    result: Any = await client.runs.wait(thread, "rlm", input=None)
    assert result["answer_value"] == "AB"
    assert (waiting.asked.prompts, len(waiting.asked.roots)) == (["a", "b", "b"], 2)


async def test_a_thread_without_a_run_takes_no_edit(client: LangGraphClient, thread: str) -> None:
    with pytest.raises(Exception, match="UnknownThread"):
        await client.runs.wait(thread, "rlm", input=None)
    with pytest.raises(NotFoundError):
        await client.threads.get("00000000-0000-4000-8000-000000000000")


async def test_a_run_reads_files_and_uses_a_model_server(client: LangGraphClient, thread: str, tmp_path: Path) -> None:
    for name in ("one.txt", "two.md"):
        (tmp_path / name).write_text(f"{name} says hello\n")
    code = repl("FINAL(llm_query_batched([doc[:3] for doc in context]))")
    with ScriptedServer(root=lambda messages: code, sub=str.upper) as models:
        settings = {"model": "openai:root", "sub_model": "openai:sub", "base_url": models.base_url}
        given: Any = {"question": "What?", "context": [str(tmp_path / "*.*")], "settings": settings}
        result: Any = await client.runs.wait(thread, "rlm", input=given)
    assert sorted(result["answer_value"]) == ["ONE", "TWO"]


async def test_a_run_without_a_thread_leaves_nothing_in_the_home(
    client: LangGraphClient, server: Server, question: Any
) -> None:
    result: Any = await client.runs.wait(None, "rlm", input={**question, "question": "Stateless?"})
    assert result["answer_value"] == "AB"
    assert "Stateless?" not in server.rlm_output("list", "--json")


async def test_several_runs_execute_at_once(client: LangGraphClient, question: Any) -> None:
    threads = [(await client.threads.create())["thread_id"] for _ in range(3)]
    results: list[Any] = await asyncio.gather(*[client.runs.wait(one, "rlm", input=question) for one in threads])
    assert [result["answer_value"] for result in results] == ["AB"] * 3
