"""Retries: how many there are, how long they wait, and which failures are not retried."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from durable_rlm.nodes.models.errors import AttemptFailed, Failure
from durable_rlm.nodes.models.retry import RetryPolicy, with_retries
from tests.nodes.models.conftest import FakeSleep

BUSY = Failure("server", retryable=True, status=503)


@given(number=some.integers(1, 50), chance=some.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_negative_nor_longer_than_the_cap(number: int, chance: float) -> None:
    policy = RetryPolicy(chance=lambda: chance)
    wait = policy.wait(number, BUSY)
    assert 0.5 <= wait <= policy.longest_wait
    assert wait <= policy.first_wait * 2 ** (number - 1)


@given(asked=some.floats(0, 1e9), chance=some.floats(0, 1, exclude_max=True))
def test_the_wait_that_a_server_requests_is_a_lower_bound_up_to_the_cap(asked: float, chance: float) -> None:
    policy = RetryPolicy(chance=lambda: chance)
    wait = policy.wait(1, Failure("rate_limit", retryable=True, retry_after=asked))
    assert min(asked, 60) <= wait <= 1.25 * min(asked, 60)


async def test_the_last_failure_is_raised(fake_sleep: FakeSleep) -> None:
    async def attempt(number: int) -> None:
        raise AttemptFailed(Failure("server", f"number {number}", retryable=True))

    with pytest.raises(AttemptFailed) as failed:
        await with_retries(attempt, RetryPolicy(attempts=4, sleep=fake_sleep))
    assert failed.value.failure.detail == "number 4" and len(fake_sleep.seconds) == 3


async def test_a_failure_that_is_not_retryable_is_raised_at_once(fake_sleep: FakeSleep) -> None:
    async def attempt(number: int) -> None:
        raise AttemptFailed(Failure("auth"))

    with pytest.raises(AttemptFailed):
        await with_retries(attempt, RetryPolicy(sleep=fake_sleep))
    assert fake_sleep.seconds == []


async def test_other_exceptions_are_raised_unchanged(fake_sleep: FakeSleep) -> None:
    async def attempt(number: int) -> None:
        raise KeyError("not a failed attempt")

    with pytest.raises(KeyError):
        await with_retries(attempt, RetryPolicy(sleep=fake_sleep))
    assert fake_sleep.seconds == []
