"""The calls of a run by parts."""

import pytest

from durable_rlm import Runner
from durable_rlm.graph.call_pages import line_sums

from .fork.conftest import model as model
from .fork.conftest import runner as runner
from .fork.homes import step


@pytest.mark.parametrize(("kind", "turn"), [("plan", 1), ("execute_code", 1), ("plan", 2), ("execute_code", 2)])
async def test_a_fork_has_the_sums_of_its_parent_whichever_of_them_made_the_calls(
    runner: Runner, kind: str, turn: int
) -> None:
    fork = await runner.fork("parent", await step(runner, kind, turn), into="fork")
    await runner.resume(fork.thread_id)
    stores = runner.queries._stores  # pyright: ignore[reportPrivateUsage]
    for number in (1, 2, 3):
        assert [(one.line, one.calls) for one in await line_sums(stores, "fork", number)] == [
            (one.line, one.calls) for one in await line_sums(stores, "parent", number)
        ]


async def test_calls_that_the_parent_made_after_the_fork_do_not_count(runner: Runner) -> None:
    await runner.fork("parent", await step(runner, "execute_code", 1, "characters"), into="fork")
    stores = runner.queries._stores  # pyright: ignore[reportPrivateUsage]
    assert sum(one.calls for one in await line_sums(stores, "fork", 1)) == 2
    assert await line_sums(stores, "fork", 2) == []
