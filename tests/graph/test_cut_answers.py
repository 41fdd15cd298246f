"""Answers that were cut at the output limit: the code gets them, and a note to the model reports them as cut."""

import pytest

from durable_rlm import Runner
from tests.scripts import repl
from tests.servers.openai_server import Body, Fault, ScriptedServer

CODE = "said = llm_query_batched([f'{n}' for n in range(10)])\nprint(said)"


def is_long(body: Body) -> bool:
    return body["messages"][-1]["content"] in ("3", "7")


async def test_cut_answers_are_delivered_and_reported_in_one_note_also_in_a_replay(
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
    assert len(server.requests) == asked, "the second root turn got the same notes, so no request was sent again"
    for thread in ("a", "b"):
        shown = await runner.queries.show(thread, runner.graph)
        [note] = shown["turns"][0]["notes"]
        assert note.startswith("2 of 10 answers to sub-calls of this cell were cut")


async def test_a_cut_root_reply_counts_as_cut_in_a_fork_too(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
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
