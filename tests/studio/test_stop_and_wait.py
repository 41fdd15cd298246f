"""`rlm stop`, `rlm wait` and lists by status, in this process: what they say and refuse, and ask a holder for."""

import asyncio
import json
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from durable_rlm import Runner
from durable_rlm.graph.stopping import Holder
from durable_rlm.state.db.checksums import register_function
from durable_rlm.state.leases import _ticks, this_process
from durable_rlm.studio.cli.waiting import Remarks
from durable_rlm.studio.commands.stop import _say_what_became_of, _Stop
from durable_rlm.studio.invocation import Invocation
from tests.contract.in_memory_kernel import MemoryKernels
from tests.damage import DATABASE
from tests.scripts import repl, write_script
from tests.studio.conftest import Rlm

Hold = Callable[..., None]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with an answered run, one out of turns, one that waits for a reviewer, and one that was stopped."""
    model = write_script(tmp_path / "m.py", [repl("x = 1"), repl("FINAL(x)")])
    folder = tmp_path / ".rlm"

    async def fill() -> None:
        async with Runner.open(folder, kernels=MemoryKernels()) as runner:
            await runner.run("What?", thread="answered-run", model=model)
            await runner.run("What?", thread="spent-run", model=model, max_turns=1)
            await runner.run("What?", thread="waiting-run", model=model, approve=["code"])
            await runner.run("What?", thread="other-run", model=model, max_turns=1)

    asyncio.run(fill())
    return folder


@pytest.fixture
def hold(home: Path) -> Hold:
    """Make runs look as if another living process executed them: the one that started this one."""

    def hold(*names: str, host: str = this_process()["host"]) -> None:
        process = psutil.Process(os.getppid())
        owner = {**this_process(), "pid": process.pid, "started": process.create_time(), "ticks": _ticks(process.pid)}
        with closing(sqlite3.connect(home / DATABASE)) as connection, connection:
            register_function(connection)
            for name in names:
                connection.execute(
                    "UPDATE leases SET owner = ?, renewed = unixepoch() WHERE thread_id = ?",
                    (json.dumps({**owner, "host": host}), name),
                )
                connection.execute("UPDATE threads SET status = 'running' WHERE thread_id = ?", (name,))

    return hold


def requests(home: Path) -> list[tuple[str, int]]:
    """Return the runs whose present holders are asked to stop, with whether all runs of theirs are meant."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        return connection.execute(
            "SELECT thread_id, stop_all FROM leases WHERE stop = token ORDER BY thread_id"
        ).fetchall()


def names_of(listed: str) -> list[str]:
    return sorted(run["thread_id"] for run in json.loads(listed))


def test_lists_show_what_waits_and_what_runs(rlm: Rlm, home: Path, hold: Hold) -> None:
    assert names_of(rlm("list", "--waiting", "--json").out) == ["waiting-run"]
    assert json.loads(rlm("list", "--running", "--json").out) == []
    nothing = rlm("list", "--running")
    assert (nothing.code, nothing.out) == (0, "") and nothing.err == "No run is being run by a process.\n"
    hold("other-run")
    assert names_of(rlm("list", "--running", "--json").out) == ["other-run"]
    assert names_of(rlm("list", "--running", "--waiting", "--json").out) == ["other-run", "waiting-run"]
    shown = rlm("list", "--waiting")
    assert "waiting-run" in shown.out and "other-run" not in shown.out and "rlm review waiting-run" in shown.err


def test_lists_of_an_empty_home_say_so(rlm: Rlm) -> None:
    assert "No runs are saved in .rlm." in rlm("list", "--waiting").err
    assert rlm("list", "--running", "--json").out == "[]\n"


@pytest.mark.parametrize(
    ("name", "says", "then"),
    [
        ("answered-run", "its status is answered", "rlm resume answered-run"),
        ("spent-run", "its status is budget", "rlm resume spent-run"),
        ("waiting-run", "its status is paused", "rlm review waiting-run"),
        ("unknown-run", "no run named unknown-run", "rlm list"),
    ],
)
def test_a_run_that_is_not_running_is_refused_with_the_next_command(
    rlm: Rlm, home: Path, name: str, says: str, then: str
) -> None:
    refused = rlm("stop", name)
    assert (refused.code, refused.out) == (2, "") and says in refused.err and then in refused.err
    assert json.loads(rlm("stop", name, "--json").out)["error"]["message"]
    assert requests(home) == []


