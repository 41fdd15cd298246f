"""Habits of servers and models, and what each costs a run: part of `make bench-parts`, a few seconds.

The tables of habits are those of the tests (`tests/graph/test_habits.py`, `test_quoting_habits.py`): servers on loopback, the real client, kernels
in memory. Tokens are estimated from what the server received, because what it bills is made up.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from durable_rlm import Run, Runner
from durable_rlm.nodes.models.tokens import estimate_messages
from tests.contract.in_memory_kernel import MemoryKernels
from tests.graph import test_quoting_habits as quoting
from tests.graph.test_habits import HABITS, Habit, ask
from tests.servers.habits import HabitServer, habit_server


@dataclass(frozen=True)
class Outcome:
    """How a run with a habit ended, and what it took."""

    right: bool
    said: str
    """`right`, `wrong: …`, or why it gave no answer."""
    turns: int
    requests: int
    tokens: int


AnyHabit = Habit | quoting.QuotingHabit


async def outcome(runner: Runner, habit: AnyHabit, asked: Callable[[HabitServer], Awaitable[Run]]) -> Outcome:
    """Run with a server that has the habit."""
    with habit_server(habit.handle) as server:
        run = await asked(server)
    tokens = sum(estimate_messages(body["messages"]) for body in server.requests)
    return Outcome(run.answer == habit.answer, _said(run, habit), run.turns, len(server.requests), tokens)


def _said(run: Run, habit: AnyHabit) -> str:
    if run.status == "answered":
        return "right" if run.answer == habit.answer else f"wrong: {run.answer!r}"
    return f"{run.status}: {run.error['message'] if run.error else ''}"[:60]


async def main() -> None:
    # Servers on loopback need no key, and must not be sent one.
    os.environ.pop("OPENAI_API_KEY", None)
    habits: list[AnyHabit] = [*HABITS, *quoting.QUOTING_HABITS]
    width = max(len(habit.name) for habit in habits)
    outcomes: list[Outcome] = []
    print(f"{'habit':{width}}  turns  requests  tokens  outcome")
    # Documents are named by their paths from the current folder.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        async with Runner.open(Path(folder) / "home", kernels=MemoryKernels()) as runner:
            files = quoting.written(Path(folder))
            for habit in habits:
                quotes = isinstance(habit, quoting.QuotingHabit)
                asked = partial(quoting.ask, runner, files=files) if quotes else partial(ask, runner)
                one = await outcome(runner, habit, asked)
                outcomes.append(one)
                print(f"{habit.name:{width}}  {one.turns:5}  {one.requests:8}  {one.tokens:6,}  {one.said}")
    answered = [one for one in outcomes if one.right]
    turns, requests, tokens = (sum(getattr(one, what) for one in outcomes) for what in ("turns", "requests", "tokens"))
    print(f"{'all':{width}}  {turns:5}  {requests:8}  {tokens:6,}  {len(answered)} of {len(outcomes)} right")
    print(f"tokens sent for each right answer: {tokens / max(len(answered), 1):,.0f}")


if __name__ == "__main__":
    asyncio.run(main())
