"""Notifications to addresses: signed, bounded in time and bytes, never redirected, and reported without secrets."""

import asyncio
import base64
import logging
import time
from collections.abc import Generator

import pytest

from durable_rlm.nodes.notify.failures import SendingFailed
from durable_rlm.nodes.notify.post import post, signature
from tests.servers.webhook_receiver import KEY, WebhookReceiver

BODY = b'{"id": "e"}'
SECRET = "t0p-secret"


@pytest.fixture
def receiver() -> Generator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


async def send(url: str, *, key: str = KEY, seconds: float = 5.0) -> SendingFailed | None:
    try:
        await post(url, BODY, "e", key=key, timestamp=int(time.time()), seconds=seconds)
    except SendingFailed as failed:
        assert SECRET not in str(failed) and failed.__cause__ is None
        return failed
    return None


async def test_a_post_is_signed_as_standard_webhooks_says(receiver: WebhookReceiver) -> None:
    assert await send(receiver.url("ok")) is None
    [one] = receiver.received
    assert one.signed and (one.event, one.body) == ("e", {"id": "e"})
    assert abs(int(one.timestamp) - time.time()) < 60


def test_the_signature_is_that_of_the_example_of_the_specification() -> None:
    key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == expected


async def test_a_key_in_base64_is_used_decoded() -> None:
    with WebhookReceiver(b"\0\1binary key") as receiver:
        assert await send(receiver.url("ok"), key="whsec_" + base64.b64encode(b"\0\1binary key").decode()) is None
        assert receiver.received[0].signed


@pytest.mark.parametrize("key", ["whsec_no base64!", "\udcff"])
async def test_nothing_is_sent_with_a_key_that_cannot_be_used(receiver: WebhookReceiver, key: str) -> None:
    failed = await send(receiver.url("ok"), key=key)
    assert failed and failed.then == "elsewhere" and "its key cannot be used" in str(failed)
    assert receiver.received == []


async def test_nothing_is_signed_without_a_key(receiver: WebhookReceiver) -> None:
    assert await send(receiver.url("ok"), key="") is None
    assert not receiver.received[0].signed


async def test_a_redirect_is_not_followed(receiver: WebhookReceiver) -> None:
    failed = await send(receiver.url("redirect"))
    assert failed and failed.then == "again" and "redirect (307), which is not followed" in str(failed)
    assert [one.path for one in receiver.received] == ["/redirect"] and receiver.other_requests == []


@pytest.mark.parametrize(("status", "then"), [(500, "again"), (429, "again"), (404, "again"), (410, "never")])
async def test_any_other_status_than_success_is_a_failure(receiver: WebhookReceiver, status: int, then: str) -> None:
    failed = await send(receiver.url(f"status/{status}/1"))
    assert failed and failed.then == then and str(status) in str(failed)
    assert await send(receiver.url(f"status/{status}/1")) is None, "204 is a success"


async def test_a_server_that_does_not_answer_is_given_up_in_time(receiver: WebhookReceiver) -> None:
    failed = await send(receiver.url("hang"), seconds=0.2)
    assert failed and str(failed) == "it did not answer within 0.2 s"


async def test_a_body_without_end_is_not_read(receiver: WebhookReceiver) -> None:
    assert await send(receiver.url("endless")) is None
    assert await asyncio.to_thread(receiver.endless_ended.wait, 10), "the connection is closed"


async def test_an_address_that_leads_nowhere_is_reported_without_it() -> None:
    failed = await send(f"http://127.0.0.1:9/{SECRET}")
    assert failed and failed.then == "again" and str(failed) == "it cannot be reached"


async def test_httpx_logs_nothing_of_it(receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert await send(receiver.url(f"ok?key={SECRET}")) is None
    assert SECRET not in caplog.text
    logging.getLogger("httpx").info("of another request")
    assert "of another request" in caplog.text
