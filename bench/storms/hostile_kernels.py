"""Hostile kernels beside an innocent run: `python -m bench.storms.hostile_kernels [--quick] [--seed N] [--runs N]`.

Hostile runs, one after another, each with a kernel of its own, in the same program and kernel host as an innocent run
that is repeated beside them. Its calls, its answer and its variables must always be the same; the event loop of the
host must stay responsive; and the innocent run must take hardly longer than beside a kernel that only computes. Both
are measured by turns, so that what else the machine does counts for both alike.

All of it is bounded: a hostile run by its own limits, and by `LONGEST` at the latest. `--quick`: 12 runs, whose times
are printed and not judged.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench.storms.hostile_cells import cell
from durable_rlm import RlmError, Runner
from tests.scripts import repl, write_script

SEED, RUNS, QUICK_RUNS, AT_A_TIME = 18, 200, 12, 10
LONGEST = 60.0
"""Seconds after which a hostile run is stopped, and counted as one that had to be."""
WORST_LAG, WORST_RATIO = 0.050, 1.2
_LIMITS: dict[str, Any] = {"max_turns": 2, "max_calls": 50, "cell_timeout": 1, "memory": 512 << 20}
_OFTEN = 0.005

_WORK = """
import hashlib
text = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(40_000))
counts = {letter: text.count(letter) for letter in "0123456789abcdef"}
answers = llm_query_batched([f"%s {letter}: {count}" for letter, count in counts.items()])
"""
_INNOCENT = [repl(_WORK % turn) for turn in ("first", "second", "third")] + [repl("FINAL([counts, answers])")]
_HARMLESS = repl("while True:\n    pass")


@dataclass
class Measured:
    """What a storm has seen."""

    hostile: dict[str, int] = field(default_factory=dict[str, int])
    """How often a hostile run ended with each status."""
    longest: tuple[float, str] = (0.0, "")
    """The seconds of the longest hostile run, and what it did."""
    stopped: list[str] = field(default_factory=list[str])
    """What those did that had to be stopped."""
    different: list[str] = field(default_factory=list[str])
    """What came out otherwise than in an innocent run alone."""
    beside_hostile: list[float] = field(default_factory=list[float])
    beside_harmless: list[float] = field(default_factory=list[float])
    """Seconds of innocent runs."""
    lags: list[float] = field(default_factory=list[float])
    """Seconds by which the event loop was late beside hostile kernels."""
    left: list[str] = field(default_factory=list[str])
    """Processes that were still there at the end."""

    @property
    def lag(self) -> float:
        """The lag that 99 of 100 looks do not exceed, in seconds."""
        return statistics.quantiles(self.lags, n=100)[98] if len(self.lags) > 1 else 0.0

    @property
    def ratio(self) -> float:
        """The time of an innocent run beside hostile kernels, in that beside a harmless one: of the medians."""
        return statistics.median(self.beside_hostile) / statistics.median(self.beside_harmless)

    def problems(self, *, judge_times: bool) -> list[str]:
        """Return what did not hold."""
        found = [*self.different, *(f"left behind: {name}" for name in self.left)]
        found += [f"had to be stopped: {name}" for name in self.stopped]
        if judge_times and self.lag > WORST_LAG:
            found.append(f"the event loop was late by {self.lag * 1000:.0f} ms")
        if judge_times and self.ratio > WORST_RATIO:
            found.append(f"the innocent run took {self.ratio:.2f} times as long")
        return found


class Storm:
    """One storm over a home in `folder`."""

    def __init__(self, runner: Runner, folder: Path, seed: int) -> None:
        self._runner = runner
        self._folder = folder
        self._chance = random.Random(seed)
        self._innocent = write_script(folder / "innocent.py", _INNOCENT, sub="return prompt.title()")
        self._harmless = write_script(folder / "harmless.py", [_HARMLESS])
        self._expected: Any = None
        self._passes = 0
        self.measured = Measured()

    async def run(self, runs: int) -> None:
        """Run `runs` hostile kernels, and as many innocent runs beside them as there is time for."""
        self._expected, _ = await self._pass()
        for first in range(0, runs, AT_A_TIME):
            async with self._busy():
                await self._compared(self.measured.beside_harmless, "beside a harmless kernel")
            hostile = asyncio.create_task(self._hostile(range(first, min(first + AT_A_TIME, runs))))
            watching = asyncio.create_task(self._watch())
            try:
                while not hostile.done():
                    await self._compared(self.measured.beside_hostile, "beside hostile kernels")
                await hostile
            finally:
                watching.cancel()
            print(f"{min(first + AT_A_TIME, runs)} of {runs} …", file=sys.stderr)

    async def _pass(self) -> tuple[Any, float]:
        """Run the innocent once. Return its answer, calls and variables, and the seconds it took."""
        self._passes += 1
        thread, began = f"innocent-{self._passes}", time.monotonic()
        run = await self._runner.run("What is in it?", "some text", model=self._innocent, thread=thread)
        took = time.monotonic() - began
        calls = [(call.prompt, call.answer) for call in await self._runner.queries.calls(thread)]
        variables = await self._runner.queries.variables(thread, self._runner.graph)
        return json.dumps([run.status, run.answer, sorted(calls), variables], sort_keys=True, default=str), took

    async def _compared(self, times: list[float], when: str) -> None:
        found, took = await self._pass()
        times.append(took)
        if found != self._expected:
            self.measured.different.append(f"innocent run {self._passes} {when}: {found[:300]}")

    async def _hostile(self, numbers: range) -> None:
        for number in numbers:
            names, code = cell(self._chance)
            model = write_script(self._folder / "hostile.py", [repl(code), repl("FINAL('survived')")])
            began = time.monotonic()
            task = asyncio.create_task(self._runner.run("Go", model=model, thread=f"hostile-{number}", **_LIMITS))
            done, _ = await asyncio.wait([task], timeout=LONGEST)
            if not done:
                self.measured.stopped.append(f"{number} ({names})")
                await self._runner.stop(f"hostile-{number}")
            with suppress(RlmError):
                status = (await task).status
                self.measured.hostile[status] = self.measured.hostile.get(status, 0) + 1
            self.measured.longest = max(self.measured.longest, (time.monotonic() - began, f"{number} ({names})"))

    @asynccontextmanager
    async def _busy(self) -> AsyncGenerator[None]:
        """Let another kernel compute while this lasts."""
        thread = f"harmless-{self._passes}"
        task = asyncio.create_task(self._runner.run("Go", model=self._harmless, thread=thread, cell_timeout=600))
        while not await self._begun(thread):
            await asyncio.sleep(_OFTEN)
        try:
            yield
        finally:
            await self._runner.stop(thread)
            await asyncio.gather(task, return_exceptions=True)

    async def _begun(self, thread: str) -> bool:
        with suppress(RlmError):
            return await self._runner.queries.count_steps(thread) >= 2
        return False

    async def _watch(self) -> None:
        while True:
            expected = time.monotonic() + _OFTEN
            await asyncio.sleep(_OFTEN)
            self.measured.lags.append(max(0.0, time.monotonic() - expected))


async def storm(runs: int, seed: int) -> Measured:
    """Run a storm in a home of its own and return what it has seen."""
    with tempfile.TemporaryDirectory() as folder:
        async with Runner.open(Path(folder) / "home") as runner:
            one = Storm(runner, Path(folder), seed)
            await one.run(runs)
    one.measured.left = [process.name() for process in psutil.Process().children(recursive=True)]
    return one.measured


def main(arguments: list[str] | None = None) -> int:
    """Run a storm, print what it measured, and return 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--runs", type=int)
    given = parser.parse_args(arguments)
    runs = given.runs or (QUICK_RUNS if given.quick else RUNS)
    seen = asyncio.run(storm(runs, given.seed))
    seconds, what = seen.longest
    print(f"seed {given.seed}: {runs} hostile runs ended {seen.hostile}; the longest took {seconds:.1f} s: {what}")
    for name, times in (("hostile", seen.beside_hostile), ("a harmless", seen.beside_harmless)):
        print(f"innocent run beside {name} kernel: {statistics.median(times):.2f} s (median of {len(times)})")
    print(f"ratio {seen.ratio:.2f} (at most {WORST_RATIO}), event loop late by {seen.lag * 1000:.1f} ms (99 of 100)")
    problems = seen.problems(judge_times=not given.quick)
    for problem in problems:
        print(f"DID NOT HOLD: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
