"""Working on what is saved: opens the home, does it, and closes it. Nothing is run."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from .common import Invocation

if TYPE_CHECKING:
    from ...graph.queries import Library
    from ...graph.runner import Runner
    from ...nodes.runtime.dependencies import Stores

T = TypeVar("T")


def from_library(invocation: Invocation, read: Callable[["Library"], Awaitable[T]]) -> T:
    """What `read` finds in the index and the journal. Does without the graph, whose import takes a while."""
    from ...graph.queries import Library

    return from_stores(invocation, lambda stores: read(Library(stores)))


def from_stores(invocation: Invocation, work: Callable[["Stores"], Awaitable[T]]) -> T:
    """What `work` comes to with the stores at hand."""
    from ...graph.wiring import open_stores

    async def opened() -> T:
        async with open_stores(invocation.home.absolute()) as stores:
            return await work(stores)

    return asyncio.run(opened())


def from_runner(invocation: Invocation, read: Callable[["Runner"], Awaitable[T]]) -> T:
    """What `read` finds with the graph at hand, which loads checkpoints."""
    from ...graph.runner import Runner

    async def work() -> T:
        async with Runner.open(invocation.home) as runner:
            return await read(runner)

    return asyncio.run(work())
