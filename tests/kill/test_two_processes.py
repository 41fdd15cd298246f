"""One writer a thread: of several processes, one executes it, and the others are refused and leave no trace."""

import json
import signal
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.state.db.connection import connect
from durable_rlm.state.errors import ThreadExists
from durable_rlm.state.home_access import DATABASE
from tests.contract.in_memory_kernel import MemoryKernels
from tests.e2e.program import WaitingRun, rlm, waiting_run
from tests.kill.spawn import Spawner
from tests.kill.trials import Trial, Undisturbed, check_as_undisturbed, check_paid_once
from tests.scripts import Asked

pytestmark = pytest.mark.kill


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 0.8])
def test_of_three_processes_that_race_for_a_thread_one_executes_it(
    spawn: Spawner, undisturbed: Undisturbed, folder: Path, share: float
) -> None:
    trial = Trial(folder / f"race-{share}", spawn)
    point = int(share * len(undisturbed.points))
    if point:
        assert trial.execute(kill_at=point).killed
    in_flight = trial.in_flight()
    ended = trial.execute_together(3)
    where = f"raced for after {point} points"
    statuses = {one.report["run"]["status"] for one in ended}
    # A process that comes after the run has ended gets the stored answer.
    assert "answered" in statuses and statuses <= {"answered", "busy"}, where
    for one in ended:
        if one.report["run"]["status"] == "answered":
            check_as_undisturbed(one, undisturbed, where)
            check_paid_once(trial, one, in_flight, undisturbed, where)
        else:
            assert one.report["run"]["error"]["type"] in ("RunBusy", "LeaseLost")
    with closing(connect(trial.folder / "home" / DATABASE)) as connection:
        forks = "SELECT count(*) FROM checkpoints GROUP BY parent_checkpoint_id HAVING count(*) > 1"
        assert connection.execute(forks).fetchall() == [], "history has one line"


@pytest.fixture
def waiting(tmp_path: Path) -> Generator[WaitingRun]:
    with waiting_run(tmp_path, "--json") as waiting:
        yield waiting


def everything(home: Path) -> list[str]:
    """Return every row of every table but `texts`: a text that no row refers to is harmless, and is collected."""
    with closing(connect(home / DATABASE)) as connection:
        return [line for line in connection.iterdump() if not line.startswith('INSERT INTO "texts"')]


async def test_a_refused_process_leaves_no_trace(waiting: WaitingRun) -> None:
    home, asked = waiting.folder / ".rlm", Asked(waiting.model)
    # The process lives and does nothing.
    waiting.process.send_signal(signal.SIGSTOP)
    before = everything(home)
    for command in (
        ["resume", "t"],
        ["resume", "t", "--max-turns", "99", "--max-cost", "5"],
        ["run", "Q?", "--model", waiting.model, "--thread", "t"],
    ):
        refused = rlm(waiting.folder, *command)
        assert refused.returncode == 5 and "is being run by process" in refused.stderr
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        assert (await runner.resume("t", max_calls=7)).exit_code == 5
        with pytest.raises(ThreadExists):
            await runner.run("Another?", model=waiting.model, thread="t")
    assert everything(home) == before
    assert (asked.prompts, asked.roots) == ([], [])


async def test_a_process_that_wakes_up_after_a_takeover_changes_nothing_and_reports_it(
    waiting: WaitingRun,
) -> None:
    """A laptop that was closed for an hour, as a process on another machine sees it."""
    home, stopped = waiting.folder / ".rlm", waiting.process
    stopped.send_signal(signal.SIGSTOP)
    with closing(connect(home / DATABASE)) as connection:
        elsewhere = "UPDATE leases SET owner = json_set(owner, '$.host', 'elsewhere'), renewed = renewed - 3600"
        assert connection.execute(elsewhere).rowcount == 1
    waiting.answer_at_once()
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        assert (await runner.resume("t")).answer == "AB"
    after = everything(home)

    stopped.send_signal(signal.SIGCONT)
    waiting.release()
    out, err = stopped.communicate(timeout=30)
    assert stopped.returncode == 5 and "taken over" in err, err
    assert json.loads(out)["status"] == "busy"
    assert everything(home) == after
    assert rlm(waiting.folder, "resume", "t").stdout == "AB\n"
