"""Servers that fail, send nonsense or break off: the retries, the waits between them and the error at the end."""

import asyncio
import traceback

import pytest

from durable_rlm.nodes.models.client import AttemptEnd, ModelClient, Used
from durable_rlm.nodes.models.errors import FailureKind, ModelCallFailed
from durable_rlm.nodes.models.providers import open_client
from durable_rlm.nodes.models.retry import RetryPolicy
from tests.fake_sleep import FakeSleep
from tests.nodes.models.conftest import OpenTo, question
from tests.servers.openai_server import Fault, ScriptedServer


async def failure_of(server: ScriptedServer, client_of: OpenTo) -> ModelCallFailed:
    async with client_of(server) as client:
        with pytest.raises(ModelCallFailed) as failed:
            await client.ask(question())
    return failed.value


@pytest.mark.parametrize(
    ("status", "kind", "attempts", "says"),
    [
        (400, "bad_request", 1, "does not accept the request"),
        (401, "auth", 1, "check OPENAI_API_KEY"),
        (403, "auth", 1, "check OPENAI_API_KEY"),
        (404, "not_found", 1, "--base-url, which mostly ends in /v1"),
        (408, "timeout", 6, "did not answer in time"),
        (409, "server", 6, "wait until it works again"),
        (422, "bad_request", 1, "does not accept the request"),
        (429, "rate_limit", 6, "lower --concurrency"),
        (500, "server", 6, "after 6 attempts"),
        (503, "server", 6, "wait until it works again"),
    ],
)
async def test_each_status_is_retried_or_not_and_its_error_gives_advice(
    client_of: OpenTo, status: int, kind: FailureKind, attempts: int, says: str
) -> None:
    with ScriptedServer(faults=[Fault("status", status=status, text="server says so")]) as server:
        failed = await failure_of(server, client_of)
    assert (failed.kind, failed.attempts, len(server.requests)) == (kind, attempts, attempts)
    assert failed.retryable == (attempts > 1)
    assert "openai:sub" in failed.message and says in failed.message
    assert f"({status}: server says so)" in failed.message
    assert "\n" not in failed.message and failed.message.endswith(".")


@pytest.mark.parametrize(
    ("fault", "kind", "attempts"),
    [
        (Fault("garbage"), "garbage", 3),
        (Fault("html"), "garbage", 3),
        (Fault("nothing"), "garbage", 3),
        (Fault("raw", text="[]"), "garbage", 3),
        (Fault("raw", text='{"choices": []}'), "garbage", 3),
        (Fault("raw", text='{"choices": null}'), "garbage", 3),
        (Fault("raw", text='{"choices": [{"message": 7}]}'), "garbage", 3),
        (Fault("raw", text='{"error": {"code": 429, "message": "slow down"}}'), "rate_limit", 6),
        (Fault("reset"), "network", 6),
        (Fault("reset", after=1), "network", 6),
        (Fault("reset", after=60), "network", 6),
    ],
)
async def test_nonsense_and_broken_connections_are_retried_and_then_reported(
    client_of: OpenTo, fault: Fault, kind: FailureKind, attempts: int
) -> None:
    with ScriptedServer(faults=[fault]) as server:
        failed = await failure_of(server, client_of)
    assert (failed.kind, failed.attempts, len(server.requests)) == (kind, attempts, attempts)
    assert "openai:sub" in failed.message


@pytest.mark.parametrize("kind", ["garbage", "html", "reset", "status"])
async def test_one_failure_costs_one_more_attempt(client_of: OpenTo, kind: str) -> None:
    with ScriptedServer(faults=[Fault(kind, requests=[1])]) as server:  # pyright: ignore[reportArgumentType]
        async with client_of(server) as client:
            reply = await client.ask(question())
    assert reply.text == "sub" and reply.attempts == 2


