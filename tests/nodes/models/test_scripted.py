"""`scripted:PATH`: a Python file in the place of a model."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.nodes.models.errors import ModelCallFailed
from durable_rlm.nodes.models.provider_protocol import ModelRequest
from durable_rlm.nodes.models.providers import open_client
from durable_rlm.state.errors import ModelSetupError
from tests.nodes.models.conftest import question

Script = Callable[[str], ModelClient]
BOTH = "def root(messages): return 'r'\ndef sub(prompt): return 's'\n"
TURN = ModelRequest([{"role": "system", "content": "rules"}, {"role": "user", "content": "Q"}], 50, role="root")


@pytest.fixture
def script(tmp_path: Path) -> Script:
    def open_script(source: str) -> ModelClient:
        (tmp_path / "model.py").write_text(source, encoding="utf-8")
        return open_client(f"scripted:{tmp_path / 'model.py'}")

    return open_script


async def failure_of(client: ModelClient, request: ModelRequest) -> ModelCallFailed:
    async with client:
        with pytest.raises(ModelCallFailed) as failed:
            await client.ask(request)
    return failed.value


@pytest.mark.parametrize("form", ["def", "async def"])
async def test_turns_go_to_root_and_prompts_to_sub(script: Script, form: str) -> None:
    source = (
        f"{form} root(messages): return str([m['role'] for m in messages])\n{form} sub(prompt): return prompt[::-1]"
    )
    async with script(source) as client:
        turn, call = await client.ask(TURN), await client.ask(question("abc"))
    assert turn.text == "['system', 'user']" and call.text == "cba"
    assert call.cost_usd == 0.0 and call.estimated and call.attempts == 1 and call.finish == "stop"
    assert call.input_tokens > 0 and call.output_tokens > 0


async def test_a_function_may_return_an_awaitable(script: Script) -> None:
    source = "async def later(p): return p\ndef root(m): return 'r'\nsub = lambda p: later(p)"
    async with script(source) as client:
        assert (await client.ask(question("x"))).text == "x"


@pytest.mark.parametrize("form", ["def", "async def"])
@pytest.mark.parametrize(
    ("raises", "says"),
    [
        ("raise ValueError('no\\nidea')", "ValueError: no idea, line 2"),
        ("next(iter([]))", "StopIteration"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise TimeoutError", "TimeoutError"),
        ("return 7", r"sub\(\) returned int, not str"),
        ("pass", r"sub\(\) returned NoneType, not str"),
    ],
)
async def test_an_error_of_a_script_is_reported_and_not_retried(
    script: Script, form: str, raises: str, says: str
) -> None:
    failed = await failure_of(script(f"{form} sub(prompt):\n    {raises}\ndef root(m): ..."), question())
    assert failed.kind == "scripted" and failed.attempts == 1 and not failed.retryable
    assert "model.py" in failed.message
    with pytest.raises(ModelCallFailed, match=says):
        raise failed


async def test_an_empty_text_fails_as_empty_without_a_retry(script: Script) -> None:
    failed = await failure_of(script("def root(m): return ' '\ndef sub(p): return ''"), question())
    assert failed.kind == "empty" and failed.attempts == 1


async def test_a_blocking_function_delays_no_other_call(script: Script) -> None:
    source = (
        "import threading\ngate = threading.Event()\n"
        "def root(m):\n    gate.set()\n    return 'opened'\n"
        "def sub(p):\n    assert gate.wait(20)\n    return 'went through'\n"
    )
    async with script(source) as client:
        blocked = [asyncio.create_task(client.ask(question())) for _ in range(100)]
        assert (await client.ask(TURN)).text == "opened"
        assert {reply.text for reply in await asyncio.gather(*blocked)} == {"went through"}


async def test_a_cancelled_call_does_not_delay_the_next_one(script: Script) -> None:
    source = (
        "import threading\nstarted, gate = threading.Event(), threading.Event()\n"
        "def root(m):\n    assert started.wait(20)\n    return 'sub has started'\n"
        "def sub(p):\n    started.set()\n    return 'late' if p == 'wait' and gate.wait(20) else gate.set() or 'now'\n"
    )
    async with script(source) as client:
        asking = asyncio.create_task(client.ask(question("wait")))
        await client.ask(TURN)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await client.ask(question("go"))).text == "now"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def root(m): return 'r'\n\n1 +* 2\n", r"model\.py does not run, line 3: SyntaxError"),
        ("x = 1\n\n\nimport nowhere_to_be_found\n", r"line 4: ModuleNotFoundError"),
        ("def root(m): return 'r'", r"does not define sub\(prompt\)"),
        ("def sub(p): return 's'\nroot = 'r'", r"does not define root\(messages\)"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
        ("\0", "does not run"),
    ],
)
def test_a_file_that_is_not_a_script_is_reported_with_its_line(script: Script, source: str, says: str) -> None:
    before = list(sys.path)
    with pytest.raises(ModelSetupError, match=says):
        script(source)
    assert sys.path == before


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelSetupError, match=r"nothing\.py cannot be read"):
        open_client(f"scripted:{tmp_path / 'nothing.py'}")
    with pytest.raises(ModelSetupError, match="cannot be read"):
        open_client(f"scripted:{tmp_path}")


async def test_a_script_imports_from_its_folder_and_leaves_sys_path_unchanged(script: Script, tmp_path: Path) -> None:
    (tmp_path / "beside_the_script.py").write_text("WORD = 'helper'")
    (tmp_path / "json.py").write_text("raise AssertionError('hides the standard library')")
    source = (
        "from __future__ import annotations\nimport json\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Answer:\n    text: str\n"
        "def root(m): return 'r'\n"
        "def sub(p):\n    from beside_the_script import WORD\n    return Answer(WORD).text\n"
    )
    path, modules = list(sys.path), set(sys.modules)
    try:
        async with script(source) as client:
            assert (await client.ask(question())).text == "helper"
        assert sys.path == path
        assert set(sys.modules) - modules == {"beside_the_script"}
    finally:
        sys.modules.pop("beside_the_script", None)


async def test_before_attempt_is_called_before_a_scripted_call_too(script: Script) -> None:
    numbers: list[int] = []

    async def before_attempt(number: int) -> None:
        numbers.append(number)

    async with script(BOTH) as client:
        await client.ask(question(), before_attempt=before_attempt)
    assert numbers == [1]
