"""`--max-time` is hard: whatever a run waits for, it ends when its time is over, saved, and resumes with more."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Run, Runner
from durable_rlm.graph import intake
from durable_rlm.state.errors import TimeSpent
from tests.scripts import Asked, repl, write_script
from tests.servers.raw_server import raw_server, response

LIMIT = 0.5
SOON = 2.0
"""Seconds after the limit within which everything has to end."""
ASKS = "print(context)\nx = llm_query('a') + llm_query('b')\nFINAL(x)"
SLEEPS = """import asyncio
        async def wait():
            await asyncio.sleep(3600)
        return wait()"""
_DEAF = """import asyncio, time
        async def wait():
            end = time.monotonic() + 4
            while time.monotonic() < end:
                try:
                    await asyncio.sleep(end - time.monotonic())
                except asyncio.CancelledError:
                    pass
        return wait()"""


async def timed(runner: Runner, **settings: Any) -> tuple[Run, float]:
    """Run with a limit of time. Return the run and the seconds that it took beyond the limit."""
    begun = time.monotonic()
    run = await runner.run("What?", "the input", thread="t", max_time=LIMIT, **settings)
    return run, time.monotonic() - begun - LIMIT


def check_ended(run: Run, beyond: float) -> None:
    assert (run.status, run.exit_code, run.answer) == ("budget", 4, None)
    assert run.error is not None
    assert run.error["type"] == "BudgetSpent" and "time of 0.5 s is over" in run.error["message"]
    assert -0.1 < beyond < SOON


async def test_a_call_that_is_never_answered_is_ended_and_the_run_resumes_in_the_same_cell(
    runner: Runner, tmp_path: Path
) -> None:
    waits = f"if prompt == 'b':\n            {SLEEPS.replace(chr(10), chr(10) + '    ')}\n        return 'A'"
    model = write_script(tmp_path / "m.py", [repl(ASKS)], sub=waits)
    check_ended(*await timed(runner, model=model))
    row = await runner.queries.runs()
    assert [one["status"] for one in row] == ["budget"]
    assert "may have been billed" in str([call.to_json() for call in await runner.queries.calls("t")][-1]["error"])
    again = await runner.resume("t")
    assert again.status == "budget" and again.error, "nothing is done without more time"
    limits = await runner.suggested_limits("t")
    assert limits["max_time"] > LIMIT + 10
    asked = Asked(write_script(tmp_path / "m.py", [], sub="return prompt.upper()"))
    run = await runner.resume("t", **limits)  # pyright: ignore[reportArgumentType]
    assert (run.status, run.answer) == ("answered", "AB")
    assert (asked.prompts, asked.roots) == (["b"], []), "what was answered is not asked again"


async def test_a_root_turn_that_is_never_answered_is_ended(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(f"def root(messages):\n    if True:\n        {SLEEPS}\ndef sub(prompt): ...")
    check_ended(*await timed(runner, model=f"scripted:{tmp_path / 'm.py'}"))


async def test_a_call_that_cannot_be_cancelled_is_left(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl(ASKS)], sub=_DEAF)
    check_ended(*await timed(runner, model=model))


Pieces = Callable[[], Iterable[bytes]]


def _later() -> Iterable[bytes]:
    yield response(status=429, retry_after="86400")


def _drip() -> Iterable[bytes]:
    yield response(content_length="1000")
    while True:
        time.sleep(0.2)
        yield b" "


def _pings() -> Iterable[bytes]:
    yield response(content_length="", content_type="text/event-stream")
    while True:
        time.sleep(0.2)
        yield b": still thinking\n\n"


def _silent() -> Iterable[bytes]:
    time.sleep(3)
    yield b""


@pytest.mark.parametrize("send", [_later, _drip, _pings, _silent])
async def test_a_server_that_keeps_a_run_waiting_does_not_outlast_it(runner: Runner, send: Pieces) -> None:
    with raw_server(lambda _: send()) as server:
        check_ended(*await timed(runner, model="openai:m", base_url=server.base_url))


async def test_a_waiting_sub_rlm_is_ended_with_its_caller(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(rlm_query('deep'))")], sub=SLEEPS)
    child = tmp_path / "child.py"
    child.write_text(f"def root(messages):\n    if True:\n        {SLEEPS}\ndef sub(prompt): ...")
    check_ended(*await timed(runner, model=model, sub_model=f"scripted:{child}", max_depth=2))
    assert {one["status"] for one in await runner.queries.runs() if one["thread_id"] == "t"} == {"budget"}


class Reader:
    """An input whose reading does not end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ended = False
        monkeypatch.setattr("durable_rlm.graph.intake.ingest", self)

    def __call__(self, *_: Any, **given: Any) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not given["cancelled"]():
            time.sleep(0.01)
        self.ended = True


async def test_reading_the_input_ends_with_nothing_saved(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Reader(monkeypatch)
    model = write_script(tmp_path / "m.py", [])
    begun = time.monotonic()
    with pytest.raises(TimeSpent, match="before the input was read; nothing was saved") as spent:
        await runner.run("What?", "the input", thread="t", model=model, max_time=LIMIT)
    assert time.monotonic() - begun < LIMIT + SOON and spent.value.exit_code == 4
    assert await runner.queries.runs() == []


async def test_readers_that_are_stuck_keep_no_other_run_from_reading(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, from_text, stuck = threading.Event(), intake.from_text, 8

    def waits(text: str) -> Any:
        if text.startswith("stuck"):
            ended.wait(60)
        return from_text(text)

    monkeypatch.setattr(intake, "from_text", waits)
    model = write_script(tmp_path / "m.py", [repl("print(context)\nFINAL('read')")])
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    try:
        begun = [asyncio.create_task(runner.run("Q?", f"stuck {number}", model=model)) for number in range(stuck)]
        await asyncio.sleep(0)
        run = await asyncio.wait_for(runner.run("Q?", "the input", model=model, thread="t"), 20)
        assert (run.status, run.answer) == ("answered", "read")
        for task in begun:
            task.cancel()
        await asyncio.wait(begun, timeout=5)
        assert all(task.done() for task in begun), "they are stopped, whatever their threads do"
    finally:
        ended.set()
