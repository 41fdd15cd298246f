"""What it costs to save the REPL after a cell, beside dill's dump of the same session: part of `make bench-parts`.

In this process, without a kernel's messages: the snapshot itself, its commit as the graph's side does it, and one
fsync of the same disk. dill is asked to save the whole session, since that is all it can do; it is in the environment
that `make bench` makes, and left out where that is missing.
"""

import asyncio
import builtins
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.beside.environment import packages
from bench.beside.machine import fsync_ms
from durable_rlm.kernel.inside.context_file import Pack
from durable_rlm.kernel.inside.snapshot.input_slices import Cuts
from durable_rlm.kernel.inside.snapshot.snapshotter import Snapshotter as InKernel
from durable_rlm.kernel.inside.variables import describe_one
from durable_rlm.state.blobs.snapshots import Groups, Snapshots
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.db.connection import Database

CONTEXT = """
import random
random.seed(0)
words = ["".join(random.choices("abcdefghij", k=6)) for _ in range(1000)]
context = " ".join(random.choices(words, k=5_800_000))[:40_000_000]
del words
"""


_PAGES = CONTEXT + "pages = [context[i : i + 2000] for i in range(0, 20_000_000, 2000)]\nnotes, found = [], {}\n"
_STEPS = (
    "notes.append({{'step': {i}, 'text': pages[{i}][:200]}})",
    "found['page {i}'] = [len(page) for page in pages[:100]]",
    "def count_{i}(page):\n    return page.count('fox')\nhits_{i} = count_{i}(pages[{i}])",
    "total_{i} = len(context) + len(pages) + {i}",
)
SESSION = "200 small steps beside 40 MB"

SLICES = "chunks = [context[i : i + 40_000] for i in range(0, 40_000_000, 40_000)]\n"


def context_text() -> str:
    """40 MB of words."""
    names: dict[str, Any] = {}
    exec(CONTEXT, names)
    return str(names["context"])


@dataclass(frozen=True)
class Case:
    """A session: what it begins with, and the cell that is measured, for each number."""

    name: str
    setup: str
    cell: Callable[[int], str]
    cells: int = 100
    given: tuple[str, ...] = ()
    """Variables that every kernel has by itself, as the input is."""


CASES = (
    Case(SESSION, _PAGES, lambda i: _STEPS[i % 4].format(i=i), 200),
    Case("40 MB context, a new small variable", CONTEXT, lambda i: f"note_{i} = context[{i}*1000:][:1000]", 200, ("context",)),
    Case("40 MB text of its own, the same", CONTEXT, lambda i: f"note_{i} = context[{i}*1000:][:1000]", 200),
    Case("40 MB context, a list grows by 1 KB", CONTEXT + "notes = []", lambda i: f"notes.append(context[{i}*1000:][:1000])", 200, ("context",)),
    Case("1M ints, one changed", "L = list(range(1_000_000))", lambda i: f"L[{i}*4999] = {i}", 20),
    Case("1M texts, one changed", "L = ['item %d' % i for i in range(1_000_000)]", lambda i: f"L[{i}*4999] = 'zz{i}'", 20),
    Case("100k answers by name, one more", "R = {'doc%d' % i: 'answer %d lorem ipsum' % i for i in range(100_000)}", lambda i: f"R['new{i}'] = 'v{i}'", 20),
    Case("100k records, one more", "R = [{'id': i, 'a': 't%d' % i} for i in range(100_000)]", lambda i: f"R.append({{'id': {i}}})", 20),
    Case("250 lists, 250 functions, one called", "\n".join(f"v{i} = [{i}] * 10\ndef f{i}(x): return v{i}[0] + x" for i in range(250)), lambda i: f"y{i} = f{i % 250}(1)", 50),
    Case("100 MB of numbers, one changed", "import numpy as np\nA = np.random.rand(125_000, 100)", lambda i: f"A[{i}, 3] = {i}", 20),
    Case("10k documents of 10 KB, one read", "docs = ['%d ' % i * 2000 for i in range(10_000)]\nres = {}", lambda i: f"res[{i}] = docs[{i}][:100]", 30),
    Case("1,000 slices of 40 MB context, one read", CONTEXT + SLICES, lambda i: f"n = len(chunks[{i}])", 50, ("context",)),
    Case("1,000 slices of 40 MB context, one more", CONTEXT + SLICES, lambda i: f"chunks.append(context[{i}*1000:][:40_000])", 30, ("context",)),
    Case("1,000 prompts in a dict, one changed", CONTEXT + SLICES + "prompts = {i: f'Read this: {c} What is it?' for i, c in enumerate(chunks)}\ndel chunks", lambda i: f"prompts[{i}] += '!'", 30, ("context",)),
)  # fmt: skip


