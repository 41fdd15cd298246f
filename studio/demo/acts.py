"""The demo in four acts: an answer, a crash that costs nothing, a fork that pays for one call, a run that waits."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...state.wording import counted, duration
from ..cli.files import AnswerFile
from ..cli.open_runner import OpenRunner
from ..cli.run_loop import CliRun, OnEvent, RunAttempt, drive, report_outcome
from ..cli.signals import interruptible
from ..invocation import Invocation
from ..terminal.console import put, say, stderr_console
from ..terminal.escape import safe
from ..terminal.printed_commands import command_line
from .corpus import QUESTION, corpus, offline_settings
from .model import KILL_AFTER

if TYPE_CHECKING:
    from ...graph.run import Run
    from ...graph.runner import Runner
    from ...state.call_records import CallRow

T = TypeVar("T")
ANSWERS_BEFORE_THE_CRASH = 67
LAST_TURN = 5
_SHOW_CURSOR = "\x1b[?25h"
_LINES_OF_THE_REQUEST = 12


class ActFailed(Exception):
    """Raised when an act does not end as it should. `status` is the exit status of the demo."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Demo:
    """The acts and what they share. Each act announces what it shows, shows it, and proves it in a line."""

    invocation: Invocation
    home: OpenRunner
    name: str
    """The end of the names of its threads."""
    unsandboxed: bool | None
    output: Path | None

    def answer(self) -> "Run":
        """Play act 1: an answer whose places can be looked up. Return its run. Raises ActFailed."""
        say(f"1 of 4 · A question over Python's standard library: {QUESTION}", style="bold")
        run, came = self._run("answer", offline_settings(unsandboxed=self.unsandboxed))
        short, _, _ = str(run.answer).partition("\n\n")
        put(safe(short))
        # Under the home, where users expect the files of a demo.
        file = AnswerFile(self.output or self.invocation.home / "demo-answer.txt")
        file.write(run.answer)
        lines = str(run.answer).count("\n") + 1
        prove(
            f"{counted(run.usage['model_calls'], 'model call')} in {duration(came.seconds or 0.0)}, each of them "
            f"saved as it was answered; all {lines} lines of the answer are in {safe(str(file.path))}"
        )
        return run

    def crash(self, first: "Run") -> None:
        """Play act 2: the same run in a process that is killed, resumed in this one. Raises ActFailed."""
        thread = self._thread("killed")
        say(
            "2 of 4 · The same again, in a process that kills itself (SIGKILL) in the middle of its calls", style="bold"
        )
        self._run_until_killed(thread)
        recorded = {row.key: row for row in self._rows(thread) if row.answer}
        say(f"Killed: {counted(len(recorded), 'sub-call')} were answered. Go on: {self._command('resume', thread)}")

        async def go_on(runner: "Runner", on_event: OnEvent) -> "Run":
            return await runner.resume(thread, on_event=on_event)

        run, _ = self._driven(thread, go_on)
        now = {row.key: row for row in self._rows(thread)}
        reused = sum(now[key].reused > 0 for key in recorded)
        twice = sum(now[key].attempts > row.attempts for key, row in recorded.items())
        same = "the same answer" if run.answer == first.answer else "ANOTHER ANSWER"
        prove(f"{counted(reused, 'answer')} reused, {twice} recorded calls paid twice, {same}")

    def fork(self, first: "Run") -> None:
        """Play act 3: a fork from the middle of the first run, with one variable changed. Raises ActFailed."""
        thread, target = self._thread("fork"), another_version(str(first.answer))
        say(
            f"3 of 4 · What if it were Python {target}? The first run again, from just before its last cell",
            style="bold",
        )

        async def go_on(runner: "Runner", on_event: OnEvent) -> "Run":
            steps = await runner.queries.steps(first.thread_id)
            step = next(one["step"] for one in steps if (one["kind"], one["turn"]) == ("plan", LAST_TURN))
            made = await runner.fork(first.thread_id, step, into=thread, set={"target": target})
            return await runner.resume(made.thread_id, on_event=on_event)

        run, came = self._driven(thread, go_on)
        short, _, _ = str(run.answer).partition("\n\n")
        say(safe("\n".join(short.splitlines()[3:])))
        paid, before = run.usage["model_calls"], first.usage["model_calls"]
        prove(f"{counted(paid, 'call')} paid of {before}, in {duration(came.seconds or 0.0)}")

    def gate(self) -> None:
        """Play act 4: a run that waits for a reviewer before it spends. Raises ActFailed."""
        say("4 of 4 · The same with a gate: --approve 'calls>100'", style="bold")
        settings = offline_settings(unsandboxed=self.unsandboxed, approve="calls>100")
        run, _ = self._run("gate", settings, status="paused")
        console = stderr_console()

        async def request(runner: "Runner") -> None:
            from ..approval.render import whole_screen
            from ..approval.requests import pending_of, waiting_of

            pending = await pending_of(runner.queries, runner.graph, run)
            if pending is not None:
                for line in islice(whole_screen(pending, waiting_of(run)[0], console.width), _LINES_OF_THE_REQUEST):
                    console.print(line, soft_wrap=True)

        self._with_runner(request)
        prove(f"nothing is sent until somebody decides: {self._command('review', run.thread_id)}")

    def _thread(self, act: str) -> str:
        return f"demo-{act}-{self.name}"

    def _command(self, *words: str) -> str:
        return command_line(self.invocation, *words)

    def _run(self, act: str, settings: dict[str, Any], status: str = "answered") -> "tuple[Run, RunAttempt]":
        thread = self._thread(act)

        async def begin(runner: "Runner", on_event: OnEvent) -> "Run":
            return await runner.run(QUESTION, corpus(), thread=thread, on_event=on_event, **settings)

        return self._driven(thread, begin, status)

    def _driven(
        self, thread: str, work: "Callable[[Runner, OnEvent], Awaitable[Run]]", status: str = "answered"
    ) -> "tuple[Run, RunAttempt]":
        cli_run = CliRun(self.invocation, thread, work, unsandboxed=bool(self.unsandboxed), keep_open=True)
        came = drive(cli_run, self.home)
        if came.run is None or came.run.status != status:
            raise ActFailed(report_outcome(cli_run.invocation, came, cli_run.delivery))
        return came.run, came

    @interruptible()
    def _run_until_killed(self, thread: str) -> None:
        words = [str(self.invocation.home), thread, *(["unsandboxed"] if self.unsandboxed else [])]
        child = subprocess.Popen(
            # -P: nothing is imported from the current folder, which may be another user's.
            [sys.executable, "-P", "-m", f"{__package__}.crash", *words],
            env={**os.environ, KILL_AFTER: str(ANSWERS_BEFORE_THE_CRASH)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            status = child.wait()
        except KeyboardInterrupt:
            # Being in the same terminal, the child got the signal too, and reports the run's status itself.
            raise ActFailed(abs(child.wait())) from None
        if sys.stderr.isatty():
            # A killed process does not restore the terminal.
            sys.stderr.write(_SHOW_CURSOR + "\n")
        if status != -signal.SIGKILL:
            raise ActFailed(status or 1)

    def _rows(self, thread: str) -> "list[CallRow]":
        async def rows(runner: "Runner") -> "list[CallRow]":
            return [call.row for call in await runner.queries.calls(thread)]

        return self._with_runner(rows)

    def _with_runner(self, work: "Callable[[Runner], Awaitable[T]]") -> T:
        async def opened() -> T:
            return await work(await self.home.runner())

        return self.home.loop.run(opened())


def prove(line: str) -> None:
    """Print what an act has shown."""
    say(f"  => {line}\n", style="green")


def another_version(answer: str) -> str:
    """Return a Python version that the answer names removals for, other than the one it is about; else 3.99."""
    [about] = re.findall(r"when you move to Python (\S+):$", answer, re.MULTILINE)
    versions = re.findall(r"\d+ in (\d\.\d+)", answer.partition("Removals:")[2].partition("\n")[0])
    return next((version for version in versions if version != about), "3.99")


def play(invocation: Invocation, *, name: str, unsandboxed: bool | None, output: Path | None) -> int:
    """Play all four acts. Return the exit status: 0, or that of the act that did not end as it should."""
    demo = Demo(invocation, OpenRunner(invocation.home), name, unsandboxed, output)
    try:
        first = demo.answer()
        demo.crash(first)
        demo.fork(first)
        demo.gate()
    except ActFailed as failed:
        return failed.status
    finally:
        demo.home.end()
    for line in what_to_try(invocation, first.thread_id, demo.name):
        say(line, whole=True)
    return 0


def what_to_try(invocation: Invocation, thread: str, name: str) -> list[str]:
    """Return lines with commands to try after the demo."""
    return [
        f"See it in a browser: {command_line(invocation, 'view', thread)}",
        f"Look: {command_line(invocation, 'show', thread)} · {command_line(invocation, 'calls', thread)}",
        f"What the REPL held, and what the fork changed: {command_line(invocation, 'vars', thread)} · "
        f"{command_line(invocation, 'list')}",
        f"Approve what waits: {command_line(invocation, 'review', f'demo-gate-{name}', '--approve')}",
    ]
