"""Hold what a run shares with the runs below it: its model clients, and limits on what may be under way at once."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn

import psutil

from ...state.batch_budget import BatchLedger
from ...state.errors import HomeFull
from ...state.home_size import HomeLimit
from ...state.model_specs import ModelSpec
from ...state.settings import RunSettings
from ..models.client import ModelClient
from .dependencies import OpenModels

KERNEL_BYTES = 256 << 20
"""Memory that is assumed for a kernel, unless the user sets the number of kernels."""
MOST_KERNELS = 32


class KernelSlots:
    """The kernels that a tree may have alive, given out so that its runs never wait for each other.

    A run that waits for its children keeps its kernel. If such runs held all slots, none of them could ever end; so a
    run takes a slot only while as many are left as there are levels of runs below it.
    """

    def __init__(self, slots: int) -> None:
        self.free = slots
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def taken(self, levels_below: int) -> AsyncGenerator[None]:
        """Wait for a slot for a run with up to `levels_below` levels of runs below it, and hold it."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((levels_below, turn))
        self._call_next()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove((levels_below, turn))
            else:
                self._give()
            raise
        try:
            yield
        finally:
            self._give()

    def _give(self) -> None:
        self.free += 1
        self._call_next()

    def _call_next(self) -> None:
        """Give free slots to the runs that have waited longest and leave enough of them.

        A deeper run need leave fewer.
        """
        for levels_below, turn in list(self._waiting):
            if self.free > levels_below and not turn.done():
                self._waiting.remove((levels_below, turn))
                self.free -= 1
                turn.set_result(None)


@dataclass(frozen=True)
class RunModels:
    """The clients of one run."""

    root: ModelClient
    """Writes its code."""
    sub: ModelClient
    """Answers its sub-calls, unless the code names the root model."""

    def named(self, name: str | None) -> ModelClient | None:
        """Return the model for a sub-call that names this one (None: names none), or None when it is not configured."""
        return next((model for model in (self.sub, self.root) if name in (None, model.name)), None)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that its code may give, sorted."""
        return tuple(sorted({self.root.name, self.sub.name}))


class Room:
    """The room that a tree has for more work in its home (`--max-home-size`).

    Once there is none, no request is begun any more, and the tree ends: not before the requests that are under way are
    answered and recorded, because what is paid is kept.
    """

    def __init__(self, limit: HomeLimit) -> None:
        self.limit = limit
        self._full: HomeFull | None = None
        self._under_way = 0
        self._quiet: asyncio.Future[None] | None = None

    async def need(self) -> None:
        """Return when work may be begun. Otherwise wait for the requests under way, and raise HomeFull."""
        if self._full is None:
            try:
                self.limit.need()
            except HomeFull as full:
                self._full = full
        if self._full is not None:
            await self.end(self._full)

    async def end(self, full: HomeFull) -> NoReturn:
        """Begin no more requests, wait for those under way, and raise `full`."""
        self._full = full
        while self._under_way:
            self._quiet = self._quiet or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._quiet)
        raise full

    async def begin(self) -> None:
        """Note that a request is begun; `ended` follows once its outcome is recorded. Raises HomeFull."""
        await self.need()
        self._under_way += 1

    def ended(self) -> None:
        """Note that a request is no longer under way."""
        self._under_way -= 1
        if not self._under_way and self._quiet is not None:
            self._quiet.set_result(None)
            self._quiet = None


class RunTree:
    """The shared part, made by the run at the top and closed with it, or by a batch for all of its runs."""

    def __init__(
        self, settings: RunSettings, open_model: OpenModels, room: Room, *, kernels: int | None = None
    ) -> None:
        """`kernels`: those of the runs below the top; by default all but one, which the run at the top has."""
        self.room = room
        self._open_model = open_model
        self._clients: dict[tuple[str, ...], ModelClient] = {}
        self.slots = asyncio.Semaphore(settings.concurrency)
        """One for each model call that may be in flight."""
        self.kernels = KernelSlots(most_kernels(settings) - 1 if kernels is None else kernels)

    def models_of(self, settings: RunSettings) -> RunModels:
        """Return the clients of a run of the tree, each opened when first asked for. Raises ModelSetupError."""
        return RunModels(self._client(settings.root_spec), self._client(settings.sub_spec))

    def _client(self, spec: ModelSpec) -> ModelClient:
        if spec.identity not in self._clients:
            self._clients[spec.identity] = self._open_model(spec)
        return self._clients[spec.identity]

    async def aclose(self) -> None:
        """Close the models' connections, each whatever closing another raises; then raise the first of these errors."""
        closing = (client.aclose() for client in self._clients.values())
        for outcome in await asyncio.gather(*closing, return_exceptions=True):
            if outcome is not None:
                raise outcome


@dataclass(frozen=True)
class BatchPart:
    """The part that the runs of a batch share. The batch closes it."""

    tree: RunTree
    ledger: BatchLedger


def run_levels(settings: RunSettings) -> int:
    """Return how many levels of runs with kernels there may be, the run itself included."""
    return max(1, settings.max_depth)


def most_kernels(settings: RunSettings) -> int:
    """Return how many kernels may be alive at once.

    That is the user's setting, else what fits into memory; at least one a level.
    """
    if settings.kernels is not None:
        return settings.kernels
    fitting = psutil.virtual_memory().available // KERNEL_BYTES
    return max(run_levels(settings), min(MOST_KERNELS, fitting))
