"""The HTTP clients of other providers' packages follow no redirect and read no more than a reply may hold."""

import itertools
import tracemalloc
from collections.abc import Callable, Iterable
from types import SimpleNamespace

import pytest

from durable_rlm.nodes.models.errors import ModelCallFailed
from durable_rlm.nodes.models.langchain_http_clients import MOST_WHOLE
from tests.providers.conftest import OpenTo, question
from tests.providers.protocols import Protocol
from tests.servers.raw_server import RawServer, gzipped, raw_server, response

MB = 1 << 20


async def failure_of(
    pieces: Callable[[], Iterable[bytes]], protocol: Protocol, open_to: OpenTo
) -> tuple[ModelCallFailed, RawServer]:
    with raw_server(lambda _: pieces()) as server:
        async with open_to(protocol, SimpleNamespace(url=server.base_url.removesuffix("/v1"))) as client:
            with pytest.raises(ModelCallFailed) as failed:
                await client.ask(question())
    return failed.value, server


@pytest.mark.parametrize("status", [302, 307])
async def test_no_redirect_is_followed(status: int, protocol: Protocol, open_to: OpenTo) -> None:
    with raw_server(lambda _: [response(b"{}")]) as elsewhere:
        where = f"http://127.0.0.1:{elsewhere.port}/latest?token=1"
        failed, server = await failure_of(lambda: [response(status=status, location=where)], protocol, open_to)
    assert elsewhere.heads == [] and len(server.heads) == 1
    assert failed.kind == "redirected" and str(elsewhere.port) in failed.message and "token" not in failed.message


@pytest.mark.parametrize("status", [200, 400])
async def test_compressed_bombs_cost_little_memory(status: int, protocol: Protocol, open_to: OpenTo) -> None:
    bomb = gzipped(b'{"error": {"message": "', b"A" * MB, 300)
    tracemalloc.start()
    failed, _ = await failure_of(lambda: [response(bomb, status, content_encoding="gzip")], protocol, open_to)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * MB and failed.kind == {200: "garbage", 400: "bad_request"}[status]


async def test_a_body_without_end_is_left(protocol: Protocol, open_to: OpenTo) -> None:
    head = response(content_length="", transfer_encoding="chunked")
    chunk = b"4000\r\n" + b"[" * 0x4000 + b"\r\n"
    failed, server = await failure_of(lambda: itertools.chain([head], itertools.repeat(chunk)), protocol, open_to)
    assert failed.kind == "garbage" and server.taken < failed.attempts * (MOST_WHOLE + 8 * MB)
