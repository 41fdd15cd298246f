"""A thousand kills: random cells of a zoo in two REPLs, one of which is killed and restored again and again.

    python -m bench.storms.kills [--quick] [--kills 1000] [--seed 1] [--seconds 1800]

After each restore the killed REPL is compared with the one that was never killed, object by object (structure, values,
aliases), with the state of its process and its files; the output of every cell is compared too. A kernel is killed
between cells, or in a cell, which then runs again. Both use the store's form of snapshots. Exit status 1: a difference.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import time
from dataclasses import dataclass, field

from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.results import CellResult
from durable_rlm.kernel.session import Cell, Kernels, KernelSession, KernelSpec
from durable_rlm.state.errors import KernelLost
from tests.contract.session_contract import Store, run

KILLS, QUICK = 1_000, 20
SECONDS = 1_800.0
CELLS_OF_A_SESSION = 25
_IN_A_CELL = 0.4
"""The share of the kills that happen while a cell runs."""
_KILLED_BEFORE = 0.5
"""The share of the cells before or in which the second REPL is killed."""

FIRST = """
import collections, dataclasses, decimal, functools, json, logging, os, random, re, signal, sys, time, warnings
import numpy as np, pandas as pd
a, b, c, d = [], {}, (1, [2]), 'text'
seen = []
class Base:
    all = []
    def __init__(self, n): self.n = n; Base.all.append(self)
    def m(self): return self.n
@dataclasses.dataclass
class Doc:
    name: str
    tags: list = dataclasses.field(default_factory=list)
