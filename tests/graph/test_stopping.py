"""Runs that are stopped from another process: the executor sees the request while it executes something."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.graph.stop_watch import LOOK_EVERY, StopWatch
from durable_rlm.graph.stopping import Holder, holder_of, wait_until_idle
from durable_rlm.state.budget import Limits
from durable_rlm.state.leases import Leases
from durable_rlm.state.open_home import open_home
from durable_rlm.state.stop_requests import StopRequests
from durable_rlm.state.stores import Stores
from tests.contract.in_memory_kernel import MemoryKernels
from tests.dead_owners import mark_owner_dead
from tests.fake_sleep import FakeSleep
from tests.graph.sub_rlms.conftest import tree_script
from tests.scripts import Asked, repl, write_script

ASKS = repl("FINAL(llm_query('a') + llm_query('b'))")


@pytest.fixture
async def other(tmp_path: Path, runner: Runner) -> AsyncGenerator[Runner]:
    """A runner of the same home with a connection and leases of its own, as another process has."""
    async with Runner.open(runner.stores.home, kernels=MemoryKernels()) as other:
        yield other


def waiting_model(tmp_path: Path) -> str:
    """Return a model whose second sub-call is never answered."""
    sub = "import asyncio\n        return asyncio.sleep(3600) if prompt == 'b' else 'A'"
    return write_script(tmp_path / "m.py", [ASKS], sub=sub)


async def until_called(runner: Runner, thread: str, calls: int) -> None:
    """Return once a run has made so many calls."""
    while thread not in [run["thread_id"] for run in await runner.queries.runs()]:
        await asyncio.sleep(0.01)
    while len(await runner.queries.calls(thread)) < calls:
        await asyncio.sleep(0.01)


# -- the whole


async def test_another_process_stops_a_run_and_nothing_is_paid_twice(
    runner: Runner, other: Runner, tmp_path: Path
) -> None:
    model = waiting_model(tmp_path)
    task = asyncio.create_task(runner.run("What?", thread="contracts", model=model))
    await until_called(other, "contracts", 2)
    assert await other.stop("cont"), "by the beginning of its name, too"
    run = await task
    assert (run.status, run.exit_code) == ("stopped", 130)
    assert not await other.stop("contracts") and not await other.stop("unknown")
    asked = Asked(write_script(tmp_path / "m.py", [], sub="return prompt.upper()"))
    assert (await other.resume("contracts")).answer == "AB"
    assert (asked.prompts, asked.roots) == (["b"], [])


async def test_one_run_is_stopped_and_the_others_of_its_process_go_on(
    runner: Runner, other: Runner, tmp_path: Path
) -> None:
    model = waiting_model(tmp_path)
    tasks = {name: asyncio.create_task(runner.run("What?", thread=name, model=model)) for name in ("one", "two")}
    for name in tasks:
        await until_called(other, name, 2)
    assert await other.stop("one")
    assert (await tasks["one"]).status == "stopped"
    assert (await other.read("two")).status == "busy"
    assert runner._executor.stops_of_all == 0  # pyright: ignore[reportPrivateUsage]
    assert await runner.stop("two")
    assert (await tasks["two"]).status == "stopped"


async def test_a_request_for_everything_stops_all_runs_of_the_process_and_is_counted(
    runner: Runner, other: Runner, tmp_path: Path
) -> None:
    model = waiting_model(tmp_path)
    tasks = [asyncio.create_task(runner.run("What?", thread=name, model=model)) for name in ("one", "two")]
    for name in ("one", "two"):
        await until_called(other, name, 2)
    stores = other.stores
    assert await StopRequests(stores.database, stores.leases).enter("one", everything=True)
    assert [run.status for run in await asyncio.gather(*tasks)] == ["stopped", "stopped"]
    assert runner._executor.stops_of_all == 1  # pyright: ignore[reportPrivateUsage]


async def test_a_sub_rlm_that_is_resumed_by_itself_is_stopped_by_its_name(
    runner: Runner, other: Runner, tmp_path: Path
) -> None:
    cells = {"top": ["FINAL(rlm_query('child: 1'))"], "child:": ["FINAL(llm_query('slow'))"]}
    model = tree_script(tmp_path / "m.py", cells, sub="import asyncio; return asyncio.sleep(3600)")
    task = asyncio.create_task(runner.run("top of the tree", thread="t", model=model, max_depth=2))
    while len(rows := await other.queries.runs()) < 2:
        await asyncio.sleep(0.01)
    [child] = [row["thread_id"] for row in rows if row["parent"] == "t"]
    await until_called(other, child, 1)
    assert await other.stop(child), "it is a part of a run"
    assert (await task).status == "stopped"
    alone = asyncio.create_task(runner.resume(child))
    while (await other.read(child)).status != "busy":
        await asyncio.sleep(0.01)
    assert await other.stop(child)
    assert (await alone).status == "stopped"


# -- waiting


async def test_waiting_ends_with_the_execution(runner: Runner, other: Runner, tmp_path: Path) -> None:
    task = asyncio.create_task(runner.run("What?", thread="t", model=waiting_model(tmp_path)))
    await until_called(other, "t", 2)
    looks: list[Holder] = []

    async def sleep(_: float) -> None:
        assert await runner.stop("t") or len(looks) > 1
        await task

    await wait_until_idle(other.stores, "t", looks.append, sleep)
    assert len(looks) == 1 and looks[0].host == "" and not looks[0].suspended
    assert (await other.read("t")).status == "stopped"


async def test_a_killed_process_is_not_waited_for(tmp_path: Path) -> None:
    async with open_home(tmp_path / "home") as stores:
        limits = Limits(max_turns=3, max_calls=10)
        await stores.threads.add("t", question="Q", input_digest="d", start={}, model="m", limits=limits)
        await Leases(stores.database).acquire("t")
        assert await holder_of(stores, "t")
        mark_owner_dead(tmp_path / "home")
        assert await holder_of(stores, "t") is None


# -- the watch


class Executions:
    """Executions that can be stopped, by name."""

    def __init__(self, *names: str) -> None:
        self.running = {*names}
        self.stopped: list[str] = []
        self.stops_of_all = 0

    def stop(self, name: str) -> bool:
        self.stopped.append(name)
        return name in self.running

    def stop_all(self) -> None:
        self.stops_of_all += 1


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncGenerator[Stores]:
    async with open_home(tmp_path / "home") as stores:
        yield stores


@pytest.fixture
async def asking(tmp_path: Path, stores: Stores) -> AsyncGenerator[StopRequests]:
    """The requests as another process enters them."""
    async with open_home(tmp_path / "home") as others:
        yield StopRequests(others.database, others.leases)


async def test_an_execution_that_has_not_begun_is_stopped_once_it_has(stores: Stores, asking: StopRequests) -> None:
    executions = Executions()
    watch = StopWatch(stores, executions.stop, executions.stop_all)
    await stores.leases.acquire("t")
    await watch.look()
    assert await asking.enter("t", everything=True)
    await watch.look()
    executions.running.add("t")
    await watch.look()
    assert executions.stopped == ["t", "t"]
    for _ in range(3):
        await asking.enter("t")
        await watch.look()
    assert executions.stopped == ["t", "t"], "what is being stopped is not stopped again"


async def test_each_execution_of_a_run_can_be_stopped(stores: Stores, asking: StopRequests) -> None:
    executions = Executions("t")
    watch = StopWatch(stores, executions.stop, executions.stop_all)
    for number in range(1, 4):
        await stores.leases.acquire("t")
        assert await asking.enter("t")
        await watch.look()
        assert executions.stopped == ["t"] * number
        await stores.leases.release("t")


async def test_a_request_of_this_process_is_seen_too(stores: Stores) -> None:
    executions = Executions("t")
    watch = StopWatch(stores, executions.stop, executions.stop_all)
    await stores.leases.acquire("t")
    await watch.look()
    assert await StopRequests(stores.database, stores.leases).enter("t")
    await watch.look()
    assert executions.stopped == ["t"]


async def test_it_looks_twice_a_second_while_something_is_executed_and_costs_one_pragma(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept, enough = FakeSleep(), asyncio.Event()
    reads: list[str] = []
    read = stores.database.read

    async def noted(sql: str, *given: object) -> object:
        reads.append(sql)
        return await read(sql, *given)  # type: ignore[arg-type]

    async def sleep(seconds: float) -> None:
        await slept(seconds)
        if len(slept.seconds) > 10:
            enough.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(stores.database, "read", noted)
    watch = StopWatch(stores, lambda name: True, lambda: None, sleep)
    with watch.watching(), watch.watching():
        await enough.wait()
    assert slept.seconds == [LOOK_EVERY] * 11 and LOOK_EVERY <= 0.5
    assert reads == ["PRAGMA data_version"] * 10, "nothing is held, so not even the requests are read"
