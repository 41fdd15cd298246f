"""Thousands of sub-calls from one cell, beside the bare client doing the same: part of `make bench-parts`.

The model server is a process of its own and answers after 100 ms. The bare client is what a call costs at least:
`ChatOpenAI` on openai's aiohttp transport, gathered with a semaphore, nothing saved. Our calls come from a real
kernel, are journalled and committed, and are timed by the code that makes them.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.growth import size
from bench.snapshots import context_text
from durable_rlm import Runner

CALLS = 1_000
LATENCY = 0.1
ROUNDS = 3
MANY = 10_000
SLICE = 40_000
"""Characters of the 40 MB context in each of 1,000 prompts."""

_SCRIPT = """
CODE = {code!r}

def root(messages):
    first = not any("[Turn 1]" in message["content"] for message in messages)
    return "```repl\\n" + ("import time" if first else CODE) + "\\n```"

def sub(prompt):
    return "x" * {answer}
"""
_TIMED = """
prompts = [{prompt} for i in range({calls})]
begin = time.perf_counter()
answers = llm_query_batched(prompts)
seconds = time.perf_counter() - begin
assert all(answers) and len(answers) == {calls}, [a for a in answers if not a][:3]
FINAL(seconds)
"""


@contextlib.contextmanager
def served(
    folder: Path, prompt: str, *, calls: int = CALLS, latency: float = LATENCY, answer: int = 100
) -> Generator[str]:
    """The address of a server, in a process of its own, whose root model makes `calls` sub-calls in one cell."""
    script = folder / "model.py"
    script.write_text(_SCRIPT.format(code=_TIMED.format(prompt=prompt, calls=calls), answer=answer))
    command = [sys.executable, "-m", "tests.servers", "--script", str(script), "--latency", str(latency)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
            server.stdout.read()


@dataclass(frozen=True)
class Took:
    """What a fan-out took: seconds as its caller sees them, and of this process's CPU."""

    wall: float
    cpu: float


async def bare(url: str, at_once: int) -> Took:
    """The calls by LangChain's client alone."""
    import openai
    from langchain_openai import ChatOpenAI

    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(max_connections=CALLS, max_keepalive_connections=CALLS)
    async with openai.DefaultAioHttpClient(limits=limits, trust_env=False) as http:
        key = openai_key()
        model = ChatOpenAI(model="sub", base_url=url, api_key=key, http_async_client=http, max_retries=0)
        slots = asyncio.Semaphore(at_once)

        async def ask(number: int) -> str:
            async with slots:
                return str((await model.ainvoke(f"q{number}")).content)

        begin, cpu = time.perf_counter(), time.process_time()
        answers = await asyncio.gather(*(ask(number) for number in range(CALLS)))
        assert all(answers)
        return Took(time.perf_counter() - begin, time.process_time() - cpu)


def openai_key() -> Any:
    """As a coroutine function, so that no synchronous client is made as well."""

    async def key() -> str:
        return "no-key"

    return key


@contextlib.asynccontextmanager
async def asking(home: Path, url: str, calls: int, at_once: int, context: str | None = None) -> AsyncGenerator[Took]:
    """A run whose second cell fans out; what that took, from the cell's begin to its end."""
    cpu: list[float] = []

    def heard(event: Mapping[str, Any]) -> None:
        if event["event"] in ("code", "output") and event["turn"] == 2:
            cpu.append(time.process_time())

    settings: dict[str, Any] = {"model": "openai:root", "sub_model": "openai:sub", "base_url": url}
    settings |= {"concurrency": at_once, "max_calls": calls + 10}
    async with Runner.open(home) as runner:
        run = await runner.run("Q?", context, on_event=heard, **settings)
        assert run.status == "answered", run
        yield Took(float(run.answer), cpu[-1] - cpu[0])


async def ours(home: Path, url: str, at_once: int) -> Took:
    """The same calls from a cell, journalled."""
    async with asking(home, url, CALLS, at_once) as took:
        return took


def middle(rounds: list[Took]) -> Took:
    """The medians."""
    return Took(statistics.median(one.wall for one in rounds), statistics.median(one.cpu for one in rounds))


async def throughput(folder: Path) -> None:
    """1,000 calls of 100 ms, by how many are in flight."""
    with served(folder, "f'q{i}'") as url:
        await bare(url, 256)  # imports and first connections
        for at_once in (256, 64, 32):
            rounds: list[tuple[Took, Took]] = []
            for number in range(ROUNDS):
                home = folder / f"{at_once}-{number}"
                rounds.append((await bare(url, at_once), await ours(home, url, at_once)))
            alone, all_of_it = (middle([one[side] for one in rounds]) for side in (0, 1))
            more = (all_of_it.wall - alone.wall) / CALLS * 1e3
            cpu = (all_of_it.cpu - alone.cpu) / CALLS * 1e3
            print(
                f"{CALLS:,} calls x 100 ms, {at_once:3} in flight: bare {alone.wall:5.2f} s, ours {all_of_it.wall:5.2f} s "
                f"({all_of_it.wall / alone.wall:.2f} x, {more:5.2f} ms a call; CPU {cpu:5.2f} ms a call)",
                flush=True,
            )


def peak_mb() -> float:
    """The most memory that this process has had, in MB. Not ru_maxrss on Linux: that begins at the parent's peak."""
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


async def memory_of(home: Path, url: str) -> None:
    """Run by a process of its own: print its peak after so many calls."""
    async with asking(home, url, MANY, 256) as took:
        print(f"{peak_mb():.0f} {took.wall:.1f}")


async def memory(folder: Path) -> None:
    """The graph process's peak for 10,000 calls with prompts and answers of 4 KB."""
    with served(folder, "f'{i:06}' + 'word ' * 820", calls=MANY, latency=0, answer=4096) as url:
        command = [sys.executable, "-m", "bench.fan_out", "--memory", str(folder / "home"), url]
        child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, env={**os.environ})
        said, _ = await child.communicate()
    assert child.returncode == 0
    peak, seconds = said.decode().split()
    print(f"{MANY:,} calls of 4 KB: peak of the graph process {peak} MB ({seconds} s)", flush=True)


async def disk(folder: Path) -> None:
    """What 1,000 prompts that are slices of a 40 MB context leave on disk."""
    context = context_text()
    prompt = f"'Which words are rare in this?\\n\\n' + context[i * {SLICE} : (i + 1) * {SLICE}]"
    with served(folder, prompt, latency=0) as url:
        async with asking(folder / "home", url, CALLS, 32, context) as took:
            pass
    above = size(folder / "home") - len(context) / 1e6
    print(f"{CALLS:,} prompts cut from 40 MB: on disk above it {above:.1f} MB ({took.wall:.1f} s)", flush=True)


async def main() -> None:
    for part in (throughput, memory, disk):
        with tempfile.TemporaryDirectory() as name:
            await part(Path(name))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fan-out beside the bare client, memory and disk.")
    parser.add_argument("--memory", nargs=2, metavar=("HOME", "URL"), help="only that run, in this process")
    chosen = parser.parse_args()
    asyncio.run(memory_of(Path(chosen.memory[0]), chosen.memory[1]) if chosen.memory else main())
