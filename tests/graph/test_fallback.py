"""A fallback model takes over from a root model that fails, once, and it is a step that everybody can see."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.nodes.models.providers import open_client
from durable_rlm.nodes.models.retry import RetryPolicy
from durable_rlm.state.errors import UsageError
from durable_rlm.state.model_specs import ModelSpec
from tests.contract.in_memory_kernel import MemoryKernels
from tests.crash_at import Crash, CrashAt
from tests.scripts import repl, write_script
from tests.servers.openai_server import Fault, ScriptedServer

FREE = (0.0, 0.0)


async def at_once(seconds: float) -> None:
    del seconds


def without_waiting(spec: ModelSpec) -> ModelClient:
    retry = RetryPolicy(attempts=2, sleep=at_once)
    return open_client(
        spec.name, base_url=spec.base_url, price=spec.price, key_names=spec.key_names, roles=spec.roles, retry=retry
    )


def home(folder: Path, **options: Any) -> Any:
    return Runner.open(folder / "home", kernels=MemoryKernels(), open_model=without_waiting, **options)


async def test_a_fallback_takes_over_after_failed_turns_in_a_row(tmp_path: Path) -> None:
    wrong, right = repl("1 / 0"), repl("FINAL('done')")
    first = write_script(tmp_path / "first.py", [repl("x = 1"), *[wrong] * 9])
    then = write_script(tmp_path / "then.py", [right] * 10)
    events: list[Any] = []
    async with home(tmp_path) as runner:
        run = await runner.run("Q?", model=first, then=f"{then}@2", thread="t", on_event=events.append)
        summaries = [step["summary"] for step in await runner.queries.steps("t")]
        shown = await runner.queries.show("t", runner.graph)
    assert (run.answer, run.turns) == ("done", 4)
    notices = [event["text"] for event in events if event["event"] == "notice"]
    assert notices == [f"{first} has failed 2 turns in a row: {then} is the root model from here on."]
    assert [turn["status"] for turn in shown["turns"]] == ["ok", "error", "error", "ok"]
    assert sum("the root model from here on" in summary for summary in summaries) == 1


async def test_turns_without_code_are_failed_turns(tmp_path: Path) -> None:
    first = write_script(tmp_path / "first.py", ["I would rather not."] * 9)
    then = write_script(tmp_path / "then.py", [repl("FINAL('done')")] * 10)
    async with home(tmp_path) as runner:
        run = await runner.run("Q?", model=first, then=then)
    assert (run.answer, run.turns) == ("done", 4)


@pytest.mark.parametrize("mode", ["rlm", "direct"])
async def test_a_fallback_takes_over_from_a_model_that_fails_for_good(tmp_path: Path, mode: Any) -> None:
    with (
        ScriptedServer(faults=[Fault("status")]) as dead,
        ScriptedServer(lambda _: repl("FINAL(llm_query('a'))"), str.upper) as alive,
    ):
        async with home(tmp_path) as runner:
            run = await runner.run(
                *("Q?", "text"),
                **{"model": "openai:root", "base_url": dead.base_url, "mode": mode, "price": FREE},
                **{"then": "openai:root2", "then_base_url": alive.base_url, "sub_model": "openai:sub"},
                **{"sub_base_url": alive.base_url},
            )
    assert run.status == "answered", run.error
    assert {seen.body["model"] for seen in dead.requests} == {"root"}
    assert {seen.body["model"] for seen in alive.requests} <= {"root2", "sub"}


async def test_a_fallback_stays_after_a_crash_and_fails_the_run_when_it_fails_too(tmp_path: Path) -> None:
    first = write_script(tmp_path / "first.py", [])
    then = write_script(tmp_path / "then.py", [repl("x = 1"), repl("x = 2")])
    async with home(tmp_path, failpoint=CrashAt("cell-ended", 1)) as runner:
        with pytest.raises(Crash):
            await runner.run("Q?", model=first, then=then, thread="t")
    write_script(tmp_path / "first.py", [repl("FINAL('asked again')")] * 9)
    async with home(tmp_path) as runner:
        run = await runner.resume("t")
        assert run.status == "failed" and run.error and then in run.error["message"]


async def test_the_key_of_the_root_model_is_not_sent_to_the_server_of_the_fallback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLM_API_KEY", "root-key-123456")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ScriptedServer(faults=[Fault("status")]) as dead, ScriptedServer(lambda _: repl("FINAL(1)")) as alive:
        async with home(tmp_path) as runner:
            await runner.run(
                *("Q?",),
                **{"model": "openai:root", "base_url": dead.base_url, "price": FREE},
                **{"then": "openai:root2", "then_base_url": alive.base_url},
            )
    assert {seen.headers["authorization"] for seen in dead.requests} == {"Bearer root-key-123456"}
    assert all("root-key" not in seen.headers["authorization"] for seen in alive.requests)


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("openai:unlisted", "--then needs a price"),
        ("scripted:m.py@0", "--then: a fallback takes over after 1 failed turn or more"),
    ],
)
async def test_a_fallback_that_cannot_be_used_is_refused_before_anything_is_saved(
    tmp_path: Path, then: str, said: str
) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(1)")])
    async with home(tmp_path) as runner:
        with pytest.raises(UsageError, match=said):
            await runner.run("Q?", model=model, then=then)
        assert not await runner.queries.runs()
