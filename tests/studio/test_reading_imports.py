"""Commands that read a run do not import LangGraph, which takes a second and fifty megabytes."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script

HEAVY = {"langgraph", "langchain_core", "openai", "jupyter_client", "zmq"}
PROGRAM = """
import json, sys
from durable_rlm.studio.main import main

codes = {}
for words in json.loads(sys.argv[1]):
    try:
        main([*words, "--home", sys.argv[2]])
    except SystemExit as ended:
        codes[" ".join(words)] = ended.code or 0
print("CODES", codes, "MODULES", sorted({name.partition(".")[0] for name in sys.modules}))
"""
READING = {
    "list": 0,
    "steps ended": 0,
    "calls ended": 0,
    "show ended": 0,
    "show ended --step 3": 0,
    "show ended --json": 0,
    "show ended --citations": 0,
    "show ended --coverage": 0,
    "show ended --input": 0,
    "show ended --follow": 0,
    "show waits": 0,
    "vars ended": 0,
    "vars ended --step 4": 0,
    "diff ended 2 5": 0,
    "review waits": 3,
    "review waits --json": 3,
}


async def save_runs(folder: Path) -> None:
    script = write_script(folder / "m.py", [repl("x = llm_query('a')\nprint(x)"), repl("FINAL(x)")])
    async with Runner.open(folder / "home", kernels=MemoryKernels()) as runner:
        await runner.run("What?", "a text", model=script, thread="ended")
        await runner.run("What?", "a text", model=script, thread="waits", approve=["calls"])


def test_no_command_that_reads_a_run_imports_langgraph(tmp_path: Path) -> None:
    """In one process: what any of them imports would be there at the end."""
    asyncio.run(save_runs(tmp_path))
    words = json.dumps([command.split() for command in READING])
    given = [sys.executable, "-c", PROGRAM, words, str(tmp_path / "home")]
    done = subprocess.run(given, capture_output=True, text=True, check=True, cwd=tmp_path)
    _, _, said = done.stdout.rpartition("CODES ")
    codes, _, modules = said.partition(" MODULES ")
    assert codes == str(READING), done.stderr
    assert [name for name in HEAVY if f"'{name}'" in modules] == []
