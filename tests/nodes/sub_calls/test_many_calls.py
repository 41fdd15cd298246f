"""Thousands of calls from one cell: all are answered in order, with live progress, and none delays another."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.nodes.models.errors import AttemptFailed, Failure, Target
from durable_rlm.nodes.models.provider_protocol import ModelRequest, OnPiece, RawReply, ignore_piece
from durable_rlm.nodes.models.retry import RetryPolicy
from durable_rlm.nodes.sub_call import max_workers
from durable_rlm.state.model_specs import ModelSpec
from tests.contract.in_memory_kernel import MemoryKernels
from tests.nodes.sub_calls.conftest import FakeSleep, cells, models
from tests.scripts import repl, write_script
from tests.servers.faults import Fault, chance
from tests.servers.openai_server import ScriptedServer

MANY = 10_000


class UnreliableSender:
    """A sender without a network that is late, and by the prompt sometimes refuses or breaks off."""

    def __init__(self, code: str) -> None:
        self._code = code
        self.asked: Counter[str] = Counter()
        self.in_flight = self.peak = 0

    async def send(self, request: ModelRequest, on_piece: OnPiece = ignore_piece) -> RawReply:
        prompt = request.messages[-1]["content"]
        if request.messages[0]["role"] == "system":
            return RawReply(self._code, "stop", input_tokens=10, output_tokens=10)
        self.asked[prompt] += 1
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        drawn = chance(prompt, self.asked[prompt])
        try:
            await asyncio.sleep(drawn / 1000)
        finally:
            self.in_flight -= 1
        if drawn < 0.1:
            raise AttemptFailed(Failure("rate_limit", status=429, retryable=True, retry_after=drawn))
        if drawn < 0.2:
            raise ConnectionResetError("reset by peer")
        return RawReply(prompt.upper(), "stop", input_tokens=3, output_tokens=3)

    async def aclose(self) -> None:
        return


@pytest.mark.slow
async def test_ten_thousand_calls_are_answered_in_order_although_one_in_five_fails_at_first(
    tmp_path: Path, fake_sleep: FakeSleep
) -> None:
    code = f"got = llm_query_batched([f'question {{n}}' for n in range({MANY})])\nFINAL(got)"
    sender = UnreliableSender(repl(code))

    def open_model(spec: ModelSpec) -> ModelClient:
        return ModelClient(Target(spec.name), sender, retry=RetryPolicy(attempts=20, sleep=fake_sleep))

    async with Runner.open(tmp_path / "home", kernels=MemoryKernels(), open_model=open_model) as runner:
        run = await runner.run("Q?", model="openai:any", concurrency=256, max_calls=2 * MANY)
        assert run.status == "answered", run.error
        assert run.answer == [f"QUESTION {n}" for n in range(MANY)]
        assert len(sender.asked) == MANY and sender.peak == 256
        assert run.usage["model_calls"] == sender.asked.total() + 1
        failed = sender.asked.total() - MANY
        assert failed == len(fake_sleep.seconds) and 0.15 * MANY < failed < 0.35 * MANY
        assert await most_workers(runner, run.thread_id) == max_workers(256)


async def most_workers(runner: Runner, thread_id: str) -> int:
    """Return the largest number of workers in one superstep of the run."""
    config: Any = {"configurable": {"thread_id": thread_id}}
    return max([snapshot.next.count("sub_call") async for snapshot in runner.graph.aget_state_history(config)])


async def test_no_answer_is_lost_to_a_server_that_is_slow_refuses_and_breaks_off(runner: Runner) -> None:
    count = 600
    faults = [
        Fault("status", status=429, headers={"Retry-After": "1"}, requests=range(20, 120)),
        Fault("status", status=503, share=0.05),
        Fault("reset", share=0.05),
        Fault("reset", after=100, share=0.05),
        Fault("garbage", share=0.02),
        Fault("drip", share=0.05, pause=0.001),
    ]
    root = cells(f"FINAL(llm_query_batched([f'question {{n}}' for n in range({count})]))")
    with ScriptedServer(root, str.upper, latency=0.001, jitter=0.02, faults=faults, seed=1) as server:
        run = await runner.run("Q?", concurrency=64, **models(server))
    assert run.answer == [f"QUESTION {n}" for n in range(count)]
    assert set(server.asked) == {f"question {n}" for n in range(count)} and server.peak <= 64
    assert len(server.requests) == run.usage["model_calls"] > count + 150


async def test_a_superstep_has_at_most_a_thousand_workers_at_any_concurrency(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(len(llm_query_batched([str(n) for n in range(1_500)])))")])
    run = await runner.run("Q?", model=model, concurrency=1_000)
    assert run.answer == 1_500
    assert await most_workers(runner, run.thread_id) == 1_000


async def test_a_call_that_hangs_delays_no_other(runner: Runner) -> None:
    count, answered = 200, Counter[str]()

    def sub(prompt: str) -> str:
        answered[prompt] += 1
        if len(answered) == count - 1:
            server.release()
        return prompt.upper()

    hanging = Fault("hang", when=lambda body: body["messages"][-1]["content"] == "question 3")
    root = cells(f"FINAL(llm_query_batched([f'question {{n}}' for n in range({count})]))")
    with ScriptedServer(root, sub, faults=[hanging]) as server:
        async with asyncio.timeout(60):
            run = await runner.run("Q?", concurrency=4, **models(server))
    assert run.answer == [f"QUESTION {n}" for n in range(count)]
    assert list(answered)[-1] == "question 3"


async def test_progress_is_reported_while_calls_run_and_never_decreases(runner: Runner) -> None:
    count = 300
    events: list[Mapping[str, Any]] = []

    def record(event: Mapping[str, Any]) -> None:
        if event["event"] == "calls":
            events.append(event)
            server.release()

    held = Fault("hang", when=lambda body: body["messages"][-1]["content"].endswith("7"))
    refused = Fault("status", status=400, when=lambda body: body["messages"][-1]["content"].endswith("99"))
    root = cells(f"FINAL(len(llm_query_batched([f'question {{n}}' for n in range({count})])))")
    with ScriptedServer(root, str.upper, faults=[held, refused], jitter=0.1) as server:
        async with asyncio.timeout(60):
            await runner.run("Q?", on_event=record, concurrency=50, **models(server))
    assert events[0]["answered"] + events[0]["failed"] < count, "the calls that hang wait for the first event"
    for name in ("answered", "failed", "posted"):
        assert [event[name] for event in events] == sorted(event[name] for event in events)
    for event in events:
        assert event["posted"] >= event["answered"] + event["failed"] + event["in_flight"]
        assert 0 <= event["in_flight"] <= 50
    last = events[-1]
    assert (last["answered"], last["failed"], last["in_flight"], last["posted"]) == (count - 3, 3, 0, count)


async def test_equal_calls_of_a_batch_are_separate_samples_and_cached_ones_are_sent_once(runner: Runner) -> None:
    numbers = iter(range(1_000))
    root = cells(
        "samples = llm_query_batched(['toss a coin'] * 100)\n"
        "once = llm_query_batched(['name the capital'] * 100, cache=True)\n"
        "once.append(llm_query('name the capital', cache=True))\n"
        "FINAL([len(set(samples)), len(set(once)), len(once)])"
    )
    with ScriptedServer(root, lambda prompt: f"{prompt} {next(numbers)}", jitter=0.01) as server:
        run = await runner.run("Q?", concurrency=16, **models(server))
    assert run.answer == [100, 1, 101]
    assert server.asked == {"toss a coin": 100, "name the capital": 1}
