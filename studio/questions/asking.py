"""Ask many questions over one input: read their file, follow them to their ends, and report (`rlm run --questions`)."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ...state.errors import TimeSpent, UsageError
from ...state.logs import list_log_name
from ..cli.detaching import Detached
from ..cli.detaching import detach as start_detached
from ..cli.open_runner import TIDYING, OpenRunner
from ..cli.run_loop import NOT_SANDBOXED
from ..cli.shown_answer import is_too_large
from ..cli.signals import STOPPED, Stopping, interruptible, leave
from ..cli.summary import failure, to_json
from ..invocation import Invocation
from ..terminal.console import say
from ..terminal.errors import NOT_BEGUN, report, report_known
from ..terminal.escape import safe, short_id
from ..terminal.printed_commands import command_line, pasteable, pasteable_error
from .display import BatchDisplay, open_batch_display
from .output import LinesOut
from .reading import Problems, QuestionFile, read_questions
from .summary import Ended, closing_lines

if TYPE_CHECKING:
    from ...graph.batch import Question
    from ...graph.run import Run
    from ...graph.runner import Runner
    from ...state.settings import RunSettings
    from .fields import AskedQuestion

_SUGGESTED = 3
"""Runs for which a limit of their own is suggested."""
_TOGETHER = ("max_calls", "max_tokens", "max_cost", "max_time")
"""Limits that hold for all questions together when they are given."""


@dataclass
class Batch:
    """The questions of a command, and what goes with them."""

    invocation: Invocation
    file: QuestionFile
    paths: list[str]
    settings: dict[str, Any]
    prefix: str
    out: LinesOut
    display: BatchDisplay
    limits: dict[str, float]
    """The limits that hold for all questions together."""
    warnings: list[str] = field(default_factory=list[str])
    """Lines to show before anything runs."""
    tracing: bool = False
    detached: Detached | None = None
    """This process, if it goes on without the terminal once all questions are entered."""

    def __post_init__(self) -> None:
        self.ended = Ended(len(self.file.questions))
        self.by_id = {asked.id: asked for asked in self.file.questions}
        self.stuck = False
        """True when something is left that only the end of the process ends."""


def start(
    invocation: Invocation,
    name: str,
    paths: list[str],
    settings: dict[str, Any],
    *,
    output: Path | None = None,
    files: Path | None = None,
    thread: str | None = None,
    tracing: bool = False,
    detach: bool = False,
    today: Callable[[], date] = date.today,
) -> None:
    """Ask the questions of the file `name`, and exit with the status of them all.

    Raises RlmError when they are refused, before anything of them is saved or paid.
    """
    from ...state.settings import resolve
    from ..cli.agreeing import resolved_or_asked
    from ..cli.new_run import check_model_named
    from ..cli.notices import price_warnings

    if files is not None:
        raise UsageError(
            "--files is for one question: its folder must be empty, and the same command again would find it full.",
            hint="Each run keeps its files: `rlm resume THREAD` writes them with --files DIR.",
        )
    if name == "-" and "-" in paths:
        raise UsageError("--questions - and a PATH of - cannot both be standard input.", hint="Give one as a file.")
    prefix = f"{thread}-" if thread else ""
    out = LinesOut(output, name)
    file = _read(name, prefix)
    found = resolved_or_asked(invocation, lambda: resolve(settings))
    resolved = found.settings
    if not resolved.model:
        check_model_named(invocation, file.questions[0].question, resolved)
    warnings = _warnings(resolved, price_warnings(resolved.frozen(), resolved.max_cost, today()))
    limits = {name: getattr(resolved, name) for name in _TOGETHER if name in found.chosen}
    detached = start_detached(invocation) if detach else None
    display = open_batch_display(len(file.questions), plain=detach)
    _execute(Batch(invocation, file, paths, settings, prefix, out, display, limits, warnings, tracing, detached))


@interruptible()
def _read(name: str, prefix: str) -> QuestionFile:
    return read_questions(name, prefix)


def _warnings(settings: "RunSettings", more: list[str]) -> list[str]:
    return [*([NOT_SANDBOXED] if settings.unsandboxed else []), *more]


def _execute(batch: Batch) -> None:
    """Do the work and end the command with the exit status of all questions."""
    with batch.out:
        try:
            begun = _worked(batch)
        except TimeSpent as spent:
            # An ordinary exit would wait for the thread that reads the input.
            leave(report_known(spent, batch.invocation, as_json=batch.invocation.json))
        if not begun:
            report(
                NOT_BEGUN, "Stopped before any question was begun; nothing was saved.", as_json=batch.invocation.json
            )
            leave(STOPPED)
        status = _report(batch)
    if batch.stuck:
        leave(status)
    raise typer.Exit(status)


@interruptible()
def _worked(batch: Batch) -> bool:
    """Ask the questions. Return whether they were begun. Raises RlmError when they are refused."""
    home = OpenRunner(batch.invocation.home, tracing=batch.tracing)
    progress = batch.display.progress
    try:
        with batch.display:
            home.loop.run(_ask(batch, home))
    except (asyncio.CancelledError, KeyboardInterrupt):
        batch.ended.stopped = True
    finally:
        # Stopped before anything began, nothing is ended here: that would wait for threads that cannot be stopped (see
        # `leave`).
        if progress.begun or not batch.ended.stopped:
            with contextlib.suppress(KeyboardInterrupt):
                home.end()
            batch.stuck = home.stuck
    return progress.begun


async def _ask(batch: Batch, home: OpenRunner) -> None:
    this = asyncio.current_task()
    assert this is not None
    with Stopping(this.cancel) as stopping:
        try:
            runner = await home.runner()
            stops: list[asyncio.Task[None]] = []

            def stop() -> None:
                batch.ended.stopped = batch.display.progress.stopping = True
                batch.display.say("Stopping. A second signal leaves at once.")
                stops.append(asyncio.ensure_future(_stop(runner, batch, this)))

            stopping.stop = stop
            await _follow(runner, batch)
        except asyncio.CancelledError:
            if not stopping.requested:
                raise
            batch.ended.stopped = True
            # The thread that reads the input checks now and then whether to stop, and then cleans up.
            await asyncio.sleep(0 if batch.display.progress.begun else TIDYING)
        finally:
            await home.close()


async def _stop(runner: "Runner", batch: Batch, work: "asyncio.Task[Any]") -> None:
    runner.notifier.hurry()
    # Once all are entered, the engine ends by itself: it begins no further question.
    if not await runner.stop_all() and not batch.display.progress.begun:
        work.cancel()


async def _follow(runner: "Runner", batch: Batch) -> None:
    from ...graph.batch import Question, QuestionsRefused

    def on_event(id: str, event: Mapping[str, Any]) -> None:
        while batch.warnings:
            batch.display.say(batch.warnings.pop(0))
        if event["event"] == "begun" and not id and not batch.ended.stopped:
            _let_go(batch)
        batch.display.update(id, event)

    questions = [Question(one.id, one.question, one.paths, one.schema) for one in batch.file.questions]
    asking = runner.ask_all(questions, batch.paths or None, prefix=batch.prefix, on_event=on_event, **batch.settings)
    try:
        async with contextlib.aclosing(asking) as ended:
            async for question, run in ended:
                _ended(batch, question, run)
                if run.status == "budget" and run.turns:
                    await _suggest(runner, batch, run.thread_id)
    except QuestionsRefused as refused:
        problems = Problems(batch.file.name, len(questions))
        problems.found = [(batch.by_id[id].line, _words(words)) for id, words in refused.problems]
        problems.refuse(f"Nothing was asked. {refused.hint}")
        raise


def _let_go(batch: Batch) -> None:
    if batch.detached:
        name = batch.file.name
        log = list_log_name(name if name == "-" else str(Path(name).absolute()))
        threads = [f"{batch.prefix}{asked.id}" for asked in batch.file.questions]
        batch.detached.begun(None, thread_ids=threads, log=log)


def _words(problem: str) -> str:
    return safe(problem).strip().removesuffix(".")


def _ended(batch: Batch, question: "Question", run: "Run") -> None:
    """Write the line of a question that has ended, and take it off the display."""
    batch.display.ended(question.id, run)
    batch.ended.add(run, too_large=is_too_large(run.answer))
    batch.out.put(_document(batch, batch.by_id[question.id], run), batch.display.aside)


async def _suggest(runner: "Runner", batch: Batch, thread: str) -> None:
    """Find a limit with which a question whose budget is spent could go on, unless that is known."""
    ended = batch.ended
    if ended.raises or len(ended.own_raises) >= _SUGGESTED:
        return
    suggested = await runner.suggested_limits(thread)
    name = next(iter(suggested), "")
    if name not in batch.limits:
        ended.own_raises |= {thread: suggested} if name else {}
    elif name != "max_time":
        # Time is that of one execution: the same command has all of it again.
        ended.raises[name] = 2 * batch.limits[name]


def _document(batch: Batch, asked: "AskedQuestion", run: "Run") -> dict[str, Any]:
    about = replace(batch.invocation, thread=run.thread_id)
    error = pasteable_error(run.error, about) if run.error else None
    go_on = [f"Go on: {command_line(about, 'resume', short_id(run.thread_id))}"]
    # A limit is for all questions together: one of them alone cannot raise it.
    return {"id": asked.given_id, **to_json(replace(run, error=error), [] if run.status == "budget" else go_on)}


def _report(batch: Batch) -> int:
    """Print what was written, the counts, and what to do next. Return the exit status."""
    for line in batch.out.finish(whole=batch.ended.all_have_lines):
        say(line, whole=True)
    if problem := batch.out.problem:
        for line in failure({"message": problem.message, "hint": pasteable(problem.hint, batch.invocation)}):
            say(line, style="bold red", whole=True)
    heading, lines = closing_lines(batch.ended, batch.display.progress, batch.invocation)
    say(heading, style="bold")
    for line in lines:
        say(line, whole=True)
    return batch.ended.code(batch.out.problem)