@pytest.mark.parametrize("arguments", [["stop"], ["stop", "--all"], ["stop", "t"], ["wait", "t"], ["wait"]])
def test_nothing_is_made_where_there_is_no_home(rlm: Rlm, tmp_path: Path, arguments: list[str]) -> None:
    refused = rlm(*arguments)
    assert (refused.code, refused.out) == (2, "") and refused.err
    assert list(tmp_path.iterdir()) == []


def test_the_only_running_run_needs_no_name_and_of_several_each_is_listed(rlm: Rlm, home: Path, hold: Hold) -> None:
    assert rlm("stop").code == rlm("stop", "--all").code == 2
    hold("other-run")
    done = rlm("stop")
    assert done.code == 0 and f"Process {os.getppid()} was asked to stop other-run." in done.err
    assert requests(home) == [("other-run", 0)]
    hold("spent-run")
    unclear = rlm("stop")
    assert unclear.code == 2 and "2 runs are running: other-run, spent-run." in unclear.err
    assert "`rlm stop --all`" in unclear.err
    assert rlm("stop", "spent", "--all").code == 2, "a name and all are a contradiction"
    assert requests(home) == [("other-run", 0)]
    stopping = [{"thread_id": name, "status": "stopping"} for name in ("other-run", "spent-run")]
    assert json.loads(rlm("stop", "--all", "--json").out) == stopping
    assert requests(home) == [("other-run", 1), ("spent-run", 1)]


def test_the_runs_of_one_process_are_one_line(rlm: Rlm, home: Path, hold: Hold) -> None:
    hold("other-run", "spent-run")
    said = rlm("stop", "--all").err
    assert said == f"Process {os.getppid()} was asked to stop other-run, spent-run.\n"


def test_of_many_runs_that_were_stopped_only_the_counts_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    stops = [_Stop(f"q{number}", "answered" if number == 3 else "stopped") for number in range(200)]
    _say_what_became_of(stops, Invocation(Path(".rlm")))
    assert capsys.readouterr().err == "200 runs: 199 stopped, 1 answered\nLook: rlm list\n"


def test_waiting_for_a_run_that_has_ended_says_no_time(rlm: Rlm, home: Path) -> None:
    done = rlm("wait", "answered-run")
    assert done.code == 0 and "answered · 2 turns · 2 model calls · " in done.err
    assert not re.search(r" \d\.\d s ", done.err)


def test_the_machine_of_a_process_is_named_if_it_is_another_one(rlm: Rlm, home: Path, hold: Hold) -> None:
    hold("other-run", host="else\x1b[31mwhere")
    said = rlm("stop", "other-run").err
    assert f"Process {os.getppid()} on else" in said and "\x1b" not in said
    assert requests(home) == [("other-run", 0)]


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [("answered-run", 0, "answered"), ("spent-run", 4, "budget"), ("waiting-run", 3, "paused")],
)
def test_waiting_for_a_run_that_nobody_executes_reports_it_at_once(
    rlm: Rlm, home: Path, name: str, code: int, says: str
) -> None:
    done = rlm("wait", name)
    assert (done.code, done.out) == (code, "1\n" if code == 0 else "") and f"{says} · " in done.err
    document = rlm("wait", name[:6], "--json")
    assert (document.code, json.loads(document.out)["status"]) == (code, says)


def test_an_answer_that_was_waited_for_can_be_written_to_a_file(rlm: Rlm, home: Path, tmp_path: Path) -> None:
    refused = rlm("wait", "answered-run", "-o", str(tmp_path / "missing" / "answer.txt"))
    assert refused.code == 2
    assert rlm("wait", "answered-run", "-o", "answer.txt").code == 0
    assert (tmp_path / "answer.txt").read_text() == "1\n"


def test_a_process_that_does_not_react_is_mentioned_once(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    stopping = Remarks(asked_to_stop=True, clock=lambda: now[0])
    waiting = Remarks(asked_to_stop=False, clock=lambda: now[0])
    for _ in range(20):
        for remarks in (stopping, waiting):
            remarks.look(Holder(7, "", suspended=False))
        now[0] += 0.5
    for _ in range(3):
        waiting.look(Holder(7, "", suspended=True))
    assert capsys.readouterr().err.splitlines() == [
        "Process 7 has not stopped it yet.",
        "Process 7 is suspended, so it does nothing until `kill -CONT 7` wakes it.",
    ]
