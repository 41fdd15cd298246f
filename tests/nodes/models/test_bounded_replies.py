"""Nothing that a model's server sends costs more than a reply may: sizes, compressions, redirects, cookies, headers."""

import asyncio
import gzip
import itertools
import json
import time
import tracemalloc
import zlib
from collections.abc import Iterable

import pytest

from durable_rlm.nodes.models import bounded_http, streamed
from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.nodes.models.errors import FailureKind, ModelCallFailed
from durable_rlm.nodes.models.providers import open_client
from durable_rlm.nodes.models.retry import RetryPolicy
from tests.fake_sleep import FakeSleep
from tests.nodes.models.conftest import question
from tests.servers.raw_server import RawServer, answer, gzipped, raw_server, response

MB = 1 << 20


def client_of(server: RawServer) -> ModelClient:
    return open_client("openai:m", base_url=server.base_url, retry=RetryPolicy(attempts=1, sleep=FakeSleep()))


async def failure_of(pieces: Iterable[bytes], **ask: str) -> tuple[ModelCallFailed, RawServer]:
    with raw_server(lambda _: pieces) as server:
        async with client_of(server) as client:
            with pytest.raises(ModelCallFailed) as failed:
                await client.ask(question(**ask))
    return failed.value, server


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed_to_another_origin(status: int) -> None:
    with raw_server(lambda _: [response(answer())]) as elsewhere:
        where = f"http://user:secret@127.0.0.1:{elsewhere.port}/latest/meta-data?token=1"
        failed, server = await failure_of([response(status=status, location=where)])
    assert elsewhere.heads == [], "neither the key nor the prompt goes there"
    assert (failed.kind, failed.attempts, len(server.heads)) == ("redirected", 1, 1)
    assert f"http://127.0.0.1:{elsewhere.port}" in failed.message
    assert "secret" not in failed.message and "meta-data" not in failed.message and "token" not in failed.message


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("/v1/chat/completions", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("http://a:99999999/", "nowhere"),
        ("file:///etc/passwd", "file:"),
    ],
)
async def test_a_redirect_in_a_circle_or_to_no_address_ends_at_once(location: str, said: str) -> None:
    failed, server = await failure_of([response(status=307, location=location)])
    assert failed.kind == "redirected" and said in failed.message and len(server.heads) == 1


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_compressed_bombs_cost_little_memory(status: int) -> None:
    bomb = gzipped(b'{"error": {"message": "', b"A" * MB, 300)
    tracemalloc.start()
    failed, _ = await failure_of([response(bomb, status, content_encoding="gzip")])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * MB, "300 MB if it were read as a whole"
    assert failed.kind == {200: "garbage", 400: "bad_request", 500: "server"}[status]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(answer())),
        ("x-gzip", gzip.compress(answer())),
        ("deflate", zlib.compress(answer())),
        ("deflate", zlib.compress(answer(), wbits=-15)),
        ("identity", answer()),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 4_000])
async def test_a_server_that_compresses_unasked_is_understood(encoding: str, body: bytes, size: int) -> None:
    whole = response(body, content_encoding=encoding)
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    with raw_server(lambda _: pieces) as server:
        async with client_of(server) as client:
            assert (await client.ask(question())).text == "fine"
    assert "accept-encoding: identity" in server.heads[0].lower()


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "gzip" + ", gzip" * 4_000])
async def test_compressions_that_nobody_asked_for_are_refused(encoding: str) -> None:
    failed, _ = await failure_of([response(b"x" * 100, content_encoding=encoding[:8_000])])
    assert failed.kind == "garbage" and len(failed.message) < 1_000
    assert "which was not asked for" in failed.message


async def test_the_words_of_a_compressed_error_are_read() -> None:
    body = gzip.compress(b'{"error": {"message": "the model is asleep"}}')
    failed, _ = await failure_of([response(body, 400, content_encoding="gzip")])
    assert failed.kind == "bad_request" and "the model is asleep" in failed.message


def endless(beginning: bytes, repeated: bytes) -> Iterable[bytes]:
    return itertools.chain([beginning], itertools.repeat(repeated))


@pytest.mark.parametrize(
    ("status", "kind", "most"),
    [(200, "garbage", streamed.MOST_WHOLE), (404, "not_found", bounded_http.MOST_ERROR), (503, "server", 1 << 16)],
)
async def test_a_body_without_end_is_left(status: int, kind: FailureKind, most: int) -> None:
    head = response(status=status, content_length="", transfer_encoding="chunked")
    chunk = b"4000\r\n" + b"[" * 0x4000 + b"\r\n"
    failed, server = await failure_of(endless(head, chunk))
    assert failed.kind == kind
    assert server.taken < most + 24 * MB, "what the sockets hold is taken, too"


