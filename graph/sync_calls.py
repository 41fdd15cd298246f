"""Synchronous calls of a graph that lives in an event loop: they wait for what that loop does."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

from ..state.errors import UsageError

T = TypeVar("T")
_END: Any = object()


class SyncCalls:
    """Waits, outside an event loop, for coroutines that run in it. Made inside that loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the loop and return its result; cancel it when this call is interrupted.

        Raises UsageError inside a running event loop, which would wait for itself, and after the loop has been closed.
        """
        try:
            self._check()
            if not self._loop.is_running():
                return self._loop.run_until_complete(work)
        except UsageError:
            work.close()
            raise
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, values: AsyncIterator[T]) -> Iterator[T]:
        """Yield the values of an asynchronous generator one by one; close it at the end. Raises as `wait` does."""
        try:
            while (value := self.wait(_next(values))) is not _END:
                yield value
        finally:
            if not self._loop.is_closed():
                self.wait(_close(values))

    def _check(self) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            if self._loop.is_closed():
                raise UsageError("The runner of this graph is closed.", hint="Open it again.") from None
            return
        raise UsageError(
            "A synchronous call inside an event loop would stop it.",
            hint="Await ainvoke, astream and aget_state here, or call from another thread.",
        )


async def _next(values: AsyncIterator[Any]) -> Any:
    return await anext(values, _END)


async def _close(values: Any) -> None:
    await values.aclose()
