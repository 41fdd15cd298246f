"""Answers that were cut at the output limit reach the code, and the model is told that they are not whole."""

import pytest

from durable_rlm import Runner
from tests.scripts import repl
from tests.servers.openai_server import Body, Fault, ScriptedServer

CODE = "said = llm_query_batched([f'{n}' for n in range(10)])\nprint(said)"


def is_long(body: Body) -> bool:
    return body["messages"][-1]["content"] in ("3", "7")


async def test_cut_answers_are_delivered_and_told_in_one_note_that_a_replay_tells_too(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def root(messages: list[dict[str, str]]) -> str:
        return repl("FINAL(said)" if "[Turn 1]" in messages[-1]["content"] else CODE)

    with ScriptedServer(root=root, sub=lambda prompt: f"a{prompt}", faults=[Fault("length", when=is_long)]) as server:
        run = await runner.run("q", model="openai:root", sub_model="openai:sub", base_url=server.base_url, thread="a")
        asked = len(server.requests)
        await runner.fork("a", 3, into="b")
        again = await runner.resume("b")
    assert run.answer == again.answer == [f"a{n}" for n in range(10)]
    assert len(server.requests) == asked, "the second root turn was told the same, so nothing was asked anew"
    for thread in ("a", "b"):
        shown = await runner.queries.show(thread, runner.graph)
        [note] = shown["turns"][0]["notes"]
        assert note.startswith("2 of 10 answers to sub-calls of this cell were cut")


async def test_a_cut_root_reply_is_read_as_cut_in_a_fork_too(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    half = "```repl\nx = 1\nFINAL(x"

    def root(messages: list[dict[str, str]]) -> str:
        return repl("FINAL(2)") if "[Turn 1]" in messages[-1]["content"] else half

    with ScriptedServer(root=root, faults=[Fault("length", requests=[1])]) as server:
        await runner.run("q", model="openai:root", base_url=server.base_url, thread="a")
        await runner.fork("a", 3, into="b")
        await runner.resume("b")
    turns = [(await runner.queries.show(thread, runner.graph))["turns"] for thread in ("a", "b")]
    assert turns[0][0]["nudge"] and turns[0][0]["nudge"] == turns[1][0]["nudge"]
