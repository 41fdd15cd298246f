"""A run continues with another model, server or price from any step, and pays for no recorded call again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.state.errors import ModelSetupError, UsageError
from tests.contract.in_memory_kernel import MemoryKernels
from tests.crash_at import Crash, CrashAt
from tests.scripts import repl, write_script
from tests.servers.openai_server import ScriptedServer

FORTY = repl("FINAL(llm_query_batched([f'piece {n}' for n in range(40)]))")
ANSWERS = [f"PIECE {n}" for n in range(40)]

OpenHome = Callable[..., Any]


@pytest.fixture
def open_home(tmp_path: Path) -> OpenHome:
    def opened(**options: Any) -> Any:
        return Runner.open(tmp_path / "home", kernels=MemoryKernels(), **options)

    return opened


def server_of(root: str | None = None) -> ScriptedServer:
    """Return a server that answers as a root model with `root`, and sub-calls in capitals."""
    return ScriptedServer(lambda _: root or "no code", str.upper)


async def killed(open_home: OpenHome, server: ScriptedServer, **settings: Any) -> int:
    """Kill a run in the middle of its forty calls. Return how many have no recorded answer, about 15."""
    with pytest.raises(Crash):
        async with open_home(failpoint=CrashAt("journal-after", 26)) as runner:
            names = {"model": "openai:root", "sub_model": "openai:sub", "base_url": server.base_url}
            await runner.run("Q?", thread="t", concurrency=1, **{**names, **settings})
    async with open_home() as runner:
        return 40 - sum(call.answer is not None for call in await runner.queries.calls("t"))


async def test_a_cell_of_forty_calls_killed_after_25_pays_for_15_with_another_model_and_server(
    open_home: OpenHome,
) -> None:
    with server_of(FORTY) as first, server_of() as second:
        left = await killed(open_home, first)
        async with open_home() as runner:
            run = await runner.resume("t", model="openai:root2", sub_model="openai:sub2", base_url=second.base_url)
    assert (run.status, run.answer) == ("answered", ANSWERS)
    assert left in (14, 15) and len(second.requests) == left
    assert {seen.body["model"] for seen in second.requests} == {"sub2"}
    assert run.usage["reused_calls"] >= 25


async def test_a_change_of_models_is_a_step_and_stays_in_force(open_home: OpenHome) -> None:
    with server_of(FORTY) as first, server_of() as second:
        left = await killed(open_home, first)
        async with open_home(failpoint=CrashAt("journal-after", 3)) as runner:
            with pytest.raises(Crash):
                await runner.resume("t", sub_model="openai:sub2", sub_base_url=second.base_url)
        async with open_home() as runner:
            edits = [step for step in await runner.queries.steps("t") if step["kind"] == "edit"]
            assert [edit["summary"] for edit in edits] == [f"sub-model: openai:sub2 at {second.base_url}"]
            about = await runner.queries.about("t")
            assert about["settings"]["sub_model"] == "openai:sub2" and about["model"] == "openai:root"
            run = await runner.resume("t")
    assert run.answer == ANSWERS and len(second.requests) == left


async def test_a_root_that_died_with_its_server_continues_with_another_one(open_home: OpenHome) -> None:
    with server_of(repl("found = llm_query('one')")) as first, server_of(repl("FINAL(found)")) as second:
        async with open_home(failpoint=CrashAt("plan-end", 2)) as runner:
            with pytest.raises(Crash):
                names = {"model": "openai:root", "sub_model": "openai:sub", "base_url": first.base_url}
                await runner.run("Q?", thread="t", **names)
        asked = len(first.requests)
        async with open_home() as runner:
            run = await runner.resume("t", base_url=second.base_url)
    # The second turn was answered and recorded before the crash; the third is the new server's.
    assert (run.status, run.answer, run.turns) == ("answered", "ONE", 3)
    assert len(first.requests) == asked and len(second.requests) == 2


async def test_nothing_is_taken_from_the_environment(open_home: OpenHome, monkeypatch: pytest.MonkeyPatch) -> None:
    with server_of(FORTY) as first:
        await killed(open_home, first)
        monkeypatch.setenv("RLM_SUB_MODEL", "openai:other")
        monkeypatch.setenv("RLM_BASE_URL", "http://127.0.0.1:9/v1")
        async with open_home() as runner:
            run = await runner.resume("t")
    assert run.answer == ANSWERS and {seen.body["model"] for seen in first.requests} == {"root", "sub"}


async def test_a_call_shared_by_turns_is_asked_again_of_another_model_except_in_a_cell_begun_before(
    open_home: OpenHome,
) -> None:
    turns = iter(
        [
            repl("a = llm_query('same', cache=True)\nb = llm_query('other')"),
            repl("FINAL(llm_query('same', cache=True))"),
        ]
    )
    with ScriptedServer(lambda _: next(turns), str.upper) as server, server_of() as second:
        async with open_home(failpoint=CrashAt("journal-after", 3)) as runner:
            with pytest.raises(Crash):
                await runner.run(
                    "Q?", thread="t", model="openai:root", sub_model="openai:sub", base_url=server.base_url
                )
        async with open_home() as runner:
            run = await runner.resume("t", sub_model="openai:sub2", sub_base_url=second.base_url)
    assert run.answer == "SAME"
    assert [seen.prompt for seen in second.requests] == ["same"]


async def test_a_fork_asks_another_model_and_reuses_the_turns_of_the_former_one(open_home: OpenHome) -> None:
    with server_of(FORTY) as first, server_of() as second:
        names = {"model": "openai:root", "sub_model": "openai:sub", "base_url": first.base_url}
        async with open_home() as runner:
            await runner.run("Q?", thread="t", **names)
            fork = await runner.fork("t", 2, into="f", model="openai:root2", base_url=second.base_url)
            run = await runner.resume(fork.thread_id)
            about = await runner.queries.about("f")
    assert (run.answer, second.requests) == (ANSWERS, [])
    assert about["model"] == "openai:root2" and run.usage["model_calls"] == 0


async def test_a_price_and_an_address_go_with_the_model_they_belong_to(open_home: OpenHome) -> None:
    with server_of(FORTY) as first:
        await killed(open_home, first, price=(1.0, 2.0), max_cost=5.0)
        async with open_home() as runner:
            with pytest.raises(UsageError, match="needs a price and none is known for openai:unlisted"):
                await runner.resume("t", model="openai:unlisted")
            with pytest.raises(ModelSetupError):
                await runner.resume("t", model="anthropic:claude-sonnet-4-5", price="3,15")
            run = await runner.resume("t", model="openai:unlisted", price="1,2")
    assert run.answer == ANSWERS


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"price": "free"}, "--price: 'free' is not a price"),
        ({"model": "nobody:x"}, "no model provider named 'nobody'"),
        ({"base_url": "localhost"}, "not the address of a server"),
    ],
)
async def test_a_change_that_makes_no_sense_is_refused_with_nothing_done(
    open_home: OpenHome, given: dict[str, Any], said: str
) -> None:
    with server_of(FORTY) as first:
        await killed(open_home, first)
        async with open_home() as runner:
            steps = len(await runner.queries.steps("t"))
            with pytest.raises((UsageError, ModelSetupError), match=said):
                await runner.resume("t", **given)
            assert len(await runner.queries.steps("t")) == steps


async def test_the_models_of_a_run_that_waits_for_a_reviewer_are_not_changed(
    open_home: OpenHome, tmp_path: Path
) -> None:
    script = write_script(tmp_path / "m.py", [repl("FINAL(1)")])
    async with open_home() as runner:
        run = await runner.run("Q?", thread="t", model=script, approve="code")
        assert run.status == "paused"
        with pytest.raises(UsageError, match="waits for a reviewer"):
            await runner.resume("t", model="openai:other")


async def test_a_sub_rlm_under_way_continues_with_the_models_its_caller_is_given(open_home: OpenHome) -> None:
    def root(messages: list[dict[str, str]]) -> str:
        asked = messages[1]["content"]
        code = "FINAL(rlm_query('child'))" if "top" in asked else "FINAL(llm_query('leaf'))"
        return repl(code)

    with ScriptedServer(root, str.upper, is_root=lambda body: body["messages"][0]["role"] == "system") as first:
        names = {"model": "openai:root", "base_url": first.base_url}
        async with open_home(failpoint=CrashAt("plan-end", 2)) as runner:
            with pytest.raises(Crash):
                await runner.run("top", thread="t", max_depth=2, **names)
        with server_of() as second:
            async with open_home() as runner:
                run = await runner.resume("t", sub_model="openai:sub2", sub_base_url=second.base_url)
    assert (run.status, run.answer) == ("answered", "LEAF")
    assert [seen.prompt for seen in second.requests] == ["leaf"]
