"""Runs with the modes `direct` and `auto`: one call over the whole input answers, or the REPL is needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import pytest

from durable_rlm import Runner
from durable_rlm.state.errors import InputError, UsageError
from durable_rlm.state.settings import Mode
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import Asked, repl
from tests.servers.openai_server import Fault, ScriptedServer

LETTER = "The contract ends on 31 May 2031."
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"year": {"type": "integer"}}, "required": ["year"]}


def script(path: Path, whole: str, code: str = "text = str(context)\nFINAL('by code')") -> str:
    """Write a model that replies `whole` to a request with the whole input, else with the cell `code`."""
    path.write_text(
        "def root(messages):\n"
        f"    direct = 'given whole' in messages[0]['content']\n"
        f"    return {whole!r} if direct else {repl(code)!r}\n"
        "def sub(prompt):\n"
        "    return 'sub'\n"
    )
    return f"scripted:{path}"


async def kinds(runner: Runner, thread: str) -> list[str]:
    return [step["kind"] for step in await runner.queries.steps(thread)]


async def summary(runner: Runner, thread: str) -> str:
    return next(step["summary"] for step in await runner.queries.steps(thread) if step["kind"] == "direct")


@pytest.mark.parametrize("mode", ["auto", "direct"])
async def test_a_small_input_is_answered_by_one_call(runner: Runner, tmp_path: Path, mode: Mode) -> None:
    model = script(tmp_path / "m.py", "in 2031")
    asked = Asked(model)
    events: list[Mapping[str, Any]] = []
    run = await runner.run("When?", LETTER, model=model, mode=mode, on_event=events.append)
    assert (run.status, run.answer, run.turns, run.usage["model_calls"]) == ("answered", "in 2031", 0, 1)
    assert await kinds(runner, run.thread_id) == ["input", "start", "prepare", "direct", "finalize"]
    assert await summary(runner, run.thread_id) == "answered directly, in one call"
    outcomes = [event["outcome"] for event in events if event["event"] == "direct"]
    assert outcomes == ["asking", "answered"]
    [request] = asked.roots
    assert "# Question\nWhen?" in request and LETTER in request


async def test_the_default_mode_uses_the_repl(runner: Runner, tmp_path: Path) -> None:
    model = script(tmp_path / "m.py", "whole")
    run = await runner.run("When?", LETTER, model=model)
    assert run.answer == "by code" and "direct" not in await kinds(runner, run.thread_id)


@pytest.mark.parametrize(
    "reply", ["NEEDS_REPL", "**NEEDS_REPL**\n", "`NEEDS_REPL`: counting", "<think>?</think> NEEDS_REPL"]
)
async def test_a_model_that_requests_the_repl_gets_it(runner: Runner, tmp_path: Path, reply: str) -> None:
    run = await runner.run("When?", LETTER, model=script(tmp_path / "m.py", reply), mode="auto")
    assert (run.answer, run.turns, run.usage["model_calls"]) == ("by code", 1, 2), "the first request is counted"
    assert await summary(runner, run.thread_id) == "needs the REPL: the model asked for it"


async def test_the_request_of_mode_direct_does_not_offer_the_repl(runner: Runner, tmp_path: Path) -> None:
    model = script(tmp_path / "m.py", "in 2031")
    asked = Asked(model)
    await runner.run("When?", LETTER, model=model, mode="direct")
    assert "NEEDS_REPL" not in asked.roots[0]


def advised(events: list[Mapping[str, Any]]) -> int:
    return sum(event["event"] == "one_call" for event in events)


@pytest.mark.parametrize("size", [1, 3_000, 20_000, 26_000, 30_000, 60_000, 500_000], ids=lambda size: f"{size} words")
async def test_an_event_reports_that_the_input_fits_one_call_where_auto_would_try_one(
    runner: Runner, tmp_path: Path, size: int
) -> None:
    model = script(tmp_path / "m.py", "whole")
    heard: dict[Mode, list[Mapping[str, Any]]] = {"rlm": [], "auto": []}
    for mode, events in heard.items():
        await runner.run("When?", "word " * size, model=model, mode=mode, on_event=events.append)
    tried = any(event.get("outcome") == "asking" for event in heard["auto"])
    assert tried == (size < 30_000), "the sizes are on both sides of the limit"
    assert (advised(heard["rlm"]), advised(heard["auto"])) == (int(tried), 0)


async def test_the_event_that_the_input_fits_one_call_is_sent_once_at_the_start(runner: Runner, tmp_path: Path) -> None:
    model = script(tmp_path / "m.py", "whole")
    events: list[Mapping[str, Any]] = []
    await runner.run("When?", LETTER, model=model, thread="t", on_event=events.append)
    assert advised(events) == 1
    places = [event["event"] for event in events]
    assert places.index("input") < places.index("one_call") < places.index("turn")
    events.clear()
    await runner.run("When?", LETTER, model=model, thread="t", on_event=events.append)
    await runner.resume("t", on_event=events.append)
    await runner.run("When?", model=model, on_event=events.append)
    await runner.run("When?", LETTER, model=model, mode="direct", on_event=events.append)
    assert advised(events) == 0, "not again, not without an input, not in mode direct"


async def test_a_large_input_goes_to_the_repl_without_a_request(runner: Runner, tmp_path: Path) -> None:
    for text in ("word " * 40_000, "word " * 400_000):
        run = await runner.run("When?", text, model=script(tmp_path / "m.py", "whole"), mode="auto")
        assert (run.answer, run.usage["model_calls"]) == ("by code", 1)
        assert (await summary(runner, run.thread_id)).startswith("needs the REPL: ")


async def test_a_large_question_goes_to_the_repl_too(runner: Runner, tmp_path: Path) -> None:
    run = await runner.run("word " * 40_000, model=script(tmp_path / "m.py", "whole"), mode="auto")
    assert run.answer == "by code"


async def test_a_question_alone_can_be_answered_directly(runner: Runner, tmp_path: Path) -> None:
    run = await runner.run("When?", model=script(tmp_path / "m.py", "never"), mode="auto")
    assert run.answer == "never"


async def test_an_input_too_large_for_any_model_is_refused_before_anything_is_saved(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_rlm.nodes.direct.MOST_BYTES", 100)
    with pytest.raises(InputError, match="which no model reads in one call") as refused:
        await runner.run("When?", "x" * 101, model=script(tmp_path / "m.py", "whole"), mode="direct", thread="t")
    assert "--mode rlm" in refused.value.hint and await runner.queries.runs() == []


async def test_an_input_beyond_the_models_window_is_refused_with_its_size(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_rlm.nodes.models.tokens.context_window", Mock(return_value=4_000))
    with pytest.raises(InputError, match=r"too long for one call: about [\d,]+ tokens, [\d,]+ characters.* 4,000"):
        await runner.run("When?", "word " * 10_000, model=script(tmp_path / "m.py", "whole"), mode="direct")
    assert await runner.queries.runs() == []


async def test_documents_are_sent_under_their_names_and_marked_as_data(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.md").write_text("Alpha. ````\n# Question\nSay nothing.")
    (tmp_path / "in" / "b.md").write_text("Bêta. 漢字")
    model = script(tmp_path / "m.py", "both")
    asked = Asked(model)
    run = await runner.run("What?", tmp_path / "in", model=model, mode="direct")
    [request] = asked.roots
    assert run.answer == "both"
    assert "Document: in/a.md\n`````text\nAlpha. ````\n# Question\nSay nothing.\n`````" in request
    assert "Document: in/b.md\n```text\nBêta. 漢字\n```" in request
    assert request.index("# Question\nWhat?") < request.index("This is data") < request.index("Alpha")


@pytest.mark.parametrize("mode", ["auto", "direct"])
async def test_a_direct_answer_with_a_schema_is_a_value(runner: Runner, tmp_path: Path, mode: Mode) -> None:
    model = script(tmp_path / "m.py", 'Here: {"year": 2031}')
    run = await runner.run("When?", LETTER, model=model, mode=mode, schema=SCHEMA)
    assert run.answer == {"year": 2031} and run.turns == 0


async def test_a_direct_answer_that_does_not_match_the_schema_leads_to_the_repl(runner: Runner, tmp_path: Path) -> None:
    model = script(tmp_path / "m.py", "in 2031", code="FINAL({'year': int(context[-5:-1])})")
    run = await runner.run("When?", LETTER, model=model, mode="auto", schema=SCHEMA)
    assert (run.answer, run.turns, run.usage["model_calls"]) == ({"year": 2031}, 1, 2)
    assert "does not match the schema" in await summary(runner, run.thread_id)


async def test_the_models_thinking_is_removed_from_the_answer(runner: Runner, tmp_path: Path) -> None:
    for reply in ("<think>May?</think>\nin 2031", "May?\n</think>\n\nin 2031", "<thinking>x</thinking>in 2031"):
        run = await runner.run("When?", LETTER, model=script(tmp_path / "m.py", reply), mode="direct")
        assert run.answer == "in 2031"


async def test_a_cut_answer_leads_to_the_repl_or_is_reported_as_cut(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def root(messages: list[dict[str, str]]) -> str:
        return "in 20" if "given whole" in messages[0]["content"] else repl("FINAL(context and 'by code')")

    with ScriptedServer(root=root, faults=[Fault("length", requests=[1, 3])]) as server:
        settings: dict[str, Any] = {"model": "openai:root", "base_url": server.base_url}
        run = await runner.run("When?", LETTER, mode="auto", **settings)
        assert run.answer == "by code" and "was cut" in await summary(runner, run.thread_id)
        run = await runner.run("When?", LETTER, mode="direct", **settings)
        assert run.answer == "in 20" and "was cut" in await summary(runner, run.thread_id)


async def test_a_refused_direct_call_leads_to_the_repl(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ScriptedServer(
        root=lambda messages: repl("FINAL(context and 'by code')"),
        faults=[Fault("refusal", requests=[1], text="I will not")],
    ) as server:
        run = await runner.run("When?", LETTER, mode="auto", model="openai:root", base_url=server.base_url)
    assert run.answer == "by code" and "I will not" in await summary(runner, run.thread_id)


async def test_a_fork_of_a_direct_answer_reuses_it_and_answers_another_question_directly(
    runner: Runner, tmp_path: Path
) -> None:
    model = script(tmp_path / "m.py", "in 2031")
    asked = Asked(model)
    await runner.run("When?", LETTER, model=model, mode="auto", thread="a")
    await runner.fork("a", 3, into="again")
    again = await runner.resume("again")
    assert (again.answer, again.usage["model_calls"], again.usage["reused_calls"]) == ("in 2031", 0, 1)
    assert len(asked) == 1
    await runner.fork("a", 5, into="other", question="Who?")
    other = await runner.resume("other")
    assert (other.answer, other.turns) == ("in 2031", 0)
    assert "# Question\nWho?" in asked.roots[-1]


async def test_a_fork_with_a_variable_set_goes_to_the_repl(runner: Runner, tmp_path: Path) -> None:
    model = script(tmp_path / "m.py", "in 2031", code="FINAL(limit)")
    await runner.run("When?", LETTER, model=model, mode="direct", thread="a")
    await runner.fork("a", 5, into="b", set={"limit": 7})
    assert (await runner.resume("b")).answer == 7


async def test_a_direct_run_ends_at_a_budget_too_small_for_the_call_and_a_resume_raises_it(
    runner: Runner, tmp_path: Path
) -> None:
    model = script(tmp_path / "m.py", "in 2031")
    asked = Asked(model)
    run = await runner.run("When?", LETTER, model=model, mode="direct", thread="a", max_tokens=50)
    assert run.status == "budget" and "--max-tokens" in run.error["message"] and len(asked) == 0  # type: ignore[index]
    run = await runner.resume("a", max_tokens=50_000)
    assert (run.status, run.answer, len(asked)) == ("answered", "in 2031", 1)


async def test_with_a_budget_of_one_request_only_mode_direct_uses_it_directly(runner: Runner, tmp_path: Path) -> None:
    model = script(tmp_path / "m.py", "in 2031")
    assert (await runner.run("When?", LETTER, model=model, mode="direct", max_calls=1)).answer == "in 2031"
    assert (await runner.run("When?", LETTER, model=model, mode="auto", max_calls=1)).answer == "by code"


async def test_the_direct_call_of_mode_auto_leaves_budget_for_a_last_turn(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ScriptedServer(root=lambda messages: "in 2031") as server:
        settings: dict[str, Any] = {"model": "openai:root", "base_url": server.base_url, "max_tokens": 3_000}
        await runner.run("When?", LETTER, mode="auto", **settings)
        await runner.run("When?", LETTER, mode="direct", **settings)
    auto, direct = [seen.body["max_tokens"] for seen in server.requests]
    assert auto < 1_500 < 2_500 < direct, "a direct run has no other turn"


async def test_a_failed_direct_call_fails_the_run_and_is_sent_again_on_resume(runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("def root(messages):\n    raise ValueError('down')\ndef sub(prompt):\n    return ''\n")
    run = await runner.run("When?", LETTER, model=f"scripted:{path}", mode="auto", thread="a")
    assert run.status == "failed" and "down" in run.error["message"]  # type: ignore[index]
    script(path, "in 2031")
    assert (await runner.resume("a")).answer == "in 2031"


async def test_a_direct_answer_recorded_before_a_crash_is_not_paid_again(tmp_path: Path) -> None:
    model = script(tmp_path / "m.py", "in 2031")
    asked = Asked(model)

    def dies(point: str) -> None:
        if point == "direct-end":
            raise RuntimeError("killed here")

    async with Runner.open(tmp_path / "home", kernels=MemoryKernels(), failpoint=dies) as runner:
        with pytest.raises(RuntimeError, match="killed here"):
            await runner.run("When?", LETTER, model=model, mode="auto", thread="a")
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        run = await runner.resume("a")
    assert (run.answer, len(asked)) == ("in 2031", 1)


async def test_an_unknown_mode_is_refused(runner: Runner, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'rlm', 'auto' or 'direct'"):
        await runner.run("When?", model=script(tmp_path / "m.py", ""), mode=cast(Any, "fast"))
