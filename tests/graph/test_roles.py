"""Root model and sub-model have servers, keys, prices and options of their own."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.state.errors import ModelSetupError, UsageError
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script
from tests.servers.openai_server import ScriptedServer

ROOT = repl("FINAL(llm_query('a'))")


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("OPENAI_API_KEY", "RLM_API_KEY", "RLM_SUB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def home(folder: Path) -> Any:
    return Runner.open(folder / "home", kernels=MemoryKernels())


async def test_each_role_has_its_server_its_key_and_its_options(tmp_path: Path, keys: pytest.MonkeyPatch) -> None:
    keys.setenv("RLM_API_KEY", "for-the-root")
    keys.setenv("RLM_SUB_API_KEY", "for-the-sub")
    with ScriptedServer(lambda _: ROOT) as root, ScriptedServer(sub=str.upper) as sub:
        async with home(tmp_path) as runner:
            run = await runner.run(
                "Q?",
                **{"model": "openai:root", "base_url": root.base_url, "option": ["temperature=0", "max_output=900"]},
                **{"sub_model": "openai:sub", "sub_base_url": sub.base_url, "sub_option": {"seed": 7}},
            )
    assert run.answer == "A"
    [asked], [called] = root.requests, sub.requests
    assert (asked.headers["authorization"], called.headers["authorization"]) == (
        "Bearer for-the-root",
        "Bearer for-the-sub",
    )
    assert (asked.body["temperature"], asked.output_limit) == (0, 900)
    assert called.body["seed"] == 7 and "temperature" not in called.body and called.output_limit == 4096


async def test_a_key_is_sent_to_no_other_server(tmp_path: Path, keys: pytest.MonkeyPatch) -> None:
    keys.setenv("RLM_API_KEY", "for-the-root")
    with ScriptedServer(lambda _: ROOT) as root, ScriptedServer(sub=str.upper) as sub:
        names = {"model": "openai:root", "sub_model": "openai:sub", "base_url": root.base_url}
        async with home(tmp_path) as runner:
            await runner.run("Q?", **names, sub_base_url=sub.base_url)
            await runner.run("Q?", **names)
    assert {seen.headers["authorization"] for seen in root.requests} == {"Bearer for-the-root"}
    assert [seen.headers["authorization"] for seen in sub.requests] == ["Bearer no-key"]


async def test_options_of_the_root_model_count_for_sub_calls_that_it_answers(
    tmp_path: Path, keys: pytest.MonkeyPatch
) -> None:
    del keys
    options: dict[str, Any] = {"option": {"temperature": 0.5, "seed": 1}, "sub_option": {"seed": 2}}
    with ScriptedServer(lambda _: ROOT, is_root=lambda body: len(body["messages"]) > 1) as server:
        async with home(tmp_path) as runner:
            await runner.run("Q?", model="openai:m", base_url=server.base_url, **options)
    assert [(seen.body["temperature"], seen.body["seed"]) for seen in server.requests] == [(0.5, 1), (0.5, 2)]


async def test_a_root_script_needs_no_sub_when_another_model_answers_sub_calls(
    tmp_path: Path, keys: pytest.MonkeyPatch
) -> None:
    del keys
    script = tmp_path / "root.py"
    script.write_text(f"def root(messages):\n    return {ROOT!r}\n")
    with ScriptedServer(sub=str.upper) as sub:
        async with home(tmp_path) as runner:
            run = await runner.run("Q?", model=f"scripted:{script}", sub_model="openai:sub", base_url=sub.base_url)
            assert run.answer == "A"
            with pytest.raises(ModelSetupError, match=r"does not define sub\(prompt\)"):
                await runner.run("Q?", model=f"scripted:{script}")


async def test_the_price_of_each_role_counts(tmp_path: Path, keys: pytest.MonkeyPatch) -> None:
    del keys
    with ScriptedServer(lambda _: ROOT, str.upper) as server:
        names = {"model": "openai:root", "sub_model": "openai:sub", "base_url": server.base_url}
        async with home(tmp_path) as runner:
            run = await runner.run("Q?", thread="t", **names, price=(1e6, 0.0), sub_price=(0.0, 1e6), max_cost=1e9)
            [call] = [call.to_json() for call in await runner.queries.calls("t")]
    root, sub = server.requests
    assert run.usage["cost_usd"] == root.billed.input + sub.billed.output
    assert call["cost_usd"] == sub.billed.output


async def test_a_call_is_listed_with_its_attempts_tokens_and_line(tmp_path: Path, keys: pytest.MonkeyPatch) -> None:
    del keys
    model = write_script(tmp_path / "m.py", [repl("x = 1\ny = llm_query('a', max_tokens=9)\nFINAL(y)")])
    async with home(tmp_path) as runner:
        await runner.run("Q?", model=model, thread="t")
        [call] = await runner.queries.calls("t")
    listed = call.to_json()
    assert listed["tokens"] == listed["input_tokens"] + listed["output_tokens"] > 0
    assert listed["line"] == 2 and listed["queue"] >= 0 and listed["start"].endswith("Z")
    assert [attempt["outcome"] for attempt in listed["attempts"]] == ["answered"]
    assert call.row.parameters == {"max_output": 9}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"option": ["temprature=1"]}, "there is no option 'temprature'; there are temperature"),
        ({"sub_option": ["header.authorization=Bearer abcdefgh"]}, "looks like a secret"),
        ({"option": ["body.messages=[]"]}, "each request sets it itself"),
    ],
)
async def test_an_option_that_makes_no_sense_is_refused(tmp_path: Path, settings: Any, said: str) -> None:
    async with home(tmp_path) as runner:
        with pytest.raises(UsageError, match=said):
            await runner.run("Q?", model="openai:m", base_url="http://127.0.0.1:9/v1", **settings)


async def test_thoughts_of_a_sub_call_are_listed_with_it_and_reach_no_code(
    tmp_path: Path, keys: pytest.MonkeyPatch
) -> None:
    del keys
    with ScriptedServer(lambda _: ROOT, lambda _: "<think>perhaps no</think>yes") as server:
        async with home(tmp_path) as runner:
            names = {"model": "openai:root", "sub_model": "openai:sub", "base_url": server.base_url}
            run = await runner.run("Q?", thread="t", **names)
            [call] = await runner.queries.calls("t")
    assert (run.answer, call.answer, call.to_json()["thoughts"]) == ("yes", "yes", "perhaps no")
