"""What a kernel costs, beside stock ipykernel in the same run: part of `make bench-parts`.

Stock is `AsyncKernelManager` with its ipc transport, as jupyter_client starts ipykernel. Ours are measured in every
sandbox that holds here. *forked* is a kernel that nobody has made ready: the fork server is told to make it, and the
kernel host's own code, which is what is called here, speaks to it. *ready* and all else is what the graph's process
sees, through a kernel host. A start is over when its first cell has answered. Medians; what is compared takes turns.
"""

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.manager import AsyncKernelManager

from bench.snapshots import context_text
from durable_rlm.kernel.host.fork_server import NoSandbox
from durable_rlm.kernel.host.kernel_pool import ForkServerPool, Source, WarmKernels
from durable_rlm.kernel.host.kernel_process import KernelProcess
from durable_rlm.kernel.host.sandbox_tiers import TIERS, Tier
from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.results import CellResult
from durable_rlm.kernel.session import Answered, Cell, ContextFiles, KernelSession, KernelSpec
from durable_rlm.state.errors import KernelLost
from tests.contract.session_contract import Store, run

STARTS = 8
ROUNDS, CELLS = 6, 50
CALLS = 300
AT_ONCE = 50
RESTORES = 5
LARGE = 1_000_000_000
PART = 1_000_000
_REFILLED = 0.3
"""Seconds in which taken kernels are made anew; nobody is told when they are."""

_CALLS = """
import time
prompt, times = 'x' * {chars}, []
for _ in range({calls}):
    began = time.perf_counter()
    llm_query(prompt)
    times.append(time.perf_counter() - began)
FINAL(sorted(times)[len(times) // 2] * 1e3)
"""
_NOTES = "notes = [context[i * 1000 : i * 1000 + 1000] for i in range(100)]\nfound = {'a': 1}"


