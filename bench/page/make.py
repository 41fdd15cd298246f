"""Makes a large home: the product itself makes it, with a scripted model, a real kernel and everything saved.

The same sizes and seed give the same texts; names of the small runs, times and checkpoints differ.
"""

import asyncio
import json
import random
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.growth import size
from durable_rlm import Runner

THREAD = "large"
_MADE = "made"
"""The folder of the scripted model in the home."""
_LINES = 4_000
_WORDS = re.findall(
    r"\S+",
    """
the a of to and in is that clause notice termination party shall within days payment invoice liability
supplier customer renewal period written agreement lapses unless either server error timeout host retry
Frist Kündigung Vertragspartner größer für nicht délai résiliation naïve coûts пункт договора срок
解約 通知 契約 三十日以内 双方同意 ίδιο ευθύνη 계약 해지 إشعار العقد मामला
""",
)
_MODEL = Path(__file__).with_name("model.py")


@dataclass(frozen=True)
class Sizes:
    """The amounts that a home has."""

    calls: int = 30_000
    """Sub-calls of the large run."""
    turns: int = 1_000
    children: int = 200
    """Sub-RLMs, of two turns and four calls each."""
    texts: float = 100.0
    """MB of answers and of the own words of prompts together."""
    input: float = 1024.0
    """MB of the input."""
    runs: int = 200
    """Runs beside the large one, of one call each."""
    seed: int = 1

    @property
    def of_a_call(self) -> dict[str, int]:
        """Characters of an answer, of what code adds to a prompt, and of what is cut from the input, at least 2,000."""
        each = max(120, int(self.texts * 1e6 / max(1, self.calls)))
        own = min(int(each * 0.4), 1_500)
        return {"answer": each - own, "own": own, "cut": max(2_000, int(own * 1.6))}


SMALL = Sizes(calls=300, turns=12, children=5, texts=0.2, input=2.0, runs=4)


def write_input(folder: Path, megabytes: float, seed: int) -> None:
    """Write a log of half the size and 40 contracts of the other half. No two lines are alike.

    Every tenth contract has other letters than ASCII: to cut from these a document is read up to the place.
    """
    half = int(megabytes * 1e6 / 2)
    ascii_only, all_words = _lines(seed, [word for word in _WORDS if word.isascii()]), _lines(seed, _WORDS)
    _write(folder / "archive" / "everything.log", ascii_only, half, "2026-01-01T")
    for number in range(40):
        lines = ascii_only if number % 10 else all_words
        _write(folder / "contracts" / f"contract-{number:02}.txt", lines, half // 40, f"{number:02}.")


def _lines(seed: int, words: Sequence[str]) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(words, k=rng.randint(8, 16))) for _ in range(_LINES)]


def _write(path: Path, lines: list[str], most: int, prefix: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count = written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < most:
            some = [f"{prefix}{count + n:08} {lines[(count + n) * 37 % _LINES]}\n" for n in range(2_000)]
            written += len("".join(some).encode())
            file.writelines(some)
            count += len(some)


def write_model(folder: Path, sizes: Sizes) -> Path:
    """Write the scripted model, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sizes.json").write_text(json.dumps({**asdict(sizes), **sizes.of_a_call, "words": _WORDS}))
    return shutil.copyfile(_MODEL, folder / "model.py")


async def make(home: Path, sizes: Sizes) -> dict[str, Any]:
    """Make the home, and return its numbers. Raises AssertionError when the large run is not answered."""
    model = f"scripted:{write_model(home / _MADE, sizes)}"
    limits: dict[str, Any] = {"max_depth": 2, "concurrency": 64, "max_cost": 1_000.0, "max_turns": 2 * sizes.turns + 10}
    limits["max_calls"] = 4 * (sizes.calls + 10 * sizes.children) + 4_000
    began = time.perf_counter()
    given = home / _MADE / "input"
    write_input(given, sizes.input, sizes.seed)
    async with Runner.open(home) as runner:
        for number in range(sizes.runs):
            question = f"Question {number}: is a notice needed, and until when?"
            await runner.run(question, f"Some text, number {number}.", model=model, mode="direct")
        question = "Which contracts can be ended without notice?"
        run = await runner.run(question, given, thread=THREAD, model=model, **limits)
    shutil.rmtree(given)
    assert run.status == "answered", run
    return {
        **asdict(sizes),
        **{"seconds": round(time.perf_counter() - began, 1), "home_mb": round(size(home), 1)},
        "database_mb": round((home / "checkpoints.sqlite").stat().st_size / 1e6, 1),
        "usage": dict(run.usage),
    }


def main(home: Path, sizes: Sizes) -> None:
    """Make a home, and print its numbers as JSON."""
    print(json.dumps(asyncio.run(make(home, sizes))))
