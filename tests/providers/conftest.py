"""Clients of the packages of other providers, whose servers are stubs on loopback. Nothing else can be contacted."""

import gc
import ipaddress
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.nodes.models.provider_protocol import ModelRequest
from durable_rlm.nodes.models.providers import open_client
from durable_rlm.nodes.models.retry import RetryPolicy
from tests.fake_sleep import FakeSleep
from tests.providers.protocols import PROTOCOLS, Protocol
from tests.providers.stub import Stub

OpenTo = Callable[..., ModelClient]

_elsewhere: list[str] | None = None
"""Hosts other than this machine that were asked for; None while no test here runs."""


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if _elsewhere is None or event not in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        return
    host = args[0] if event == "socket.getaddrinfo" else args[1][0] if isinstance(args[1], tuple) else "127.0.0.1"
    host = host.decode() if isinstance(host, bytes) else host
    try:
        here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = host in ("localhost", None)
    if not here:
        _elsewhere.append(str(host))
        raise ConnectionRefusedError(f"{host} is not on loopback")


@cache
def _start_to_watch() -> None:
    """Watch this process from now on: such a hook cannot be removed."""
    sys.addaudithook(_watch)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the packages of others use what is deprecated, and keep connections open: neither is ours to mend."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            for ignored in ("DeprecationWarning", "ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{ignored}"))


@pytest.fixture(autouse=True, scope="session")
def connections_are_collected() -> Iterator[None]:
    """Collect what clients keep open before the last test has ended, whose warnings are ignored."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def nothing_else_is_contacted() -> Iterator[None]:
    """Fail a test in which any host but this machine was looked up or connected to."""
    global _elsewhere
    _start_to_watch()
    _elsewhere = contacted = []
    yield
    _elsewhere = None
    assert contacted == []


@pytest.fixture(params=PROTOCOLS, ids=lambda one: one.provider)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    """Return each provider's protocol whose package is installed."""
    return installed(request.param)


def installed(protocol: Protocol) -> Protocol:
    """Return the protocol; skip the test where its package is missing."""
    pytest.importorskip(protocol.package, reason=f"needs {protocol.package}: make test-providers")
    return protocol


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    """Return a running server without answers."""
    async with Stub() as server:
        yield server


@pytest.fixture
def fake_sleep() -> FakeSleep:
    return FakeSleep()


@pytest.fixture
def open_to(monkeypatch: pytest.MonkeyPatch, fake_sleep: FakeSleep) -> OpenTo:
    """Return a function that opens a client of a protocol at a stub, with options."""
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)

    def open_one(protocol: Protocol, stub: Stub, options: dict[str, Any] | None = None, model: str = "") -> ModelClient:
        monkeypatch.setenv(protocol.url_name, stub.url + protocol.url_suffix)
        if protocol.key_name:
            monkeypatch.setenv(protocol.key_name, "key-of-a-test-0123456789")
        retry = RetryPolicy(sleep=fake_sleep, chance=lambda: 0.0)
        return open_client(f"{protocol.provider}:{model or protocol.model}", retry=retry, options=options)

    return open_one


def question(text: str = "What is it?", limit: int = 50) -> ModelRequest:
    """Return the request of a sub-call with this prompt, and a system message."""
    return ModelRequest([{"role": "system", "content": "Answer."}, {"role": "user", "content": text}], limit)
