"""Many runs that start at once in a process with few threads."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from durable_rlm import Runner

RUNS = 40
ROOT = "def root(messages):\n    return '```repl\\nFINAL(len(str(context)))\\n```'\n\ndef sub(prompt):\n    return ''\n"


async def test_forty_runs_start_at_once_in_a_new_runner_with_two_threads(tmp_path: Path) -> None:
    """With real kernels, because starting the first of them needs threads too."""
    (tmp_path / "model.py").write_text(ROOT)
    (tmp_path / "input.txt").write_text("input")
    inputs = ["text", [str(tmp_path / "input.txt")]] * (RUNS // 2)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    async with Runner.open(tmp_path / "home") as runner:
        runs = [
            runner.run(f"Question {number}?", given, model=f"scripted:{tmp_path / 'model.py'}")
            for number, given in enumerate(inputs)
        ]
        async with asyncio.timeout(120):
            answers = [run.answer for run in await asyncio.gather(*runs)]
    assert answers == [4, 5] * (RUNS // 2)
