"""One sitting of a run, as `run`, `resume` and `demo` have it: the display, the signals, the answer, the summary."""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..state.errors import StoreError, UnknownThread
from .answer_file import AnswerFile, answer_text
from .consoles import put, say
from .display.choosing import Display, open_display
from .invocation import Invocation
from .problems import NOT_BEGUN, report
from .safe_text import safe, safe_json
from .stopping import STOPPED, Stopping, interruptible, leave
from .summary import brought_back, ended, sentence, what_next

if TYPE_CHECKING:
    from ..graph.results import Run
    from ..graph.runner import Runner

Hear = Callable[[dict[str, Any]], None]
Work = Callable[["Runner", Hear], Awaitable["Run"]]

NOT_SANDBOXED = (
    "Warning: the model's code runs on this machine as your user, NOT SANDBOXED (--unsandboxed): it can read, change "
    "and send whatever you can. Use only models and documents that you trust."
)
_TIDYING = 0.2


@dataclass
class Sitting:
    """How the work is to be done. `work` starts or continues the thread `thread` (a name, or the start of one)."""

    invocation: Invocation
    thread: str
    work: Work
    output: Path | None = None
    unsandboxed: bool = False
    """Whether the user has said `--unsandboxed`."""
    after: list[str] = field(default_factory=list[str])
    """Lines that follow the summary."""


@dataclass
class _Came:
    """What came of it: no run when it was stopped before anything was saved."""

    run: "Run | None"
    seconds: float
    limits: dict[str, Any] = field(default_factory=dict[str, Any])
    sub_rlms: int = 0


def sit(sitting: Sitting) -> None:
    """Do the work and end the command with the run's exit status. Raises RlmError when there is no run to tell of."""
    file = AnswerFile(sitting.output) if sitting.output and str(sitting.output) != "-" else None
    with interruptible():
        came = _drive(sitting)
    if came.run is None:
        report(NOT_BEGUN, "Stopped before the run began; nothing was saved.", as_json=sitting.invocation.json)
        # Not by the ordinary way, which waits for the thread that reads the input.
        leave(STOPPED)
    raise typer.Exit(_tell(sitting, came.run, came, file))


def _drive(sitting: Sitting) -> _Came:
    loop = asyncio.Runner()
    came = None
    try:
        with open_display() as display:
            came = loop.run(_work(sitting, display))
        return came
    except (asyncio.CancelledError, KeyboardInterrupt):
        return _Came(None, 0.0)
    finally:
        # Closing waits for threads that cannot be stopped: see `leave`.
        if came is None or came.run is not None:
            loop.close()


async def _work(sitting: Sitting, display: Display) -> _Came:
    # Here, not above: LangGraph takes a second to import, and the display should be there before it.
    from ..graph.runner import Runner

    this = asyncio.current_task()
    assert this is not None
    with Stopping(this.cancel) as stopping:
        async with Runner.open(sitting.invocation.home) as runner:
            work = asyncio.ensure_future(sitting.work(runner, _warning_first(sitting, display)))
            stops: list[asyncio.Task[None]] = []

            def stop() -> None:
                display.progress.phase = "stopping"
                display.say("Stopping. A second signal leaves at once.")
                stops.append(asyncio.ensure_future(_stop(runner, display, work)))

            stopping.stop = stop
            try:
                run = await work
            except asyncio.CancelledError:
                if not stopping.asked:
                    raise
                run = await _saved(runner, sitting.thread)
                if run is None:
                    # The thread that reads the input looks now and then whether to stop, and then tidies up.
                    await asyncio.sleep(_TIDYING)
            limits, sub_rlms = await _limits(runner, run), await _sub_rlms(runner, run)
    return _Came(run, display.progress.elapsed, limits, sub_rlms)


async def _stop(runner: "Runner", display: Display, work: "asyncio.Future[Run]") -> None:
    # Nothing runs: either the input is still being read, or the run has ended and is being written down.
    if not await runner.stop_all() and not display.progress.under_way:
        work.cancel()


def _warning_first(sitting: Sitting, display: Display) -> Hear:
    """Hears for the display, and before the first event, so before any code runs, warns where nothing confines it."""
    warned = not sitting.unsandboxed

    def hear(event: dict[str, Any]) -> None:
        nonlocal warned
        if not warned:
            warned = True
            display.say(NOT_SANDBOXED)
        display.hear(event)

    return hear


async def _saved(runner: "Runner", thread: str) -> "Run | None":
    """How the run stands when its sitting was cancelled; None when it had not begun."""
    try:
        return await runner.read(thread)
    except UnknownThread:
        return None


async def _limits(runner: "Runner", run: "Run | None") -> dict[str, Any]:
    if run is None or run.status != "budget":
        return {}
    return (await runner.library.about(run.thread_id))["limits"]


async def _sub_rlms(runner: "Runner", run: "Run | None") -> int:
    with contextlib.suppress(StoreError):
        return await runner.library.count_below(run.thread_id) if run else 0
    return 0


def _tell(sitting: Sitting, run: "Run", came: _Came, file: AnswerFile | None) -> int:
    """The answer on stdout or into its file, everything else on stderr. Returns the exit status."""
    answered, status = run.status == "answered", run.exit_code
    if answered and file:
        try:
            file.write(run.answer)
            say(f"The answer is in {safe(str(file.path))}.")
        except StoreError as error:
            say(f"Error: {safe(str(error))}", style="bold red")
            status = error.exit_code
    if sitting.invocation.json:
        put(safe_json(run.to_json()))
    elif answered and not file:
        _put_answer(run.answer)
    if run.error and not answered:
        say(" ".join(sentence(run.error.get(part, "")) for part in ("message", "hint")).strip(), style="red")
    for line in brought_back(run.restore):
        say(line, style="dim")
    say(ended(run, came.seconds, came.sub_rlms), style="bold")
    for line in [*what_next(run, sitting.invocation, came.limits), *sitting.after]:
        say(line, whole=True)
    return status


def _put_answer(answer: Any) -> None:
    """As it is into a pipe or a file; made safe on a terminal."""
    text = answer_text(answer)
    put(safe(text) if _on_terminal() else text)


def _on_terminal() -> bool:
    return sys.stdout.isatty()