async def test_an_error_that_drips_is_reported_with_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "_ERROR_SECONDS", 0.05)

    def drip() -> Iterable[bytes]:
        yield response(status=400, content_length="1000") + b"the model is asl"
        time.sleep(1)

    failed, _ = await failure_of(drip())
    assert failed.kind == "bad_request" and "the model is asl" in failed.message


@pytest.mark.parametrize(
    "head",
    [
        b"".join(b"x-%d: 1\r\n" % number for number in range(1_000_000)),
        b"x-long: " + b"y" * 10 * MB + b"\r\n",
        b"set-cookie: a=" + b"y" * 10 * MB + b"\r\n",
        b"y" * 10 * MB,
    ],
    ids=["many", "long", "cookie", "no line"],
)
async def test_floods_of_headers_are_left(head: bytes) -> None:
    failed, server = await failure_of([b"HTTP/1.1 200 OK\r\n", head, b"content-length: 2\r\n\r\n{}"])
    assert failed.kind in ("garbage", "network") and len(failed.message) < 1_000
    assert server.taken < len(head)


async def test_cookies_are_neither_kept_nor_sent_back() -> None:
    cookies = "".join(f"set-cookie: c{number}={'v' * 1_000}; Domain=localhost\r\n" for number in range(50))
    sent = response(answer()).replace(b"\r\n", f"\r\n{cookies}set-cookie: d=1\r\n".encode(), 1)
    with raw_server(lambda _: [sent]) as server:
        named = f"http://localhost:{server.port}/v1"
        async with open_client("openai:m", base_url=named, retry=RetryPolicy(attempts=1)) as client:
            for _ in range(3):
                await client.ask(question())
    assert len(server.heads) == 3 and not any("cookie:" in head.lower() for head in server.heads)


NOTHING = b"data: {}\n\n"
EMPTY = b'data: {"choices": [{"delta": {"content": ""}}]}\n\n'


@pytest.mark.parametrize("event", [NOTHING, EMPTY, b"data: 1\n\n", b'data: {"choices": [{"delta": {"x": "y"}}]}\n\n'])
async def test_a_stream_of_nothing_ends(event: bytes) -> None:
    head = response(content_length="", content_type="text/event-stream")
    failed, server = await failure_of(endless(head, event * 100))
    assert failed.kind == "garbage"
    assert server.taken < streamed.MOST_EMPTY * len(event) + 24 * MB


async def test_other_tasks_are_served_while_a_hostile_stream_is_read() -> None:
    event = b'data: {"choices": [{"delta": {"content": "%d "}}]}\n\n'
    pieces = (b"".join(event % number for number in range(start, start + 2_000)) for start in range(0, 60_000, 2_000))
    head = response(content_length="", content_type="text/event-stream")
    lags: list[float] = []

    async def watch() -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0)
            lags.append(time.perf_counter() - begun)

    watching = asyncio.create_task(watch())
    with raw_server(lambda _: itertools.chain([head], pieces)) as server:
        async with client_of(server) as client:
            with pytest.raises(ModelCallFailed):
                await client.ask(question())
    watching.cancel()
    assert sorted(lags)[-20] < 0.05, "a buffer of the socket holds thousands of events"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 4_000_000,
        b'{"a":' * 1_000_000,
        b'{"choices": [{"message": {"content": %s}}]}' % json.dumps("\ud800" * 10).encode(),
        b'{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": ' + b"9" * 1_000_000 + b"}}",
        b'{"choices": [' + b"{}," * 1_000_000 + b"{}]}",
        b'{"choices": [{"message": {"content": [' + b'{"type": "text", "text": ""},' * 10_000 + b"{}]}}]}",
    ],
    ids=["brackets", "objects", "surrogates", "digits", "choices", "parts"],
)
async def test_odd_json_is_a_failure_in_words_or_an_answer(body: bytes) -> None:
    begun = time.monotonic()
    with raw_server(lambda _: [response(body)]) as server:
        async with client_of(server) as client:
            try:
                assert (await client.ask(question())).text
            except ModelCallFailed as failed:
                assert len(failed.message) < 1_000
    assert time.monotonic() - begun < 20