class Stock:
    """One kernel as jupyter_client starts it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._manager = AsyncKernelManager(transport="ipc")
        self._manager.ip, self._manager.connection_file = str(folder / "s"), str(folder / "connection.json")

    async def start(self) -> None:
        """Until its first cell has answered."""
        await self._manager.start_kernel()
        self._client = self._manager.client()
        self._client.start_channels()
        await self.cell()

    async def cell(self) -> None:
        """A trivial one."""
        sent = self._client.execute("1")
        while (await self._client.get_shell_msg())["parent_header"].get("msg_id") != sent:
            pass

    async def close(self) -> None:
        """End it."""
        self._client.stop_channels()
        await self._manager.shutdown_kernel(now=True)


class Unprepared(ForkServerPool):
    """No kernel is made before it is asked for."""

    async def source(self, *, sandboxed: bool, environment: str) -> Source:
        source = await super().source(sandboxed=sandboxed, environment=environment)
        return replace(source, ready=WarmKernels(source.server, ahead=0))


class Forked:
    """One kernel as the kernel host starts it."""

    def __init__(self) -> None:
        self._process = KernelProcess("k", self._heard)
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def start(self, pool: ForkServerPool, spec: KernelSpec) -> None:
        """Until its first cell has answered."""
        await self._process.start(pool, {"setup": spec.setup(), **spec.process()})
        await self._process.cell(["1"], [])
        assert await self._ended == "ended"

    async def close(self) -> None:
        """End it."""
        await self._process.close()

    async def _heard(self, event: dict[str, Any], attached: bytes = b"") -> None:
        del attached
        if event["event"] in ("ended", "died") and not self._ended.done():
            self._ended.set_result(event["event"])


@dataclass
class Lane:
    """One tier, ready to start kernels, and what was measured of it."""

    tier: Tier
    kernels: JupyterKernels
    pool: ForkServerPool
    forked: list[float] = field(default_factory=list[float])
    ready: list[float] = field(default_factory=list[float])
    cells: list[float] = field(default_factory=list[float])

    def spec(self, context: ContextFiles | None = None) -> KernelSpec:
        """A kernel of this tier."""
        return KernelSpec("bench", context, sandboxed=self.tier != "none")

    async def once_forked(self) -> None:
        """Start one that nobody made ready."""
        kernel = Forked()
        self.forked.append(await ms(lambda: kernel.start(self.pool, self.spec())))
        await kernel.close()

    async def once_ready(self) -> None:
        """Start one of those that are ready."""
        began = time.perf_counter()
        session = await self.kernels.start(self.spec())
        await trivial(session)
        self.ready.append((time.perf_counter() - began) * 1e3)
        await session.close()
        await asyncio.sleep(_REFILLED)


async def ms(work: Callable[[], Awaitable[object]]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1e3


async def trivial(session: KernelSession) -> CellResult:
    """A cell with nothing in it, to its result."""
    await session.begin(Cell(1, ("1",)))
    return await session.result()


@contextlib.asynccontextmanager
async def every_tier(folder: Path) -> AsyncGenerator[list[Lane]]:
    """All that hold here; the others are named."""
    lanes: list[Lane] = []
    async with contextlib.AsyncExitStack() as open_ones:
        for tier in (*TIERS, "none"):
            place = Path(tempfile.mkdtemp(dir=folder))
            pool = Unprepared(place, [folder], [], (tier,))
            open_ones.push_async_callback(pool.close)
            kernels = JupyterKernels([folder], tiers=(tier,))
            open_ones.push_async_callback(kernels.close)
            lane = Lane(tier, kernels, pool)
            try:
                await pool.source(sandboxed=tier != "none", environment="")
            except NoSandbox as error:
                print(f"{tier} does not hold here: {error}")
                continue
            await kernels.warm_up(sandboxed=tier != "none")
            lanes.append(lane)
        yield lanes


async def starts(lanes: Sequence[Lane], folder: Path) -> None:
    """From nothing, from the fork server, from the kernels that are ready."""
    stock: list[float] = []
    for number in range(STARTS):
        for lane in lanes:
            kernel = Stock(folder / f"{lane.tier[:2]}{number}")
            stock.append(await ms(kernel.start))
            await kernel.close()
            await lane.once_forked()
            await lane.once_ready()
    alone = statistics.median(stock)
    unconfined = next(statistics.median(lane.forked) for lane in lanes if lane.tier == "none")
    print(
        f"{'start to first reply, ms':30} {'forked':>8} {'ready':>8} {'stock':>8} {'stock ÷ ready':>14} {'sandbox':>9}"
    )
    for lane in lanes:
        forked, ready = statistics.median(lane.forked), statistics.median(lane.ready)
        more = forked - unconfined
        print(
            f"{lane.tier:30} {forked:8.1f} {ready:8.1f} {alone:8.1f} {alone / ready:12.1f} x {more:+9.1f}", flush=True
        )


async def cells(lanes: Sequence[Lane], folder: Path) -> None:
    """A trivial cell, and a sub-call, there and back."""
    stock = Stock(folder / "cells")
    await stock.start()
    sessions = [await lane.kernels.start(lane.spec()) for lane in lanes]
    alone: list[float] = []
    for _ in range(ROUNDS):
        # Not by ones: a process that has just been woken is slow, whoever's it is.
        alone += [await ms(stock.cell) for _ in range(CELLS)]
        for lane, session in zip(lanes, sessions, strict=True):
            lane.cells += [await ms(lambda session=session: trivial(session)) for _ in range(CELLS)]
    await stock.close()
    beside = statistics.median(alone)
    print(f"{'round trip, ms':30} {'cell':>8} {'stock':>8} {'call':>8} {'of 1 MB':>8} {'both ways':>10}")
    for lane, session in zip(lanes, sessions, strict=True):
        small = await _call(session, 10, lambda _: Answered("short"))
        large = await _call(session, PART, lambda _: Answered("short"))
        echoed = await _call(session, PART, Answered)
        await session.close()
        cell = statistics.median(lane.cells)
        print(f"{lane.tier:30} {cell:8.2f} {beside:8.2f} {small:8.2f} {large:8.2f} {echoed:10.2f}", flush=True)


async def _call(session: KernelSession, chars: int, answer: Callable[[str], Answered]) -> float:
    calls = CALLS if chars < PART else CALLS // 10
    result = await run(session, _CALLS.format(chars=chars, calls=calls), answer=answer)
    assert result.final is not None, result
    return float(result.final.value)


async def at_once(lane: Lane) -> None:
    """Many kernels together, and what each has in memory."""
    sessions: list[KernelSession] = []

    async def one() -> None:
        session = await lane.kernels.start(lane.spec())
        sessions.append(session)
        await trivial(session)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    seconds = time.perf_counter() - began
    private = sorted(_memory(process, "smaps_rollup", "Private_") for process in _kernels())
    assert len(private) >= AT_ONCE
    print(
        f"{lane.tier:30} {AT_ONCE} at once {seconds:6.2f} s, private {statistics.median(private):5.1f} MB each, "
        f"{private[-1]:.1f} at most",
        flush=True,
    )
    await asyncio.gather(*(session.close() for session in sessions))
    await asyncio.sleep(_REFILLED)


def _kernels() -> list[psutil.Process]:
    """All kernels of this process: what has no child of its own among what it started."""
    ours = psutil.Process().children(recursive=True)
    parents = {process.ppid() for process in ours}
    return [process for process in ours if process.pid not in parents and "fork-server" in process.cmdline()]


def _memory(process: psutil.Process, file: str, field: str) -> float:
    """MB of the fields that begin so."""
    lines = Path(f"/proc/{process.pid}/{file}").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(field)) / 1e3


async def restored(lane: Lane, context: ContextFiles) -> None:
    """A kernel dies; until another stands where it stood."""
    times: list[float] = []
    for _ in range(RESTORES):
        store = Store()
        session = await lane.kernels.start(lane.spec(context))
        store.keep(await run(session, _NOTES))
        await asyncio.sleep(_REFILLED)
        began = time.perf_counter()
        await session.begin(Cell(2, ("import os\nos._exit(1)",)))
        with contextlib.suppress(KernelLost):
            await session.result()
        fresh = await lane.kernels.start(lane.spec(context))
        said = await fresh.restore(list(store.groups.values()), store.batches())
        assert not said.lost and set(said.names) >= {"notes", "found"}, said
        assert (await run(fresh, "len(context), len(notes)")).output == "(40000000, 100)\n"
        times.append((time.perf_counter() - began) * 1e3)
        await asyncio.gather(session.close(), fresh.close())
    print(f"{lane.tier:30} killed → restored, 40 MB context {statistics.median(times):8.1f} ms", flush=True)


async def large(lane: Lane, pack: Path) -> None:
    """A context of 1 GB, and a child that is given 1 MB of it."""
    for name, context, size in (
        ("1 GB of context", ContextFiles(pack), LARGE),
        ("1 MB part of it", ContextFiles(pack, None, LARGE // 2, LARGE // 2 + PART), PART),
    ):
        await asyncio.sleep(_REFILLED)
        began = time.perf_counter()
        session = await lane.kernels.start(lane.spec(context))
        assert (await run(session, "len(context)")).output == f"{size}\n"
        milliseconds = (time.perf_counter() - began) * 1e3
        # Those that are ready have none.
        peak, own = (
            max(_memory(process, file, field) for process in _kernels())
            for file, field in (("status", "VmHWM"), ("smaps_rollup", "Private_"))
        )
        await session.close()
        print(f"{lane.tier:30} {name} {milliseconds:8.1f} ms, peak {peak:6.0f} MB, private {own:6.1f} MB", flush=True)


def _write(path: Path, line: str, size: int) -> ContextFiles:
    """A file of so many bytes."""
    block = (line * (PART // len(line) + 1))[:PART]
    with path.open("w") as file:
        for _ in range(size // PART):
            file.write(block)
    return ContextFiles(path)


async def main() -> None:
    if sys.platform != "linux":
        print("kernels are forked on Linux only")
        return
    with tempfile.TemporaryDirectory(prefix="b") as name:
        folder = Path(name)
        (folder / "words").write_text(context_text())
        _write(folder / "large", "All work and no play makes a long text, and nothing but ASCII.\n", LARGE)
        async with every_tier(folder) as lanes:
            await starts(lanes, folder)
            await cells(lanes, folder)
            for lane in lanes:
                await at_once(lane)
            for lane in lanes:
                await restored(lane, ContextFiles(folder / "words"))
            for lane in lanes:
                await large(lane, folder / "large")


if __name__ == "__main__":
    asyncio.run(main())
