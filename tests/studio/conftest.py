"""Commands that run in this process, with a home of their own."""

import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.graph.run import Run
from durable_rlm.graph.runner import Runner
from durable_rlm.studio.cli import local_servers
from durable_rlm.studio.main import main


@dataclass(frozen=True)
class Done:
    """The exit status and output of a finished command."""

    code: int
    out: str
    err: str


Rlm = Callable[..., Done]


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the program available by its name, as in an activated environment."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)


@pytest.fixture
def rlm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rlm:
    """Run a command in an empty folder with `rlm(…)`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    # No model server of this machine is looked for.
    monkeypatch.setattr(local_servers, "SERVERS", {})
    for name in ("RLM_HOME", "RLM_MODEL", "RLM_SUB_MODEL"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


class FakeRunner:
    """A runner that records its calls and returns or raises prepared results in order, the last one for ever."""

    def __init__(self, *outcomes: Run | Exception) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.homes: list[Path] = []
        self.tracing: list[bool] = []
        self.queries = self
        self.notifier = self
        self.exports = self
        self.answer_table: Any = None
        self.answer_files: list[Any] = []
        self.limits: dict[str, Any] = {"max_turns": 30}
        self.suggested: dict[str, float] = {}

    async def settle(self, seconds: float) -> None:
        """Has no notifications to wait for."""

    def hurry(self) -> None:
        """Has no notifications to wait for."""

    async def run(self, *given: Any, on_event: Callable[[dict[str, Any]], None], **named: Any) -> Run:
        self.asked.append(("run", given, named))
        on_event({"event": "turn", "turn": 1, "of": 2, "last": False})
        return self._ended()

    async def resume(self, *given: Any, on_event: Callable[[dict[str, Any]], None], **named: Any) -> Run:
        self.asked.append(("resume", given, named))
        return self._ended()

    async def decide(self, *given: Any, on_event: Callable[[dict[str, Any]], None], **named: Any) -> Run:
        self.asked.append(("decide", given, named))
        on_event({"event": "turn", "turn": 1, "of": 2, "last": False})
        return self._ended()

    async def read(self, thread: str) -> Run:
        return self._ended()

    async def show(self, *given: Any) -> dict[str, Any]:
        return {"turns": []}

    graph = None
    checkpoints = None

    async def table(self, thread: str) -> Any:
        return self.answer_table

    async def files(self, thread: str) -> list[Any]:
        return self.answer_files

    async def fork(self, *given: Any, on_event: Callable[[dict[str, Any]], None], **named: Any) -> Run:
        self.asked.append(("fork", given, named))
        return self._ended()

    async def about(self, thread: str) -> dict[str, Any]:
        return {"thread_id": thread, "parent": "t", "limits": self.limits, "settings": {}}

    async def suggested_limits(self, thread: str) -> dict[str, float]:
        return self.suggested

    async def count_below(self, thread: str) -> int:
        return 0

    def _ended(self) -> Run:
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


Fake = Callable[..., FakeRunner]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    def install(*outcomes: Run | Exception) -> FakeRunner:
        runner = FakeRunner(*outcomes)

        def saved_runs(stores: object) -> FakeRunner:
            del stores
            return runner

        monkeypatch.setattr("durable_rlm.graph.saved_runs.SavedRuns", saved_runs)

        @asynccontextmanager
        async def opened(home: Path, *, tracing: bool = False) -> AsyncGenerator[FakeRunner]:
            runner.homes.append(Path(home))
            runner.tracing.append(tracing)
            yield runner

        monkeypatch.setattr(Runner, "open", opened)
        return runner

    return install


HOSTILE = {
    "escape": "\x1b[2J\x1b]0;owned\x07",
    "C1": "\x9b31m",
    "overwrite": "safe\rrm -rf",
    "bidi": "\u202etxt.exe\u202c\u2066",
    "no width": "pass\u200bword\u2060\ufeff",
    "tags": "\U000e0041\U000e0042",
    "separators": "a\u2028b\u2029c",
    "backspace": "a\b\b\bb\x7f",
    "surrogate": "\ud800",
    "blank letter": "\u3164\u115f",
}
"""Texts that must be escaped on a terminal, by their effect."""