@dataclass
class _Session:
    """A namespace and the store that it is saved to."""

    case: Case
    store: Snapshots
    database: Database
    pack: Path
    """Where its input is stored, if it has one."""
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__", "__builtins__": builtins})
    base: str | None = None
    groups: Groups = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        exec(self.case.setup, self.names)
        if self.case.given:
            self.pack.write_text(self.names["context"])
        self.inside = self.kernel(self.names)

    def kernel(self, names: dict[str, Any]) -> InKernel:
        """The snapshots of a namespace, as a kernel with this session's input has them."""
        given = {name: self.names[name] for name in self.case.given}
        pack = Pack.open(str(self.pack)) if given else None
        return InKernel(
            names,
            hidden=["__name__", "__builtins__"],
            given=given,
            describe=describe_one,
            own_process=True,
            cuts=Cuts(pack, lambda: [(0, pack.size)]) if pack else None,
        )

    async def save(self, code: str) -> tuple[float, float, int]:
        """Milliseconds in the kernel and of the commit, and new bytes."""
        start = time.perf_counter()
        taken = self.inside.take([code])
        taken_at = time.perf_counter()
        pieces = [bytes(piece) for piece in taken.chunks.values()]
        groups: Any = taken.groups
        self.base, self.groups = await self.store.save(self.base, self.groups, groups, taken.gone, pieces)
        await self.database.commit(lambda _: None)
        done = time.perf_counter()
        return (taken_at - start) * 1e3, (done - taken_at) * 1e3, sum(map(len, pieces))


def dill_ms(names: dict[str, Any]) -> float | None:
    """What dill takes to save the session, in milliseconds; None without dill."""
    # Behind our own, so that nothing else is taken from there.
    sys.path.extend(packages())
    try:
        import dill  # type: ignore[import-not-found]  # noqa: TID251
    except ImportError:
        return None
    finally:
        sys.path[-len(packages()) or len(sys.path) :] = []
    times: list[float] = []
    for _ in range(3):
        start = time.perf_counter()
        try:
            dill.Pickler(io.BytesIO(), recurse=False).dump({k: v for k, v in names.items() if k != "__builtins__"})
        except RecursionError:
            return None  # it follows functions into each other's globals
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


@dataclass(frozen=True)
class Saved:
    """What was measured of a session. Medians of milliseconds a cell; bytes."""

    kernel: float
    commit: float
    size: float
    restored: float
    first: tuple[float, float, int]
    """Of the first snapshot, which has everything."""
    dill: float | None


async def measured(case: Case, folder: Path) -> Saved:
    """One session."""
    async with Database.open(folder / "db.sqlite") as database:
        session = _Session(case, Snapshots(database, Blobs(folder / "blobs")), database, folder / "pack")
        first = await session.save(case.setup)
        times: list[tuple[float, float, int]] = []
        for number in range(case.cells):
            code = case.cell(number)
            exec(code, session.names)
            times.append(await session.save(code))
        kernel, commit, size = (statistics.median(one[i] for one in times) for i in range(3))
        fresh = session.kernel({"__name__": "__main__", "__builtins__": builtins})
        groups: Any = list((await session.store.groups(session.base or "")).values())
        start = time.perf_counter()
        chunks = {name: body async for batch in session.store.batches(groups) for name, body in batch.items()}
        fresh.restore(groups, chunks.__getitem__)
        restored = (time.perf_counter() - start) * 1e3
        dill = dill_ms(session.names)
    return Saved(kernel, commit, size, restored, first, dill)


def line(case: Case, saved: Saved) -> str:
    """Of the table."""
    ours = saved.kernel + saved.commit
    beside = "" if saved.dill is None else f"{saved.dill:8.1f} {saved.dill / ours:6.1f} x"
    return (
        f"{case.name:40} {saved.kernel:8.2f} {saved.commit:8.2f} {saved.size / 1e3:10.1f} {saved.restored:9.1f} "
        f"{saved.first[0]:8.0f} {saved.first[2] / 1e6:9.2f} {beside}"
    )


async def session(folder: Path) -> None:
    """Only the session of many small steps, its result for a program."""
    [case] = [case for case in CASES if case.name == SESSION]
    saved = await measured(case, folder)
    print("RESULT " + json.dumps({"a cell": (saved.kernel + saved.commit) / 1e3, "dill": (saved.dill or 0.0) / 1e3}))


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"one fsync {fsync_ms(folder):.2f} ms")
        print(
            f"{'ms a cell, median':40} {'snapshot':>8} {'commit':>8} {'new KB':>10} {'restore':>9} {'first':>8} {'first MB':>9} {'dill':>8}  saved"
        )
        for number, case in enumerate(CASES):
            place = folder / str(number)
            place.mkdir()
            print(line(case, await measured(case, place)), flush=True)


if __name__ == "__main__":
    asyncio.run(session(Path(sys.argv[1])) if len(sys.argv) > 1 else main())
