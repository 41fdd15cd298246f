"""`rlm run --approve all` and `rlm review` as processes with real kernels: random kills and concurrent reviews."""

import json
import subprocess
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.e2e.program import CLEAN, RLM, rlm
from tests.kill import scenario
from tests.kill.reviewing import lines, marked
from tests.kill.scenario import MODEL_HEAD, THREAD
from tests.kill.spawn import Spawner
from tests.kill.trials import Trial
from tests.scripts import repl

pytestmark = pytest.mark.kill
FIRST = "x = alias = llm_query_batched(['a', 'b'])"
LAST = "FINAL([alias, alias is x])"
ANSWER = [["A!", "B!"], True]
ASKED = ["turn 1", "a", "b", "turn 2"]
DECISIONS = ["approved execute_code", "approved sub_calls", "approved execute_code", "approved final_answer"]
_MODEL = """
def root(messages):
    text = "".join(message["content"] for message in messages)
    done = max(map(int, re.findall(r"\\[Turn (\\d+)\\]", text)), default=0)
    received(f"turn {{done + 1}}")
    return REPLIES[done]

def sub(prompt):
    received(prompt)
    return prompt.upper() + "!"
"""


class Program:
    """The commands that a user gives at a terminal for one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        script = folder / "m.py"
        replies = [repl(marked(cell, folder)) for cell in (FIRST, LAST)]
        script.write_text((MODEL_HEAD + _MODEL).format(replies=replies, asked=str(folder / "asked")))
        self._run = ["run", "What?", "--model", f"scripted:{script}", "--thread", THREAD, "--approve", "all"]
        self._run += ["--unsandboxed"]

    async def status(self) -> str | None:
        """Return the run's status, or None before it is created."""
        async with Runner.open(self.folder / "home", kernels=MemoryKernels()) as runner:
            return next((run["status"] for run in await runner.queries.runs()), None)

    async def next_command(self) -> list[str]:
        """Return the command that continues the run, by its status: it is started, reviewed or resumed."""
        match await self.status():
            case None:
                return self._run
            case "paused":
                return ["review", THREAD, "--approve"]
            case _:
                return ["resume", THREAD]

    def do(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return rlm(self.folder, "--home", "home", *arguments)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(RLM), "--home", "home", *arguments],
            cwd=self.folder,
            env=CLEAN,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def decisions(self) -> list[str]:
        """Return the reviewer's decisions that the run's history records."""
        async with Runner.open(self.folder / "home", kernels=MemoryKernels()) as runner:
            steps = await runner.queries.steps(THREAD)
            assert (await runner.verify(THREAD)).ok
        said = [step["summary"] for step in steps if step["kind"] == "review"]
        return [one.removeprefix("a reviewer ") for one in said if one.startswith("a reviewer ")]


@pytest.mark.parametrize("seed", range(1))
async def test_commands_killed_at_random_times_are_repeated_and_each_decision_is_applied_once(
    spawn: Spawner, folder: Path, seed: int
) -> None:
    trial = Trial(folder / f"program-{seed}", spawn, played=scenario)
    program, random = Program(trial.folder), Random(seed)
    kills, in_flight = 0, Counter[str]()
    while await program.status() != "answered":
        process = program.start(*await program.next_command())
        try:
            # The kill comes at any time from before the first effect to after the end; after four kills, none.
            process.wait(random.uniform(0.3, 3.0) if kills < 4 else 60)
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
            in_flight += trial.in_flight()
        _, said = process.communicate()
        assert process.returncode in (0, 3, -9), said
    assert json.loads(program.do("show", THREAD, "--json").stdout)["answer"] == ANSWER
    assert sorted(await program.decisions()) == sorted(DECISIONS)
    assert trial.received <= Counter(ASKED) + in_flight and Counter(ASKED) <= trial.received
    assert set(lines(trial.folder / "ran")) == {FIRST, LAST}
    assert kills


async def test_of_two_concurrent_reviews_one_decides(tmp_path: Path) -> None:
    program = Program(tmp_path)
    assert program.do(*await program.next_command()).returncode == 3
    decided = 0
    while await program.status() == "paused":
        rivals = [program.start("review", THREAD, "--approve") for _ in range(2)]
        said = [rival.communicate(timeout=60)[1] for rival in rivals]
        codes = [rival.returncode for rival in rivals]
        # The slower one reports that the run is busy or the request is decided, or decides the next request.
        assert set(codes) & {0, 3} and set(codes) <= {0, 2, 3, 5}, said
        decided, before = len(await program.decisions()), decided
        assert before < decided <= before + 2, said
    assert json.loads(program.do("show", THREAD, "--json").stdout)["answer"] == ANSWER
    assert sorted(await program.decisions()) == sorted(DECISIONS)
    assert Counter(scenario.read_log(tmp_path / "asked")) == Counter(ASKED)