async def test_a_reply_that_breaks_off_is_requested_again(client_of: OpenTo) -> None:
    with ScriptedServer(sub=lambda prompt: "long " * 100_000, faults=[Fault("reset", after=70_000, times=2)]) as server:
        async with client_of(server) as client:
            reply = await client.ask(question())
    assert reply.text == "long " * 100_000 and reply.attempts == 3


async def test_a_refused_connection_is_a_network_error_and_not_a_timeout(client_of: OpenTo) -> None:
    server = ScriptedServer()
    with server:
        pass
    failed = await failure_of(server, client_of)
    assert failed.kind == "network" and failed.attempts == 6
    assert f"127.0.0.1:{server.port}" in failed.message


async def test_each_attempt_is_reported_once_as_unsent_or_as_possibly_billed(
    client_of: OpenTo,
) -> None:
    reported: list[str] = []

    async def not_sent() -> None:
        reported.append("not sent")

    async def ask(client: ModelClient) -> None:
        with pytest.raises(ModelCallFailed):
            await client.ask(question(), after_attempt=lambda end: reported.append(str(end.used)), not_sent=not_sent)

    with ScriptedServer(faults=[Fault("reset")]) as server:
        async with client_of(server) as client:
            await ask(client)
    assert reported == ["None"] * 6, "their outcome is unknown"
    reported.clear()
    async with client_of(server) as client:
        await ask(client)
    assert reported == ["not sent"] * 6, "the server has stopped"


@pytest.mark.parametrize(
    ("fault", "billed"),
    [
        (Fault("status", status=429), False),
        (Fault("status", status=400), False),
        (Fault("status", status=500), None),
        (Fault("status", status=504), None),
        (Fault("raw", text='{"error": {"code": 429, "message": "slow down"}}'), None),
        (Fault("raw", text='{"choices": [{"finish_reason": "error", "message": {"content": "Ann, B"}}]}'), None),
    ],
    ids=["429", "400", "500", "504", "an error in a reply", "a broken answer without usage"],
)
async def test_a_failure_of_the_server_itself_may_have_been_billed(
    client_of: OpenTo, fault: Fault, billed: bool | None
) -> None:
    ends: list[AttemptEnd] = []
    with ScriptedServer(faults=[fault]) as server:
        async with client_of(server) as client:
            with pytest.raises(ModelCallFailed):
                await client.ask(question(), after_attempt=ends.append)
    assert {end.used for end in ends} == ({None} if billed is None else {Used()})


async def test_a_server_without_http_is_distinguished_from_one_that_answers_400(fake_sleep: FakeSleep) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"220 mail.example.com ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with open_client("openai:x", base_url=url, retry=RetryPolicy(sleep=fake_sleep)) as client:
            with pytest.raises(ModelCallFailed) as failed:
                await client.ask(question())
    assert failed.value.kind == "garbage" and failed.value.attempts == 3


async def test_a_server_that_hangs_is_given_up_at_the_time_limit(fake_sleep: FakeSleep) -> None:
    with ScriptedServer(faults=[Fault("hang")]) as server:
        client = open_client(
            "openai:sub", base_url=server.base_url, seconds=0.05, retry=RetryPolicy(attempts=2, sleep=fake_sleep)
        )
        async with client:
            with pytest.raises(ModelCallFailed, match=r"limit 0\.05 seconds") as failed:
                await client.ask(question())
    assert failed.value.kind == "timeout" and failed.value.attempts == 2


async def test_back_off_doubles_when_the_server_names_no_time(client_of: OpenTo, fake_sleep: FakeSleep) -> None:
    with ScriptedServer(faults=[Fault("status", status=503)]) as server:
        await failure_of(server, client_of)
    assert fake_sleep.seconds == [0.5, 1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "86400"}, 60.0),
        ({"Retry-After": "30", "retry-after-ms": "250"}, 0.25),
        ({"Retry-After": "0"}, 0.5),
        ({"Retry-After": "soon"}, 0.5),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0.5),
    ],
)
async def test_retry_after_is_applied_and_capped(
    client_of: OpenTo, fake_sleep: FakeSleep, headers: dict[str, str], waited: float
) -> None:
    with ScriptedServer(faults=[Fault("status", status=429, headers=headers, times=1)]) as server:
        async with client_of(server) as client:
            await client.ask(question())
    assert fake_sleep.seconds == [waited]


