"""Failing calls: their retries, the errors for the code and the root model, and that other calls are not affected."""

from collections import Counter

import pytest

from durable_rlm import Runner
from tests.nodes.sub_calls.conftest import FakeSleep, cells, models
from tests.servers.faults import Fault
from tests.servers.openai_server import ScriptedServer
from tests.servers.received import Body, prompt_of

COUNT = 60
BATCH = f"got = llm_query_batched([f'question {{n}}' for n in range({COUNT})])"
POISONED = {f"question {n}" for n in (3, 40, 59)}
OUTCOMES = "FINAL([answer if answer else answer.error for answer in got])"


def poisoned(body: Body) -> bool:
    return prompt_of(body) in POISONED


def upper(n: int) -> str:
    return f"QUESTION {n}"


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        (Fault("status", status=429), 6),
        (Fault("status", status=500), 6),
        (Fault("status", status=503), 6),
        (Fault("reset"), 6),
        (Fault("reset", after=50), 6),
        (Fault("garbage"), 3),
        (Fault("raw", text='{"choices": [{"mess": 1}]}'), 3),
        (Fault("empty"), 2),
        (Fault("status", status=400), 1),
        (Fault("status", status=401), 1),
        (Fault("status", status=404), 1),
        (Fault("refusal"), 1),
    ],
    ids=lambda given: f"{given.kind}-{given.status}-{given.after}" if isinstance(given, Fault) else None,
)
async def test_failures_are_retried_by_their_kind_and_do_not_affect_other_calls(
    runner: Runner, fault: Fault, attempts: int
) -> None:
    fault.when = poisoned
    with ScriptedServer(cells(BATCH, OUTCOMES), str.upper, faults=[fault]) as server:
        run = await runner.run("Q?", **models(server))
    assert isinstance(run.answer, list) and len(run.answer) == COUNT
    for n, (said, prompt) in enumerate((said, f"question {n}") for n, said in enumerate(run.answer)):
        if prompt in POISONED:
            assert server.asked[prompt] == attempts and "openai:sub" in said
        else:
            assert server.asked[prompt] == 1 and said == upper(n)
    last_root = server.requests[-1].messages
    assert any(f"[3 of {COUNT} failed: " in message["content"] for message in last_root), "the root model gets a note"
    assert run.usage["model_calls"] == len(server.requests)


@pytest.mark.parametrize("kind", ["reset", "garbage", "status"])
async def test_a_call_that_fails_once_is_answered_and_not_reported_as_failed(runner: Runner, kind: str) -> None:
    once = [Fault(kind, requests=range(10, 40))]  # pyright: ignore[reportArgumentType]
    with ScriptedServer(cells(BATCH, OUTCOMES), str.upper, faults=once) as server:
        run = await runner.run("Q?", **models(server))
    assert run.answer == [upper(n) for n in range(COUNT)]
    assert server.asked.total() == COUNT + 30
    assert not any("failed" in message["content"] for message in server.requests[-1].messages[-1:])


async def test_a_call_that_gets_one_empty_reply_is_answered(runner: Runner) -> None:
    seen: Counter[str] = Counter()

    def first_time(body: Body) -> bool:
        prompt = prompt_of(body)
        seen[prompt] += 1
        return prompt.startswith("question") and seen[prompt] == 1

    with ScriptedServer(cells(BATCH, OUTCOMES), str.upper, faults=[Fault("empty", when=first_time)]) as server:
        run = await runner.run("Q?", **models(server))
    assert run.answer == [upper(n) for n in range(COUNT)] and server.asked.total() == 2 * COUNT


async def test_a_burst_of_refusals_is_retried_after_the_time_that_the_server_gives(
    runner: Runner, fake_sleep: FakeSleep
) -> None:
    burst = Fault("status", status=429, headers={"Retry-After": "17"}, requests=range(20, 50))
    with ScriptedServer(cells(BATCH, OUTCOMES), str.upper, faults=[burst]) as server:
        run = await runner.run("Q?", concurrency=64, **models(server))
    assert run.answer == [upper(n) for n in range(COUNT)]
    assert len(fake_sleep.seconds) == 30 and all(17 <= seconds <= 17 * 1.25 for seconds in fake_sleep.seconds)
    assert len(set(fake_sleep.seconds)) > 20, "the retries are spread over time"


async def test_a_single_call_that_fails_raises_an_error_that_names_the_kind_of_failure(runner: Runner) -> None:
    code = (
        "said = {}\n"
        "for prompt in ('be refused', 'say nothing', 'be unknown'):\n"
        "    try:\n"
        "        llm_query(prompt)\n"
        "    except SubCallError as error:\n"
        "        said[prompt] = str(error)\n"
        "FINAL(said)"
    )
    faults = [
        Fault("refusal", text="I will not", when=lambda body: prompt_of(body) == "be refused"),
        Fault("empty", when=lambda body: prompt_of(body) == "say nothing"),
        Fault("status", status=404, when=lambda body: prompt_of(body) == "be unknown"),
    ]
    with ScriptedServer(cells(code), str.upper, faults=faults) as server:
        run = await runner.run("Q?", **models(server))
    said = run.answer
    assert isinstance(said, dict), run
    assert "I will not" in said["be refused"] and "404" in said["be unknown"]
    assert "empty answer" in said["say nothing"]


async def test_a_prompt_that_is_not_a_text_raises_in_its_batch_before_anything_is_sent(runner: Runner) -> None:
    code = "try:\n    llm_query_batched(['a', ['b']])\nexcept TypeError as error:\n    FINAL(str(error))"
    with ScriptedServer(cells(code), str.upper) as server:
        run = await runner.run("Q?", **models(server))
    assert "one text" in str(run.answer) and not server.asked
