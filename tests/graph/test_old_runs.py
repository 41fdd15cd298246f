"""`rlm gc --older-than`: old runs go with their sub-RLMs; those that wait, run, are damaged or are young stay."""

from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.graph.maintenance import collect_garbage
from durable_rlm.graph.retention import delete_old_runs
from durable_rlm.state.db.opening import connect
from durable_rlm.state.logs import LogFile, log_name, log_path
from durable_rlm.state.maintenance.retention import parse_age
from tests.clock import Clock
from tests.contract.in_memory_kernel import MemoryKernels
from tests.damage import DATABASE, change
from tests.scripts import repl, write_script

DAY = 86_400.0


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000_000_000.0)


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_script(tmp_path / "m.py", [repl("a = llm_query('x')"), repl("FINAL(a)")])


def opened(home: Path, clock: Clock) -> AbstractAsyncContextManager[Runner]:
    return Runner.open(home, kernels=MemoryKernels(), clock=clock)


async def names(runner: Runner) -> set[str]:
    return {run["thread_id"] for run in await runner.queries.runs()}


async def test_old_runs_are_deleted_and_young_ones_stay(tmp_path: Path, clock: Clock, model: str) -> None:
    async with opened(tmp_path / "home", clock) as runner:
        for name in ("oldest", "old"):
            await runner.run("What?", f"the input of {name}", model=model, thread=name)
            LogFile(tmp_path / "home", log_name(name))
        clock.now += 89 * DAY
        await runner.run("What?", "the input of young", model=model, thread="young")
        clock.now += 2 * DAY
        would = await runner.gc(older_than=90 * DAY, dry_run=True)
        assert (would.old.deleted, would.old.kept) == (["old", "oldest"], {})
        assert await names(runner) == {"old", "oldest", "young"}
        collected = await runner.gc(older_than=90 * DAY)
        assert collected.old.deleted == would.old.deleted and collected.to_json()["deleted"] == would.old.deleted
        assert await names(runner) == {"young"} and (await runner.verify("young")).ok
        assert not log_path(tmp_path / "home", log_name("old")).exists()
        assert (await runner.gc(older_than=90 * DAY)).old.deleted == []
        assert (await runner.gc()).to_json()["deleted"] == [] and await names(runner) == {"young"}


async def test_a_run_that_waits_for_a_reviewer_is_never_old(tmp_path: Path, clock: Clock, model: str) -> None:
    async with opened(tmp_path / "home", clock) as runner:
        assert (await runner.run("What?", model=model, thread="asked", approve=["code"])).status == "paused"
        assert (await runner.run("What?", model=model, thread="killed", approve=["code"])).status == "paused"
        # Its process was killed between the request for approval and the entry in the index of runs.
        await runner.stores.threads.set_status("killed", "running", seconds=1.0)
        clock.now += 1000 * DAY
        for dry_run in (True, False):
            old = (await runner.gc(older_than=DAY, dry_run=dry_run)).old
            assert (old.deleted, old.kept) == ([], {"asked": "waiting", "killed": "waiting"})
        assert (await runner.decide("killed", [{"type": "approve"}])).status == "paused"


async def test_a_run_that_a_process_runs_stays_and_so_does_what_its_fork_needs(
    tmp_path: Path, clock: Clock, model: str
) -> None:
    async with opened(tmp_path / "home", clock) as runner:
        for name in ("running", "origin"):
            await runner.run("What?", model=model, thread=name)
        await runner.fork("origin", 4, into="forked")
        clock.now += 100 * DAY
        leases = runner.stores.leases
        await leases.acquire("running")
        await leases.acquire("forked")
        old = (await runner.gc(older_than=DAY)).old
        assert (old.deleted, set(old.kept.values())) == ([], {"running"})
        assert await names(runner) == {"running", "origin", "forked"}
        await leases.release("forked")
        await runner.stores.threads.set_status("forked", "stopped", seconds=1.0)
        old = (await runner.gc(older_than=DAY)).old
        assert (old.deleted, old.kept) == (["origin"], {"running": "running"})
        forked = await runner.resume("forked")
        assert (forked.status, forked.usage["model_calls"]) == ("answered", 0), "it has what its original recorded"


