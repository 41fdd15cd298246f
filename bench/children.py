"""Fifty sub-RLMs of one turn each, with real kernels and a model server without latency: part of `make bench-parts`."""

import asyncio
import tempfile
import time
from pathlib import Path

import psutil

from durable_rlm import Runner
from durable_rlm.kernel.host.kernel_pool import AHEAD

CHILDREN = 50

_SCRIPT = """
CODE = {code!r}

def root(messages):
    told = messages[1]["content"]
    return "```repl\\n" + ("FINAL(len(context))" if "how long" in told else CODE) + "\\n```"

def sub(prompt):
    return "unused"
"""
_CODE = """
parts = [context[i * 1000 : (i + 1) * 1000] for i in range({children})]
FINAL(rlm_query_batched(["how long?"] * {children}, context=parts))
"""


async def most_memory(done: asyncio.Event) -> tuple[int, int]:
    """Until it is done: the most kernels alive at once, and the most private bytes that one of them had."""
    most = largest = 0
    while not done.is_set():
        started = psutil.Process().children(recursive=True)
        parents = {_parent(child) for child in started}
        # What kernels are forked from has the same command line, and children; two kernels wait for somebody.
        kernels = [child for child in started if child.pid not in parents and "launch.py" in " ".join(_line(child))]
        most = max(most, len(kernels) - AHEAD)
        largest = max([largest, *map(_private, kernels)])
        await asyncio.sleep(0.2)
    return most, largest


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.Error:
        return 0


def _private(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except psutil.Error:
        return 0


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.py").write_text(_SCRIPT.format(code=_CODE.format(children=CHILDREN)))
        async with Runner.open(folder / "home") as runner:
            done = asyncio.Event()
            watching = asyncio.create_task(most_memory(done))
            began = time.perf_counter()
            run = await runner.run(
                "Measure", "x" * 1000 * CHILDREN, model=f"scripted:{folder / 'model.py'}", max_depth=2
            )
            seconds = time.perf_counter() - began
            done.set()
            most, largest = await watching
        assert run.answer == ["1000"] * CHILDREN, run
    print(
        f"{CHILDREN} sub-RLMs of one turn {seconds:19.2f} s ({most} kernels at once, {largest / 1e6:.0f} MB private each)",
        flush=True,
    )


if __name__ == "__main__":
    asyncio.run(main())
