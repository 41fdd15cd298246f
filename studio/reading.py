"""Looking at saved runs: opens the home, reads, and closes it. Nothing is run and nothing is written."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from .invocation import Invocation

if TYPE_CHECKING:
    from ..graph.library import Library
    from ..graph.runner import Runner

T = TypeVar("T")


def from_library(invocation: Invocation, read: Callable[["Library"], Awaitable[T]]) -> T:
    """What `read` finds in the index and the journal. Does without the graph, whose import takes a while."""
    from ..graph.library import Library
    from ..graph.opening import open_stores

    async def work() -> T:
        async with open_stores(invocation.home.absolute()) as stores:
            return await read(Library(stores))

    return asyncio.run(work())


def from_runner(invocation: Invocation, read: Callable[["Runner"], Awaitable[T]]) -> T:
    """What `read` finds with the graph at hand, which loads checkpoints."""
    from ..graph.runner import Runner

    async def work() -> T:
        async with Runner.open(invocation.home) as runner:
            return await read(runner)

    return asyncio.run(work())
