"""What a long run leaves on disk: 500 turns beside a 40 MB context, each with a small change. Part of `make bench-parts`."""

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.snapshots import context_text
from bench.turns import SCRIPT
from durable_rlm import Runner

TURNS = 500
CODE = "notes = globals().get('notes', [])\nnotes.append(context[len(notes) * 1000:][:200])"


def size(folder: Path) -> float:
    """MB of all files below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "m.py"
        script.write_text(SCRIPT.format(turns=TURNS, code=CODE, latency=0))
        starts: list[float] = []

        def heard(event: Mapping[str, Any]) -> None:
            if event["event"] == "turn":
                starts.append(time.perf_counter())

        context = context_text()
        async with Runner.open(folder / "home") as runner:
            limits: dict[str, Any] = {"max_turns": TURNS + 2, "max_calls": TURNS + 10}
            run = await runner.run("Q?", context, model=f"scripted:{script}", on_event=heard, **limits)
        assert run.status == "answered", run
        turns = [(b - a) * 1e3 for a, b in itertools.pairwise(starts)]
        above = size(folder / "home") - len(context) / 1e6
        print(f"{TURNS} turns beside 40 MB: on disk above the context   {above:8.1f} MB ({run.steps} steps)")
        first, last = statistics.median(turns[1:11]), statistics.median(turns[-11:-1])
        print(
            f"one turn, first ten → last ten                      {first:8.2f} → {last:.2f} ms ({last / first:.2f} x)"
        )


if __name__ == "__main__":
    asyncio.run(main())