async def test_a_run_goes_with_its_sub_rlms_and_a_young_sub_rlm_keeps_it(tmp_path: Path, clock: Clock) -> None:
    replies = [repl("a = rlm_query('below')"), repl("FINAL(a)")]
    model = write_script(tmp_path / "m.py", replies)
    script = tmp_path / "m.py"
    below = repl("FINAL('b')")
    script.write_text(
        script.read_text()
        + "\n_top = root\ndef root(messages):\n"
        + f"    return {below!r} if 'below' in messages[1]['content'] else _top(messages)\n"
    )
    async with opened(tmp_path / "home", clock) as runner:
        for name in ("old", "kept"):
            run = await runner.run("What?", model=model, thread=name, max_depth=2)
            assert run.status == "answered", run.error
        children = {run["parent"]: run["thread_id"] for run in await runner.queries.runs() if run["parent"]}
        clock.now += 100 * DAY
        await runner.stores.threads.set_status(children["kept"], "answered", seconds=1.0)
        would = await runner.gc(older_than=DAY, dry_run=True)
        assert would.old.deleted == ["old", children["old"]]
        old = (await runner.gc(older_than=DAY)).old
        assert (old.deleted, old.kept) == (would.old.deleted, {})
        assert await names(runner) == {"kept", children["kept"]}


async def test_a_damaged_run_stays_and_keeps_no_other(tmp_path: Path, clock: Clock, model: str) -> None:
    async with opened(tmp_path / "home", clock) as runner:
        for name in ("damaged", "unreadable", "old"):
            await runner.run("What?", model=model, thread=name)
    change(
        tmp_path / "home",
        "UPDATE threads SET updated = 0.0 WHERE thread_id = 'damaged'",
    )
    change(tmp_path / "home", "UPDATE threads SET updated = 'never' WHERE thread_id = 'unreadable'")
    clock.now += 100 * DAY
    async with opened(tmp_path / "home", clock) as runner:
        for dry_run in (True, False):
            old = (await runner.gc(older_than=DAY, dry_run=dry_run)).old
            assert (old.deleted, old.kept) == (["old"], {"damaged": "damaged", "unreadable": "damaged"})


async def test_a_run_touched_meanwhile_stays(tmp_path: Path, clock: Clock, model: str) -> None:
    """The runs are chosen at first, and each is looked at again in the transaction that deletes it."""
    async with opened(tmp_path / "home", clock) as runner:
        for name in ("first", "second"):
            await runner.run("What?", model=model, thread=name)
        clock.now += 100 * DAY
        stores = runner.stores

        def touched(runs: int) -> None:
            if runs == 1:
                with closing(connect(tmp_path / "home" / DATABASE)) as connection:
                    connection.execute("UPDATE threads SET updated = ? WHERE thread_id = 'second'", (clock.now,))

        old = await delete_old_runs(stores, DAY, on_progress=touched)
        assert (old.deleted, old.kept) == (["first"], {}) and await names(runner) == {"second"}


async def test_logs_of_runs_that_are_gone_are_freed(tmp_path: Path, clock: Clock, model: str) -> None:
    home = tmp_path / "home"
    async with opened(home, clock) as runner:
        await runner.run("What?", model=model, thread="there")
    for name in ("there", "gone"):
        log = LogFile(home, log_name(name))
        log.append(b"a line\n", b"")
    assert (await collect_garbage(home, dry_run=True)).freed["logs"].to_json() == {"records": 1, "bytes": 7}
    assert (await collect_garbage(home)).freed["logs"].records == 1
    assert [path.name for path in (home / "logs").iterdir()] == [log_name("there")]


@pytest.mark.parametrize(
    ("text", "seconds"), [("12h", 43_200), ("90d", 7_776_000), (" 2w ", 1_209_600), ("30s", 30), ("0d", 0)]
)
def test_ages_have_units(text: str, seconds: float) -> None:
    assert parse_age(text) == seconds


REFUSED = ["90", "", "d", "-1d", "1.5d", "90m", "1e3d", "90 d x", "\u0669d", "9999999999d"]


@pytest.mark.parametrize("text", REFUSED)
def test_an_age_that_could_mean_anything_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an age; write 90d"):
        parse_age(text)
