"""Retry a bounded number of times with jittered exponential back-off, or after the wait that the server asks for.

The back-off is AWS's "equal jitter": half of the doubling wait is fixed, half is random, so that calls which failed
together do not come back together.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from .errors import AttemptFailed, Failure

T = TypeVar("T")
OnRetry = Callable[[str, float], None]
"""Called with the reason (`rate limit (429)`) and the seconds that are waited."""


@dataclass(frozen=True)
class RetryPolicy:
    """Number and waits of attempts: 6 attempts wait 15 to 31 seconds in all, unless the server asks for more."""

    attempts: int = 6
    garbage_attempts: int = 3
    """For replies that are not in the protocol: usually a wrong address, rarely a temporary fault."""
    answerless_attempts: int = 2
    """For replies without an answer, which are paid for: empty ones, and thoughts alone."""
    first_wait: float = 1.0
    longest_wait: float = 60.0
    """Seconds; also caps what a server may ask for with Retry-After."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    """Returns a number from 0 up to 1."""

    def wait(self, number: int, failure: Failure) -> float:
        """Return the seconds to wait after attempt `number` failed."""
        if failure.retry_after is not None:
            # Never earlier than asked; a little later, so that many clients sent the same wait spread out.
            return min(failure.retry_after, self.longest_wait) * (1 + 0.25 * self.chance())
        doubling = min(self.first_wait * 2 ** (number - 1), self.longest_wait)
        return doubling * (0.5 + 0.5 * self.chance())

    def gives_up(self, number: int, failure: Failure) -> bool:
        """Return whether attempt `number` was the last one."""
        limits = {
            "garbage": self.garbage_attempts,
            "empty": self.answerless_attempts,
            "thoughts": self.answerless_attempts,
        }
        return number >= min(limits.get(failure.kind, self.attempts), self.attempts)


async def with_retries(
    attempt: Callable[[int], Awaitable[T]], policy: RetryPolicy, on_retry: OnRetry | None = None
) -> T:
    """Return what the first successful attempt returns; `attempt` is called with its number, counted from 1.

    Raises the last AttemptFailed when the failure is not worth another attempt or no attempts are left. Passes any
    other exception of `attempt` on at once.
    """

    # A loop, not tenacity: the policy makes all decisions, and tenacity costs 0.4 ms a call that needs no retry.
    number = 0
    while True:
        number += 1
        try:
            return await attempt(number)
        except AttemptFailed as error:
            failure = error.failure
            if not failure.retryable or policy.gives_up(number, failure):
                raise
        seconds = policy.wait(number, failure)
        if on_retry:
            on_retry(failure.reason, seconds)
        await policy.sleep(seconds)