def f(x=0): seen.append(x); return len(seen)
"""
ZOO = """
{v} = [{i}, {w}]
{v} = {{'k{i}': {w}}}
{v} = {w}
{v}.append({i}) if isinstance({v}, list) and len({v}) < 9 else None
{v} = ({w}, {i})
{v} = Base({i}); {v}.peer = {w}
{v} = Doc('n{i}', [{w}])
{v} = [Base(n) for n in range({i} % 5)]
{v} = collections.deque([{w}, {i}], 4)
{v} = np.arange({i}); {w} = {v}[1:]
{v} = pd.DataFrame({{'v': range({i} % 9), 's': 'x'}})
{v} = functools.partial(f, {i})
{v} = {{f: {i}}}
def make(n={i}):\\n    box = [n]\\n    def get():\\n        box.append(n); return box\\n    return get\\n{v} = make()
{v} = {v}() if callable({v}) else {i}
class Base{i}(Base):\\n    def m(self): return super().m() + {i}\\n{v} = Base{i}(1)
Base.extra = {w} if not isinstance({w}, Base) else {i}
Base.m = lambda self: self.n + {i}
{v} = random.random(), np.random.rand()
random.seed({i}); np.random.seed({i})
f({i}); print(len(seen))
print(sorted(n for n in ('a', 'b', 'c', 'd') if isinstance(globals()[n], list)))
decimal.getcontext().prec = 20 + {i} % 9; {v} = decimal.Decimal(1) / 7
np.set_printoptions(precision={i} % 7 + 1)
pd.set_option('display.max_rows', {i} + 1)
sys.setrecursionlimit(1000 + {i})
os.environ['STORM'] = '{i}'
warnings.filterwarnings('ignore', message='storm {i}')
os.makedirs('d{i}', exist_ok=True); os.chdir('d{i}') if os.getcwd().count('/') < 4 else os.chdir('..')
open('f{i}.txt', 'w').write('content ' * {i}); print(sorted(os.listdir('.')))
open('f.bin', 'ab').write(bytes(range({i})))
[os.unlink(n) for n in os.listdir('.') if n.startswith('f') and len(n) % 2]
os.path.lexists('l') or os.symlink('f{i}.txt', 'l')
class Keep(logging.Handler):\\n    def emit(self, record): seen.append(record.getMessage())
logging.getLogger('storm').addHandler(Keep()) if 'Keep' in globals() and len(logging.getLogger('storm').handlers) < 3 else None
logging.getLogger('storm').warning('{i}'); print(len(seen))
logging.getLogger('storm').setLevel({i} % 50); logging.getLogger('storm').propagate = False
pd.DataFrame.total = lambda self: {i}
json.dumps = functools.partial(json.dumps, indent={i} % 3); print(json.dumps([1]))
time.time = lambda: {i}.0
def on_signal(number, frame): seen.append(number)\\nsignal.signal(signal.SIGUSR1, on_signal)
os.kill(os.getpid(), signal.SIGUSR1) if callable(signal.getsignal(signal.SIGUSR1)) else None
_kept = {w}
del {v}; {v} = None
1 / ({i} % 2)
""".strip().splitlines()


@dataclass
class Report:
    """The result of a storm."""

    kills: int = 0
    cells: int = 0
    sessions: int = 0
    seconds: float = 0.0
    differences: list[str] = field(default_factory=list[str])


class _Life:
    """A REPL and its saved state."""

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels
        self.store = Store()
        self.session: KernelSession | None = None

    async def begin(self) -> None:
        self.session = await self._kernels.start(KernelSpec("storm"))

    async def cell(self, code: str) -> CellResult:
        assert self.session is not None
        result = await run(self.session, code)
        self.store.keep(result)
        return result

    async def killed_in(self, code: str, after: float) -> None:
        """Begin a cell, and kill the kernel so many seconds later."""
        assert self.session is not None
        await self.session.begin(Cell(1, (code,)))
        await asyncio.sleep(after)
        with contextlib.suppress(KernelLost):
            await self.session.close()

    async def restored(self, other: "_Life") -> list[str]:
        """Kill the kernel, restore all in another one, and return what differs from the other REPL."""
        assert self.session is not None
        await self.session.close()
        await self.begin()
        restored = await self.session.restore(list(self.store.groups.values()), self.store.batches())
        differing = await self.session.compare(list(other.store.groups.values()), other.store.batches())
        lost = {name for group in other.store.groups.values() for name in group["lost"]}
        return sorted({*restored.lost, *differing} - lost)


def cell(draw: random.Random) -> str:
    """Return a random cell."""
    v, w = draw.choice("abcd"), draw.choice("abcd")
    return draw.choice(ZOO).replace("\\n", "\n").format(v=v, w=w, i=draw.randrange(1, 40))


async def storm(kills: int, start: int, seconds: float) -> Report:
    """Run sessions until so many kills, or seconds, have passed, or something differs."""
    draw, report, began = random.Random(start), Report(), time.monotonic()
    kernels = JupyterKernels()
    try:
        while report.kills < kills and time.monotonic() - began < seconds and not report.differences:
            await _session(kernels, draw, report, kills)
            report.sessions += 1
    finally:
        await kernels.close()
    report.seconds = time.monotonic() - began
    return report


async def _session(kernels: Kernels, draw: random.Random, report: Report, kills: int) -> None:
    never, often = _Life(kernels), _Life(kernels)
    await never.begin()
    await often.begin()
    cells = [FIRST, *(cell(draw) for _ in range(CELLS_OF_A_SESSION))]
    for number, code in enumerate(cells):
        killed = number > 0 and report.kills < kills and draw.random() < _KILLED_BEFORE
        if killed:
            if draw.random() < _IN_A_CELL:
                await often.killed_in(code, draw.random() * 0.01)
            report.kills += 1
            if differing := await often.restored(never):
                report.differences.append(f"{differing} after a kill before {cells[: number + 1]}")
                break
        one, other = await never.cell(code), await often.cell(code)
        report.cells += 1
        mine, theirs = (
            (result.status, result.output, result.error and result.error.message) for result in (one, other)
        )
        if mine != theirs:
            report.differences.append(f"{mine} and {theirs} of {cells[: number + 1]}")
            break
    for life in (never, often):
        if life.session is not None:
            await life.session.close()


def main() -> None:
    """Run a storm and print its report."""
    options = argparse.ArgumentParser(prog="python -m bench.storms.kills", description=str(__doc__).split("\n", 1)[0])
    options.add_argument("--quick", action="store_true", help=f"{QUICK} kills")
    options.add_argument("--kills", type=int, default=KILLS)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--seconds", type=float, default=SECONDS)
    said = options.parse_args()
    report = asyncio.run(storm(QUICK if said.quick else said.kills, said.seed, said.seconds))
    print(f"{report.kills:,} kills in {report.sessions:,} sessions of {report.cells:,} cells, {report.seconds:.0f} s")
    for difference in report.differences:
        print(f"differs: {difference}")
    sys.exit(1 if report.differences else 0)


if __name__ == "__main__":
    main()
