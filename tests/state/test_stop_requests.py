"""Requests to stop: they are for the present holder of a run, and for the top of its tree."""

import json

import pytest

from durable_rlm.state.budget import Limits
from durable_rlm.state.db.connection import Database
from durable_rlm.state.db.lineage import Child, enter_child
from durable_rlm.state.leases import Leases
from durable_rlm.state.stop_requests import StopRequests
from durable_rlm.state.threads import Threads

LIMITS = Limits(max_turns=3, max_calls=10)


@pytest.fixture
def holder(database: Database) -> Leases:
    """The leases of the process that executes runs."""
    return Leases(database)


@pytest.fixture
def asking(database: Database) -> StopRequests:
    """The requests as another process enters them."""
    return StopRequests(database, Leases(database))


@pytest.fixture
def asked(database: Database, holder: Leases) -> StopRequests:
    """The requests as the process that executes runs finds them."""
    return StopRequests(database, holder)


async def kill_the_holders(database: Database) -> None:
    await database.commit(lambda c: c.execute("UPDATE leases SET owner = json_set(owner, '$.ticks', 1)"))


async def enter_tree(database: Database) -> None:
    """Enter a run, its sub-RLM, and one below that."""
    threads = Threads(database)
    for name in ("top", "child", "grandchild"):
        await threads.add(name, question="Q", input_digest="d", start={}, model="m", limits=LIMITS)
    await database.commit(lambda connection: enter_child(connection, Child("child", "top", "1:a:1", 1)))
    await database.commit(lambda connection: enter_child(connection, Child("grandchild", "child", "1:b:1", 2)))


async def test_a_request_reaches_the_process_that_holds_the_run_and_no_other(
    database: Database, holder: Leases, asking: StopRequests, asked: StopRequests
) -> None:
    await holder.acquire("t")
    await holder.acquire("u")
    assert await asked.look() == {}
    assert await asking.enter("t")
    assert await asked.look() == {("t", 1): False}
    assert await StopRequests(database, Leases(database)).look() == {}


async def test_a_run_that_nobody_executes_cannot_be_stopped(
    database: Database, holder: Leases, asking: StopRequests
) -> None:
    assert not await asking.enter("t") and await asking.enter_for_all() == []
    await holder.acquire("t")
    await kill_the_holders(database)
    assert not await asking.enter("t"), "its process was killed"
    assert await asking.enter_for_all() == [] and await asking.running() == []
    await holder.release("t")
    assert not await asking.enter("t")


async def test_a_request_does_not_stop_a_later_execution(
    database: Database, holder: Leases, asking: StopRequests, asked: StopRequests
) -> None:
    await holder.acquire("t")
    assert await asking.enter("t", everything=True)
    await holder.release("t")
    await holder.acquire("t")
    assert await asked.look() == {}
    assert await asking.enter("t")
    assert await asked.look() == {("t", 2): False}
    await kill_the_holders(database)
    successor = Leases(database)
    await successor.acquire("t")
    assert await asked.look() == {}, "a process that slept meanwhile has lost the run"
    assert await StopRequests(database, successor).look() == {}


async def test_a_request_for_a_sub_rlm_is_one_for_the_run_at_the_top(
    database: Database, holder: Leases, asking: StopRequests, asked: StopRequests
) -> None:
    await enter_tree(database)
    for name in ("top", "child", "grandchild"):
        await holder.acquire(name)
    assert await asking.running() == ["top"]
    assert await asking.enter("grandchild")
    assert await asked.look() == {("top", 1): False}


async def test_all_runs_are_asked_to_stop_and_their_trees_once(
    database: Database, holder: Leases, asking: StopRequests, asked: StopRequests
) -> None:
    await enter_tree(database)
    for name in ("top", "child", "t", "dead"):
        await holder.acquire(name)
    await database.commit(
        lambda c: c.execute("UPDATE leases SET owner = json_set(owner, '$.ticks', 1) WHERE thread_id = 'dead'")
    )
    assert await asking.running() == ["t", "top"]
    assert await asking.enter_for_all() == ["t", "top"]
    assert await asked.look() == {("t", 1): True, ("top", 1): True}


@pytest.mark.parametrize("first", [True, False])
async def test_a_request_for_everything_is_not_taken_back_by_one_for_a_run(
    holder: Leases, asking: StopRequests, asked: StopRequests, first: bool
) -> None:
    await holder.acquire("t")
    await asking.enter("t", everything=first)
    await asking.enter("t", everything=not first)
    assert await asked.look() == {("t", 1): True}


async def test_the_holder_is_described_as_long_as_it_lives(database: Database, holder: Leases) -> None:
    assert await holder.holder("t") is None
    await holder.acquire("t")
    [[owner]] = await database.read("SELECT owner FROM leases")
    assert await Leases(database).holder("t") == json.loads(owner)
    await kill_the_holders(database)
    assert await Leases(database).holder("t") is None
