"""Requests that reach no server do not count as model calls; all those that may have been answered do."""

import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.nodes.models.providers import open_client
from durable_rlm.nodes.models.retry import RetryPolicy
from durable_rlm.state.db.connection import connect
from durable_rlm.state.model_specs import ModelSpec
from durable_rlm.state.records import as_usage
from durable_rlm.state.usage import UsageTotals
from tests.contract.in_memory_kernel import MemoryKernels
from tests.nodes.sub_calls.conftest import cells, models
from tests.servers.faults import Fault
from tests.servers.openai_server import ScriptedServer

NOTHING = {**as_usage(UsageTotals()), "coverage": None}
PRICE = (2.0, 10.0)
ASKING = "try:\n    said = llm_query('a')\nexcept SubCallError as error:\n    said = str(error)\nFINAL(said)"


@contextlib.contextmanager
def held_port() -> Generator[int]:
    """Yield a port of this machine that refuses connections and is in use by no other process: bound, not listened on.

    A server can still be started on it.
    """
    with contextlib.closing(socket.socket()) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def closed() -> Generator[str]:
    with held_port() as port:
        yield f"http://127.0.0.1:{port}/v1"


class Backoff:
    """A sleep function that records the counted usage of a run before each further attempt; it calls `then` first."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.database = Path()
        self.then: Callable[[], Any] = lambda: None

    async def __call__(self, seconds: float) -> None:
        self.then()
        connection = connect(self.database)
        self.seen += connection.execute("SELECT attempts, input_tokens, output_tokens, cost FROM calls").fetchall()
        connection.close()


@pytest.fixture
def backoff() -> Backoff:
    return Backoff()


@pytest.fixture
def addresses() -> dict[str, str]:
    """Return the base URLs of models by name, where they differ from the settings; tests fill it."""
    return {}


@pytest.fixture
async def runner(
    tmp_path: Path, backoff: Backoff, addresses: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Runner]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    backoff.database = tmp_path / "home" / "checkpoints.sqlite"

    def open_model(spec: ModelSpec) -> ModelClient:
        base_url = addresses.get(spec.name, spec.base_url)
        return open_client(spec.name, base_url=base_url, price=spec.price, retry=RetryPolicy(sleep=backoff))

    async with Runner.open(tmp_path / "home", kernels=MemoryKernels(), open_model=open_model) as runner:
        yield runner


async def test_a_root_request_that_reaches_no_server_costs_nothing_during_waits_and_after_a_resume(
    runner: Runner, closed: str, backoff: Backoff
) -> None:
    run = await runner.run("Q?", thread="t", model="openai:root", base_url=closed, price=PRICE)
    assert (run.status, run.usage) == ("failed", NOTHING)
    assert run.error and "cannot be reached after 6 attempts" in run.error["message"]
    assert backoff.seen == [(0, 0, 0, 0.0)] * 5, "a process that is killed during a wait leaves nothing counted either"
    again = await runner.resume("t")
    assert (again.status, again.usage) == ("failed", NOTHING)
    assert (await runner.queries.usage("t")) == NOTHING


async def test_a_request_that_reaches_no_server_uses_up_no_budget(
    runner: Runner, closed: str, addresses: dict[str, str]
) -> None:
    with ScriptedServer(cells(ASKING)) as server:
        addresses["openai:sub"] = closed
        run = await runner.run("Q?", max_calls=3, max_tokens=60_000, price=PRICE, **models(server))
    assert run.status == "answered" and "cannot be reached after 6 attempts" in run.answer
    assert run.usage["model_calls"] == len(server.requests) == 1
    assert run.usage["input_tokens"] + run.usage["output_tokens"] == server.billed.total
    assert run.usage["cost_usd"] == pytest.approx(server.billed.cost(PRICE))


async def test_a_call_that_reached_no_server_is_recorded_as_failed_without_tokens(
    runner: Runner, closed: str, addresses: dict[str, str]
) -> None:
    with ScriptedServer(cells(ASKING)) as server:
        addresses["openai:sub"] = closed
        await runner.run("Q?", thread="t", **models(server))
        [call] = await runner.queries.calls("t")
    assert "cannot be reached" in str(call.row.error) and call.row.status == "failed" and call.row.tokens == 0


async def test_requests_whose_connection_breaks_off_after_they_were_sent_are_counted(runner: Runner) -> None:
    with ScriptedServer(cells(ASKING), faults=[Fault("reset", when=lambda body: body["model"] == "sub")]) as server:
        run = await runner.run("Q?", price=PRICE, **models(server))
    assert run.usage["model_calls"] == len(server.requests) == 7, "the root's, and six that may have been billed"
    root = server.requests[0].billed
    assert run.usage["input_tokens"] > root.input and run.usage["output_tokens"] > root.output


async def test_only_attempts_that_reach_a_server_are_counted(runner: Runner, backoff: Backoff) -> None:
    with held_port() as port:
        server = ScriptedServer(cells("FINAL('here')"), port=port)
        backoff.then = server.start
        run = await runner.run("Q?", **models(server))
    server.stop()
    assert (run.answer, len(backoff.seen), run.usage["model_calls"]) == ("here", 1, 1)
    assert run.usage["input_tokens"] + run.usage["output_tokens"] == server.billed.total
