"""Coverage: what placing one prompt costs, and how long the sum over 30,000 calls takes. CPU seconds.

`python -m bench.evidence.coverage [--calls N]`
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from durable_rlm.state.blobs.range_index import RangeIndex
from durable_rlm.state.db.tables import CALLS
from durable_rlm.state.evidence.coverage import Coverage, coverage_of
from durable_rlm.state.evidence.journal_places import rows_of_tree
from durable_rlm.state.evidence.places import Document, Placed, placed
from durable_rlm.state.evidence.recorded import encoded
from durable_rlm.state.open_home import open_home

DOCUMENTS = 2_000
DOCUMENT = 50_000
PROMPT = 4_000
RANGES = 8
"""Ranges of each of the calls that are summed."""
_WORDS = [f"{a}{b}{c}" for a in "bcdfglmnprst" for b in "aeiou" for c in ("nd", "rt", "l", "s", "ck")]


def text(chosen: random.Random, size: int) -> bytes:
    """Return words in lines of twelve, about `size` bytes."""
    words = chosen.choices(_WORDS, k=size // 4)
    return "\n".join(" ".join(words[at : at + 12]) for at in range(0, len(words), 12)).encode()[:size]


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of a call, and its result."""
    before = time.process_time()
    result = work()
    return time.process_time() - before, result


def placing(pack: Path, documents: list[Document], count: int = 500) -> None:
    """Print what placing one prompt takes: an instruction and a slice."""
    data, chosen = pack.read_bytes(), random.Random(1)
    seconds, index = cpu(lambda: RangeIndex.of(pack))
    print(f"index of {len(data) / 1e6:.0f} MB: {seconds:.2f} s, once")
    for hinted in (False, True):
        prompts: list[tuple[bytes, list[Any]]] = []
        for _ in range(count):
            name, start, _ = chosen.choice(documents)
            at = chosen.randrange(0, DOCUMENT - PROMPT)
            cuts = [(name, at, at + PROMPT)] if hinted else []
            prompts.append(
                (b"Which of these words is a name? Answer in a line.\n\n" + data[start + at :][:PROMPT], cuts)
            )
        took, found = cpu(lambda given=prompts: [placed(body, index, documents, cuts) for body, cuts in given])
        whole = sum(one.placed >= PROMPT for one in found)
        print(f"a prompt of {PROMPT:,} bytes, hints {hinted}: {1e3 * took / count:.2f} ms, {whole} of {count} whole")


async def summing(home: Path, pack: Path, documents: list[Document], calls: int) -> None:
    """Print how long the sum over a run with so many calls takes, read from its journal."""
    chosen, size, name = random.Random(2), pack.stat().st_size, "a" * 64
    async with open_home(home) as stores:

        def fill(connection: Any) -> None:
            for number in range(calls):
                ranges = [(at, at + 500) for at in sorted(chosen.sample(range(0, size - 500, 600), RANGES))]
                row = {
                    **{"thread_id": "t", "key": str(number), "kind": "llm", "turn": 1, "depth": 0, "model": "m"},
                    **{"prompt": "", "status": "answered", "attempts": 1, "input_tokens": 0, "output_tokens": 0},
                    **{"cost": 0.0, "created": 0.0, "places": encoded(name, Placed(ranges, 4_000, 4_100))},
                }
                connection.execute(CALLS.insert(*row), row)

        await stores.database.commit(fill)
        began, wall = time.process_time(), time.perf_counter()
        rows = await rows_of_tree(stores.database, "t")
        read = time.process_time() - began
        took, found = cpu(lambda: coverage_of(rows, "t", name, documents, pack))
        assert isinstance(found, Coverage)
        print(
            f"{calls:,} calls with {RANGES} ranges each over {len(documents):,} documents: read {read:.2f} s, summed "
            f"{took:.2f} s CPU, {time.perf_counter() - wall:.2f} s in all; {found.share or 0:.1%} of the input"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=30_000)
    calls = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as folder:
        pack, chosen = Path(folder) / "pack", random.Random(0)
        pack.write_bytes(b"".join(text(chosen, DOCUMENT) for _ in range(DOCUMENTS)))
        documents = [(f"{at}.txt", at * DOCUMENT, (at + 1) * DOCUMENT) for at in range(DOCUMENTS)]
        placing(pack, documents)
        asyncio.run(summing(Path(folder) / "home", pack, documents, calls))


if __name__ == "__main__":
    main()
