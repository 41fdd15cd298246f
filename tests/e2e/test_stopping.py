"""Stopping a run by signals or a closed pipe: saved work is resumed, and nothing is paid for twice."""

import json
import signal
import time
from pathlib import Path

import psutil
import pytest

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.e2e.program import rlm, waiting_run
from tests.scripts import Asked, repl, write_script

pytestmark = pytest.mark.kill
ORDERLY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def check_resuming(folder: Path) -> None:
    """Check that one call of the stopped run may have been billed, and that a resumed run repeats that call alone."""
    asked = Asked(f"scripted:{folder / 'm.py'}")
    async with Runner.open(folder / ".rlm", kernels=MemoryKernels()) as runner:
        assert [run["status"] for run in await runner.queries.runs()] == ["stopped"]
        first, second = [call.to_json() for call in await runner.queries.calls("t")]
        assert (first["answer"], second["answer"]) == ("A", None) and "may have been billed" in second["error"]
        run = await runner.resume("t")
        assert (run.status, run.answer) == ("answered", "AB")
    assert (asked.prompts, len(asked.roots)) == (["b"], 0)
    # Two requests for the same call, and the answer before it.
    assert run.usage["model_calls"] == 4


async def test_signals_stop_a_run_within_two_seconds_and_leave_no_process(tmp_path: Path) -> None:
    took: list[float] = []
    for number in ORDERLY:
        folder = tmp_path / number.name
        folder.mkdir()
        with waiting_run(folder, "--json") as waiting:
            started = psutil.Process(waiting.process.pid).children(recursive=True)
            begun = time.monotonic()
            waiting.process.send_signal(number)
            out, err = waiting.process.communicate(timeout=30)
            took.append(time.monotonic() - begun)
            assert waiting.process.returncode == 130 and "rlm resume t" in err
            assert json.loads(out)["status"] == "stopped"
            assert started and not [one for one in started if one.is_running()], "they end before the program"
            waiting.answer_at_once()
            await check_resuming(folder)
    # The quickest counts, because this machine may have other things to do.
    assert min(took) < 2


async def test_a_killed_run_prints_nothing_and_resumes(tmp_path: Path) -> None:
    with waiting_run(tmp_path) as waiting:
        waiting.process.kill()
        assert waiting.process.communicate(timeout=30)[0] == ""
        assert waiting.process.returncode == -signal.SIGKILL
        waiting.answer_at_once()
        await check_resuming(tmp_path)


async def test_a_call_that_cannot_be_cancelled_delays_no_stop(tmp_path: Path) -> None:
    with waiting_run(tmp_path, "--json", deaf=True) as waiting:
        begun = time.monotonic()
        waiting.process.send_signal(signal.SIGTERM)
        out, _ = waiting.process.communicate(timeout=30)
        assert time.monotonic() - begun < 5, "two seconds, on a machine with nothing else to do"
        assert waiting.process.returncode == 130 and json.loads(out)["status"] == "stopped"
        waiting.answer_at_once()
        await check_resuming(tmp_path)


async def test_a_second_signal_cuts_a_slow_stop_short(tmp_path: Path) -> None:
    with waiting_run(tmp_path, deaf=True) as waiting:
        started = psutil.Process(waiting.process.pid).children(recursive=True)
        waiting.process.send_signal(signal.SIGINT)
        assert waiting.process.stderr is not None
        while "Stopping." not in waiting.process.stderr.readline():
            assert waiting.process.poll() is None
        waiting.process.send_signal(signal.SIGINT)
        assert waiting.process.wait(timeout=30) == 130
        assert psutil.wait_procs(started, timeout=30)[1] == [], "no process is left"
        waiting.answer_at_once()
        await check_resuming(tmp_path)


def test_a_reader_that_closes_the_pipe_loses_the_output_and_not_the_run(tmp_path: Path) -> None:
    with waiting_run(tmp_path) as waiting:
        assert waiting.process.stdout and waiting.process.stderr
        waiting.process.stdout.close()
        waiting.process.stderr.close()
        waiting.release()
        assert waiting.process.wait(timeout=30) == 0
    script = write_script(tmp_path / "m.py", [])
    asked = Asked(script)
    again = rlm(tmp_path, "resume", "t")
    assert (again.returncode, again.stdout, asked.prompts, asked.roots) == (0, "Alate\n", [], [])


def test_the_same_command_again_resumes_its_run_and_another_question_or_input_is_refused(tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(llm_query(context))")])
    asked = Asked(model)
    for question, given, status in (
        ("Q?", "once", 0),
        ("Another?", "once", 2),
        ("Q?", "another", 2),
        ("Q?", "once", 0),
    ):
        done = rlm(tmp_path, "run", question, "-", "--model", model, "--thread", "t", given=given)
        assert done.returncode == status
        assert done.stdout == "ONCE\n" if status == 0 else "rlm resume t" in done.stderr
    assert (asked.prompts, len(asked.roots)) == (["once"], 1)
