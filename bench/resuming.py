"""How long a killed run takes to stand where it stood: part of `make bench-parts`.

A cell waits for a sub-call; beside it are a 40 MB context and 150 variables. The run is stopped while the model thinks,
its kernel with it (the kernel host stays), and resumed: measured is the time until the model is asked the same again,
which is after a kernel was started, the variables were restored and the cell was replayed. A second line has the same
without anything to restore: what a kernel costs to start.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.snapshots import context_text
from durable_rlm import Runner

_SCRIPT = """
import asyncio
import pathlib
import time
FOLDER = pathlib.Path({folder!r})
SETUP = {setup!r}

def root(messages):
    first = not any("[Turn 1]" in message["content"] for message in messages)
    return "```repl\\n" + (SETUP if first else "FINAL(llm_query('answered') + llm_query('slow'))") + "\\n```"

async def sub(prompt):
    if prompt == "slow":
        with (FOLDER / "asked").open("a") as file:
            file.write(f"{{time.time()}}\\n")
        if not (FOLDER / "go").exists():
            await asyncio.sleep(3600)
    return prompt
"""
_VARIABLES = "\n".join(f"v{i} = ['item %d of {i}' % n for n in range(500)]" for i in range(150))


async def once(folder: Path, context: str, setup: str) -> float:
    """Milliseconds from the resume to the model being asked again."""
    folder.mkdir()
    script = folder / "m.py"
    script.write_text(_SCRIPT.format(folder=str(folder), setup=setup))
    asked = folder / "asked"
    async with Runner.open(folder / "home") as runner:
        running = asyncio.create_task(runner.run("Q?", context, model=f"scripted:{script}", thread="t"))
        while not asked.exists():
            await asyncio.sleep(0.01)
        await runner.stop("t")
        await running
        begin = time.time()
        resumed = asyncio.create_task(runner.resume("t"))
        while len(asked.read_text().splitlines()) < 2:
            await asyncio.sleep(0.001)
        again = float(asked.read_text().splitlines()[1])
        await runner.stop("t")
        (folder / "go").touch()
        run: Any = await resumed
        run = await runner.resume("t")
        assert run.answer == "answeredslow", run
    return (again - begin) * 1e3


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        cases = {"40 MB context, 150 variables": (context_text(), _VARIABLES), "nothing to restore": ("x", "x = 1")}
        for case, (context, setup) in cases.items():
            times = [await once(Path(name) / f"{case}{n}", context, setup) for n in range(3)]
            print(f"resumed, until asked again: {case:30} {statistics.median(times):8.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())
