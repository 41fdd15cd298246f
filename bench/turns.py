"""Where a run's time goes, with the model taken out: part of `make bench-parts`.

Everything is saved and a real kernel runs; the scripted model answers at once. Times are stated beside one
measured fsync of the same disk in the same run, because that is what durability costs at least.
"""

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.beside.machine import fsync_ms
from durable_rlm import Runner

SCRIPT = """
import asyncio
import itertools
TURNS = {turns}
CODE = {code!r}

def root(messages):
    n = max([int(m["content"].split("[Turn ")[-1].split("]")[0]) for m in messages if "[Turn " in m["content"]] or [0])
    return "```repl\\n" + (CODE if n < TURNS else "FINAL(1)") + "\\n```"

async def sub(prompt):
    await asyncio.sleep({latency})
    return "answer"
"""


async def timed(
    folder: Path, code: str, *, turns: int = 1, latency: float = 0.0, **settings: Any
) -> tuple[list[float], float]:
    """Milliseconds of each turn but the first, and of the whole run."""
    script = folder / f"{abs(hash((code, turns, latency)))}.py"
    script.write_text(SCRIPT.format(turns=turns, code=code, latency=latency))
    starts: list[float] = []

    def heard(event: Mapping[str, Any]) -> None:
        if event["event"] == "turn":
            starts.append(time.perf_counter())

    limits: dict[str, Any] = {"max_turns": turns + 2, "max_calls": 100_000, **settings}
    async with Runner.open(folder / "home") as runner:
        begin = time.perf_counter()
        run = await runner.run("Q?", "input", model=f"scripted:{script}", on_event=heard, **limits)
        whole = (time.perf_counter() - begin) * 1e3
    assert run.status == "answered", run
    return [(b - a) * 1e3 for a, b in itertools.pairwise(starts)], whole


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"one fsync                                 {fsync_ms(folder):8.2f} ms")
        turns, _ = await timed(folder, "x = 1", turns=100)
        first, last = statistics.median(turns[1:11]), statistics.median(turns[-11:-1])
        print(f"one turn, first ten → last ten of 100     {first:8.2f} → {last:.2f} ms ({last / first:.2f} x)")
        [loop, *_], _ = await timed(folder, "for i in range(500): llm_query(f'q{i}')")
        print(f"llm_query in a loop                       {loop / 500:8.2f} ms a call")
        code = "llm_query_batched([f'q{i}' for i in range(1000)])"
        for concurrency in (32, 256):
            [batch, *_], _ = await timed(folder, code, latency=0.1, concurrency=concurrency)
            ideal = 1000 / concurrency * 100
            ratio = batch / ideal
            print(f"1,000 calls x 100 ms, {concurrency:3} in flight        {batch / 1e3:8.2f} s ({ratio:.2f} x ideal)")


if __name__ == "__main__":
    asyncio.run(main())
