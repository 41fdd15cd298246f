"""An engine that ends questions as a test says, in place of the one that asks models."""

import asyncio
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from durable_rlm.graph.batch import Question
from durable_rlm.graph.run import NO_USAGE, Run
from durable_rlm.graph.runner import Runner

USAGE: Any = {**NO_USAGE, "model_calls": 2, "input_tokens": 100, "output_tokens": 20, "cost_usd": 0.25}


def answered(name: str, answer: Any = "yes") -> Run:
    """Return a run that has answered in one turn."""
    return Run(name, "answered", answer, usage=USAGE, turns=1)


class FakeEngine:
    """Ends each question as `outcome` says; one of `before` without any event, because it had its answer before."""

    def __init__(self, outcome: "Outcome", before: tuple[str, ...] = ()) -> None:
        self.outcome = outcome
        self.before = before
        self.asked: list[tuple[list[Question], Any, dict[str, Any]]] = []
        self.interrupted_at = ""
        """The question at which the user presses Ctrl-C."""
        self.notifier = self
        self.hurried = False
        self._stopped = asyncio.Event()

    async def ask_all(
        self, questions: list[Question], context: Any = None, *, on_event: Callable[..., None], **options: Any
    ) -> AsyncIterator[tuple[Question, Run]]:
        self.asked.append((questions, context, options))
        on_event("", {"event": "input", "documents": 2, "bytes": 10, "name": "", "done": True, "notes": []})
        if isinstance(refused := self.outcome("refused"), Exception):
            raise refused
        on_event("", {"event": "begun", "thread_id": ""})
        for one in questions:
            name = f"{options.get('prefix', '')}{one.id}"
            if one.id not in self.before:
                on_event(one.id, {"event": "begun", "thread_id": name})
                on_event(one.id, {"event": "turn", "turn": 1, "of": 30, "last": False})
            if one.id == self.interrupted_at:
                signal.raise_signal(signal.SIGINT)
                await self._stopped.wait()
            outcome = self.outcome(name)
            if isinstance(outcome, Exception):
                raise outcome
            yield one, outcome

    async def suggested_limits(self, thread: str) -> dict[str, float]:
        return {"max_turns": 60} if thread == "many-turns" else {"max_calls": 7}

    def hurry(self) -> None:
        """Stand in for the notifier's method."""
        self.hurried = True

    async def stop_all(self) -> bool:
        self._stopped.set()
        return True


Outcome = Callable[[str], Run | Exception]


class Install(Protocol):
    """Replaces the runner by one whose questions end with `outcome(name)`."""

    def __call__(self, outcome: Outcome = answered, before: tuple[str, ...] = ()) -> FakeEngine: ...


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Replace the runner by one whose questions end with `outcome(name)`."""

    def install(outcome: Outcome = answered, before: tuple[str, ...] = ()) -> FakeEngine:
        fake = FakeEngine(outcome, before)

        @asynccontextmanager
        async def opened(home: Path, *, tracing: bool = False) -> AsyncGenerator[FakeEngine]:
            del home, tracing
            yield fake

        monkeypatch.setattr(Runner, "open", opened)
        return fake

    return install
