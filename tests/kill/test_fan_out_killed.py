"""A kill (SIGKILL) in the middle of a fan-out, as a model server sees it."""

import subprocess
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.state.db.connection import connect
from durable_rlm.state.home_access import DATABASE
from tests.contract.in_memory_kernel import MemoryKernels
from tests.e2e.program import CLEAN, RLM
from tests.scripts import repl
from tests.servers.openai_server import Fault, ScriptedServer

CALLS, AT_ONCE, ANSWERED = 40, 8, 15
CODE = repl(f"FINAL(llm_query_batched([f'question {{n}}' for n in range({CALLS})]))")


def recorded(home: Path) -> int:
    """Return the number of sub-call answers on disk."""
    with closing(connect(home / DATABASE)) as connection:
        [count] = connection.execute("SELECT count(*) FROM calls WHERE kind = 'llm' AND status = 'answered'").fetchone()
    return count


def run_and_kill(folder: Path, server: ScriptedServer) -> None:
    """Run `rlm` until `ANSWERED` calls are recorded and `AT_ONCE` others are in flight; then kill it."""
    models = ["--model", "openai:root", "--sub-model", "openai:sub", "--base-url", server.base_url]
    command = [str(RLM), "run", "Q?", *models, "--concurrency", str(AT_ONCE), "--thread", "t"]
    process = subprocess.Popen(command, cwd=folder, env=CLEAN, stderr=subprocess.DEVNULL)
    try:
        while len(server.requests) < 1 + ANSWERED + AT_ONCE or recorded(folder / ".rlm") < ANSWERED:
            assert process.poll() is None
            time.sleep(0.01)
        assert server.in_flight == AT_ONCE
    finally:
        process.kill()
        process.wait()


@pytest.mark.kill
async def test_only_requests_in_flight_at_the_kill_are_sent_again(tmp_path: Path) -> None:
    later = Fault("hang", requests=range(2 + ANSWERED, 1_000))
    with ScriptedServer(root=lambda _: CODE, sub=str.upper, faults=[later]) as server:
        run_and_kill(tmp_path, server)
        server.faults.clear()
        async with Runner.open(tmp_path / ".rlm", kernels=MemoryKernels()) as runner:
            run = await runner.resume("t")
        assert run.answer == [f"QUESTION {n}" for n in range(CALLS)]
        asked = Counter(
            request.messages[-1]["content"] for request in server.requests if request.body["model"] == "sub"
        )
        assert sorted(asked.values()) == [1] * (CALLS - AT_ONCE) + [2] * AT_ONCE
        assert len(server.requests) == 1 + CALLS + AT_ONCE == run.usage["model_calls"]
        assert run.usage["reused_calls"] == ANSWERED
