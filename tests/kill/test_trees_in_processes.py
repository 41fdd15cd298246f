"""`rlm run --max-depth 3` as processes with real kernels: random kills, and resuming a child of a busy run."""

import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.e2e.program import CLEAN, RLM, rlm
from tests.kill import tree_scenario
from tests.kill.scenario import read_log
from tests.kill.test_two_processes import everything
from tests.kill.tree_scenario import MOST_AT_ONCE, QUESTION, REQUESTS, TEXT

pytestmark = pytest.mark.kill
ANSWER = [["ALPHA BETA! ALPHA BETA! 1! ALPHA BETA! 2!!", "beta gamma: BETA GAMMA DEEP!"], ["alpha", "beta", "gamma"]]


@contextmanager
def tree_in_a_process(folder: Path, *, answers: int, waiting: int = 1) -> Generator[psutil.Process]:
    """Start the tree; yield its process once `answers` requests are answered and `waiting` others hang."""
    model = tree_scenario.write_model(folder)
    script, gate = folder / "m.py", folder / "gate"
    patience = f"""
_received = received
def received(prompt):
    _received(prompt)
    import pathlib
    asked = len(pathlib.Path({str(folder / "asked")!r}).read_text().splitlines())
    if asked > {answers} and not pathlib.Path({str(gate)!r}).exists():
        raise Waits

class Waits(Exception):
    pass

_root, _sub = root, sub
async def root(messages):
    return await _patient(_root, messages)
async def sub(prompt):
    return await _patient(_sub, prompt)
async def _patient(answer, what):
    import asyncio
    try:
        return answer(what)
    except Waits:
        await asyncio.sleep(3600)
"""
    script.write_text(script.read_text() + patience)
    (folder / "in.txt").write_text(TEXT)
    command = [str(RLM), "run", QUESTION, "in.txt", "--model", model, "--thread", "t", "--max-depth", "3"]
    process = subprocess.Popen(
        [*command, "--kernels", "6", "--unsandboxed"],
        cwd=folder,
        env=CLEAN,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        while len(read_log(folder / "asked")) < answers + waiting:
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        yield psutil.Process(process.pid)
    finally:
        gate.touch()
        process.kill()
        process.communicate()


@pytest.mark.parametrize("seed", range(3))
async def test_a_tree_killed_at_random_leaves_no_kernel_and_each_of_its_runs_resumes(tmp_path: Path, seed: int) -> None:
    with tree_in_a_process(tmp_path, answers=random.Random(seed).randrange(1, REQUESTS)) as process:
        started = process.children(recursive=True)
        assert len(started) >= 2, "a kernel host and kernels"
        process.kill()
        assert psutil.wait_procs(started, timeout=10)[1] == []
    run = json.loads(rlm(tmp_path, "resume", "t", "--json").stdout)
    assert (run["status"], run["answer"]) == ("answered", ANSWER), run
    asked = Counter(read_log(tmp_path / "asked"))
    assert len(asked) == REQUESTS
    again = asked.total() - REQUESTS
    assert again <= MOST_AT_ONCE and max(asked.values()) <= 2
    assert asked.total() <= run["usage"]["model_calls"] <= asked.total() + MOST_AT_ONCE
    async with Runner.open(tmp_path / ".rlm", kernels=MemoryKernels()) as runner:
        for row in await runner.queries.runs():
            assert row["status"] == "answered" and (await runner.verify(row["thread_id"])).ok


async def test_a_child_is_busy_while_its_caller_runs_and_can_be_resumed_once_that_is_dead(tmp_path: Path) -> None:
    home = tmp_path / ".rlm"
    # The first turn of the top run is answered; those of its children are not.
    with tree_in_a_process(tmp_path, answers=1, waiting=2) as process:
        process.suspend()
        async with Runner.open(home, kernels=MemoryKernels()) as runner:
            children = {row["question"]: row["thread_id"] for row in await runner.queries.runs() if row["parent"]}
        before = everything(home)
        for child in children.values():
            refused = rlm(tmp_path, "resume", child)
            assert refused.returncode == 5 and "is a part of a run: t is being run" in refused.stderr
        assert everything(home) == before, "a refused command leaves no trace"
        process.kill()
    assert {"calls", "nests"} <= set(children)
    for question, answer in (("nests", ANSWER[0][1]), ("calls", ANSWER[0][0])):
        assert rlm(tmp_path, "resume", children[question]).stdout == f"{answer}\n"
    before = Counter(read_log(tmp_path / "asked"))
    run = json.loads(rlm(tmp_path, "resume", "t", "--json").stdout)
    assert run["answer"] == ANSWER
    assert Counter(read_log(tmp_path / "asked")) - before == Counter({"turn 2": 1}), "its children's answers are reused"