async def test_a_spent_quota_is_not_retried(client_of: OpenTo) -> None:
    said = "You exceeded your current quota, please check your plan"
    with ScriptedServer(faults=[Fault("status", status=429, text=said)]) as server:
        failed = await failure_of(server, client_of)
    assert failed.kind == "rate_limit" and failed.attempts == 1 and not failed.retryable
    assert "top up" in failed.message


async def test_an_overlong_prompt_is_reported_as_too_long(client_of: OpenTo) -> None:
    said = "This model's maximum context length is 8192 tokens"
    with ScriptedServer(faults=[Fault("status", status=400, text=said)]) as server:
        failed = await failure_of(server, client_of)
    assert failed.kind == "too_long" and failed.attempts == 1


async def test_the_caller_is_notified_of_every_attempt_and_retry(client_of: OpenTo) -> None:
    attempts: list[tuple[int, int]] = []
    retries: list[tuple[str, float]] = []
    with ScriptedServer(faults=[Fault("status", status=503, times=2)]) as server:

        async def before_attempt(number: int) -> None:
            attempts.append((number, len(server.requests)))

        async with client_of(server) as client:
            await client.ask(
                question(),
                before_attempt=before_attempt,
                on_retry=lambda reason, seconds: retries.append((reason, seconds)),
            )
    assert attempts == [(1, 0), (2, 1), (3, 2)], "each is announced before it is sent"
    assert retries == [("server (503)", 0.5), ("server (503)", 1.0)]


async def test_an_exception_of_before_attempt_stops_the_call_and_is_raised_unchanged(client_of: OpenTo) -> None:
    class BudgetSpent(Exception):
        pass

    async def before_attempt(number: int) -> None:
        if number == 2:
            raise BudgetSpent

    with ScriptedServer(faults=[Fault("status", status=500)]) as server:
        async with client_of(server) as client:
            with pytest.raises(BudgetSpent):
                await client.ask(question(), before_attempt=before_attempt)
    assert len(server.requests) == 1


@pytest.mark.parametrize("echo", ["key {} is wrong", "Authorization: Bearer {}", "see https://h/?key={}", "{}"])
@pytest.mark.parametrize("status", [400, 401, 500])
async def test_a_key_that_the_server_echoes_is_never_shown(
    client_of: OpenTo, monkeypatch: pytest.MonkeyPatch, echo: str, status: int
) -> None:
    key = "my-very.own_key-123"
    with ScriptedServer(faults=[Fault("status", status=status, text=echo.format(key))]) as server:
        open_with_key = client_of
        monkeypatch.setenv("OPENAI_API_KEY", key)
        failed = await failure_of(server, open_with_key)
    monkeypatch.delenv("OPENAI_API_KEY")
    shown = "".join(traceback.format_exception(failed))
    assert server.requests[0].headers["authorization"] == f"Bearer {key}"
    assert key not in failed.message and key not in shown and "[hidden]" in failed.message
    assert failed.__cause__ is None and failed.__context__ is None, "a cause would carry the request along"


async def test_calls_that_fail_at_once_each_get_their_own_answer(client_of: OpenTo) -> None:
    with ScriptedServer(sub=lambda prompt: prompt, faults=[Fault("reset", requests=range(1, 65))]) as server:
        async with client_of(server) as client:
            replies = await asyncio.gather(*(client.ask(question(str(number))) for number in range(64)))
    assert [reply.text for reply in replies] == [str(number) for number in range(64)]
