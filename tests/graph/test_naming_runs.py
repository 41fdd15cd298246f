"""Names of runs that are started without one: they come from the question, and are never in use already."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph.langgraph_ids import server_name
from durable_rlm.state.errors import UnknownThread
from tests.scripts import repl, write_script


async def test_an_unnamed_run_is_named_after_its_question(runner: Runner, tmp_path: Path) -> None:
    model, events = write_script(tmp_path / "m.py", [repl("FINAL(context)")]), list[Mapping[str, Any]]()
    run = await runner.run("Which contracts end early?", model=model, on_event=events.append)
    assert re.fullmatch(r"which-contracts-end-[0-9a-f]{4}", run.thread_id)
    assert events[0] == {"event": "named", "thread_id": run.thread_id}, "it can be stopped from the start"
    fork = await runner.fork(run.thread_id, 3)
    assert re.fullmatch(r"which-contracts-end-[0-9a-f]{4}", fork.thread_id) and fork.thread_id != run.thread_id
    other = await runner.fork(run.thread_id, 3, question="And who signed?")
    assert re.fullmatch(r"who-signed-[0-9a-f]{4}", other.thread_id)


async def test_a_name_in_use_gets_another_suffix(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This holds also for an equal question over an equal input: a new run is never an old one."""

    def digits(number: int) -> str:
        return "abcdefabcdef"[:number]

    monkeypatch.setattr("durable_rlm.state.run_names.random_digits", digits)
    model = write_script(tmp_path / "m.py", [repl("FINAL(context)")])
    runs = [await runner.run("Which?", "input", model=model) for _ in range(3)]
    assert [run.thread_id for run in runs] == ["which-abcd", "which-abcde", "which-abcdef"]
    assert (await runner.fork("which-abcd", 3)).thread_id == "which-abcdefa"
    again = await asyncio.gather(*(runner.run("Which?", "input", model=model) for _ in range(3)))
    assert len({run.thread_id for run in again}) == 3 and {run.status for run in again} == {"answered"}


async def test_a_run_is_found_by_the_name_that_a_server_gives_it(runner: Runner, tmp_path: Path) -> None:
    run = await runner.run("Which?", model=write_script(tmp_path / "m.py", [repl("FINAL(context)")]))
    assert (await runner.read(str(server_name(run.thread_id)))).thread_id == run.thread_id
    with pytest.raises(UnknownThread):
        await runner.read(str(server_name("nobody")))
