"""The `rlm` command line. Commands import what they need when they run, so that `--help` answers at once."""

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from .cli import gc_tuning
from .cli.common import CommonFlags, DebugFlag, HomeFlag, JsonFlag
from .cli.help import HelpfulCommand, HelpfulGroup
from .cli.signals import leave
from .commands import (
    calls,
    delete,
    demo,
    dev,
    diff,
    doctor,
    export,
    fork,
    gc,
    resume,
    review,
    run,
    show,
    steps,
    stop,
    vars,
    verify,
    view,
    wait,
)
from .commands import input as input_command
from .commands import list as list_command
from .commands.home import copy, trust
from .invocation import Invocation
from .terminal.console import drain, fill_closed_streams
from .terminal.printed_commands import PROGRAM

app = typer.Typer(
    name=PROGRAM,
    cls=HelpfulGroup,
    help="Answer questions over inputs of any size by letting a model write code that reads them.\n\n"
    "Every step is saved: a run that is killed, stopped or out of budget resumes where it was, and pays for "
    "nothing twice. Start with `rlm demo`: it needs no model and costs nothing.",
    epilog="Exit status: 0 answered · 1 failed · 2 bad usage or input · 3 waits for approval · 4 budget spent · "
    "5 another process holds the run · 130 stopped. What stopped, failed or ran out is resumed with `rlm resume`, what "
    "waits with `rlm review`. Further commands: `rlm --help --all`.",
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
_COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Start here": {
        "run": run.run,
        "resume": resume.resume,
        "review": review.review,
        "list": list_command.list_runs,
        "show": show.show,
        "view": view.view,
        "fork": fork.fork,
        "demo": demo.demo,
    },
    "Jobs": {"wait": wait.wait, "stop": stop.stop},
    "Look closer": {
        "input": input_command.show_input,
        "steps": steps.steps,
        "calls": calls.calls,
        "vars": vars.variables,
        "diff": diff.diff,
        "export": export.export,
    },
    "Keep": {"verify": verify.verify, "delete": delete.delete, "gc": gc.gc},
    "Serve": {"dev": dev.dev, "doctor": doctor.doctor},
}
"""The commands by help panel, in the order of the help."""
_RARE = {"diff", "steps"}
"""Commands that only the help of everything lists."""
_HOME_COMMANDS: dict[str, Callable[..., None]] = {"copy": copy.copy, "trust": trust.trust}
for _panel, _commands in _COMMANDS.items():
    for _name, _function in _commands.items():
        app.command(_name, cls=HelpfulCommand, rich_help_panel=_panel, hidden=_name in _RARE)(_function)
_home = typer.Typer(
    cls=HelpfulGroup,
    help="Agree to what a folder brings with it, and copy homes.",
    rich_markup_mode="rich",
)
for _name, _function in _HOME_COMMANDS.items():
    _home.command(_name, cls=HelpfulCommand)(_function)
app.add_typer(_home, name="home", rich_help_panel="Keep")


def _version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        typer.echo(f"durable-rlm {version('durable-rlm')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _before(
    context: typer.Context,
    home: HomeFlag = None,
    as_json: JsonFlag = False,
    debug: DebugFlag = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    del version
    common = context.ensure_object(CommonFlags)
    common.home, common.as_json, common.debug = home, as_json, debug
    if context.invoked_subcommand is None:
        from ..state.errors import UsageError

        if as_json:
            raise UsageError("No command is named.", hint="`rlm --help` lists them.")
        # Rich prints the help itself and returns an empty text.
        typer.echo(context.get_help(), nl=False)
        raise typer.Exit(2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit status.

    `arguments` is the command line of a caller within another program. Default: this process's own.
    """
    if arguments is None:
        gc_tuning.seldom()
    fill_closed_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    # `--json` and `--debug` also apply to the error of a command line that cannot be parsed.
    words = given[: given.index("--")] if "--" in given else given
    process = os.getpid()
    code = _run(given, as_json="--json" in words, debug="--debug" in words)
    if arguments is not None and os.getpid() != process:
        # A detached run: the program that called this one goes on in the process that has started it.
        leave(code)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    gc_tuning.keep()
    sys.exit(code)


def _run(given: list[str], *, as_json: bool, debug: bool) -> int:
    common = CommonFlags(words=tuple(given))
    try:
        command: Any = typer.main.get_command(app)
        # Click consumes the list that it gets.
        result = command.main(args=list(given), prog_name=PROGRAM, standalone_mode=False, obj=common)
        return result if isinstance(result, int) else 0
    except (SystemExit, typer.Exit):
        raise
    except BrokenPipeError:
        # The reader of the output has gone, which is not an error.
        drain(sys.stdout)
        return 0
    except BaseException as error:
        return _reported(error, common.invocation, as_json=as_json, debug=debug)


def _reported(error: BaseException, invocation: Invocation | None, *, as_json: bool, debug: bool) -> int:
    """Report the error. Return the exit status."""
    from ..state.errors import RlmError
    from .terminal import errors

    if invocation:
        # A detached run reports in its log.
        as_json = invocation.json
    if debug:
        errors.show_traceback(error)
    if isinstance(error, RlmError):
        return errors.report_known(error, invocation, as_json=as_json)
    if isinstance(error, typer.TyperException):
        return errors.report_usage(error, as_json=as_json)
    if isinstance(error, KeyboardInterrupt | typer.Abort | EOFError):
        errors.report(errors.NOT_BEGUN, "Stopped; nothing was saved.", as_json=as_json)
        return 130
    return errors.report_unexpected(error, as_json=as_json, debug=debug)
