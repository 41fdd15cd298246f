"""A conversation that outgrows the root model's window is shortened, and the run continues."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.nodes.models.errors import Failure
from durable_rlm.nodes.models.retry import RetryPolicy
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl
from tests.servers.habits import Response, habit_server

TURNS = 6


def no_wait(policy: RetryPolicy, number: int, failure: Failure) -> float:
    del policy, number, failure
    return 0.0


class SmallWindow:
    """A server whose model reads few tokens, and says so when it is sent more."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.asked = self.refused = 0

    def __call__(self, body: dict[str, Any], number: int) -> Response:
        del number
        prompt = sum(len(message["content"]) for message in body["messages"]) // 3
        if prompt > self.window - 256:
            self.refused += 1
            said = f"request ({prompt} tokens) exceeds the available context size ({self.window} tokens)"
            return Response({"error": {"code": 400, "message": said, "type": "exceed_context_size_error"}}, 400)
        self.asked += 1
        code = "print('word ' * 4000)" if self.asked < TURNS else "FINAL('done')"
        message = {"role": "assistant", "content": repl(code)}
        usage = {"prompt_tokens": prompt, "completion_tokens": 20}
        return Response({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})


async def test_a_root_request_that_is_too_long_is_shortened_and_later_ones_at_once(tmp_path: Path) -> None:
    server = SmallWindow(8_192)
    with habit_server(server) as served:
        async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
            run = await runner.run("Q?", model="openai:m", base_url=served.base_url, max_turns=12)
    assert (run.status, run.answer) == ("answered", "done"), run.error
    assert server.refused == 1


async def test_a_question_that_no_shortening_makes_fit_ends_the_run_with_the_servers_words(tmp_path: Path) -> None:
    server = SmallWindow(1_100)
    with habit_server(server) as served:
        async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
            run = await runner.run("Q? " * 2_000, model="openai:m", base_url=served.base_url)
    assert run.status == "failed" and run.error
    assert "exceeds the available context size (1100 tokens)" in run.error["message"]
    assert server.refused <= 2


async def test_the_likely_bill_of_a_failed_server_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryPolicy, "wait", no_wait)

    def handle(body: dict[str, Any], number: int) -> Response:
        if number == 1:
            return Response({"error": "overloaded"}, 503)
        message = {"role": "assistant", "content": repl("FINAL('done')")}
        return Response(
            {
                "choices": [{"message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 2},
            }
        )

    with habit_server(handle) as served:
        async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
            run = await runner.run("Q?", model="openai:m", base_url=served.base_url)
    assert run.usage["model_calls"] == 2 and run.usage.get("uncertain_calls") == 1
    assert run.usage.get("estimated_tokens", 0) >= 1_000
