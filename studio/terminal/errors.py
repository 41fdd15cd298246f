"""Error reports for users and scripts: a sentence and what to do next, or one JSON object."""

import errno
import sys
import traceback
from typing import TYPE_CHECKING

from ..invocation import Invocation
from .console import put, say
from .escape import safe, safe_json, safe_line, sentence
from .printed_commands import pasteable

if TYPE_CHECKING:
    import typer

    from ...state.errors import RlmError

NOT_BEGUN = "Stopped"
"""The type of the error object when a command was stopped before there was a run, which is not a failure."""


def report(kind: str, message: str, hint: str = "", *, as_json: bool, invocation: Invocation | None = None) -> None:
    """Report an error: on stderr, or with `--json` as the one document on stdout.

    Commands in backquotes are rewritten to work where the user is, with the home of `invocation`.
    """
    message, hint = pasteable(message, invocation), pasteable(hint, invocation)
    if as_json:
        put(safe_json({"error": {"type": kind, "message": message, "hint": hint}}))
        return
    if kind == NOT_BEGUN:
        say(safe(message))
        return
    say(f"Error: {sentence(message)}", style="bold red", whole=True)
    if hint:
        say(safe(hint), whole=True)


def report_known(error: "RlmError", invocation: Invocation | None, *, as_json: bool) -> int:
    """Report an error that has its own hint. Return the exit status."""
    report(error.type, error.message, error.hint, as_json=as_json, invocation=invocation)
    return error.exit_code


def report_usage(error: "typer.TyperException", *, as_json: bool) -> int:
    """Report a command line that typer refuses. Return the exit status."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "rlm"
    report("UsageError", safe_line(error.format_message()), f"See `{path} --help`.", as_json=as_json)
    return error.exit_code


def report_unexpected(error: BaseException, *, as_json: bool, debug: bool) -> int:
    """Report an unexpected error in one sentence, which names `--debug` unless it is given. Return the exit status."""
    name = type(error).__name__
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        message = "This process may not open as many files as it needs."
        report(name, message, "Raise the limit of this shell: `ulimit -n 1024`.", as_json=as_json)
        return 1
    said = safe_line(str(error), 300)
    hint = "" if debug else "Run again with --debug for the traceback."
    report(name, f"Something unexpected went wrong ({name}{': ' if said else ''}{said}).", hint, as_json=as_json)
    return 1


def show_traceback(error: BaseException) -> None:
    """Print the traceback on stderr, for `--debug`."""
    text = "".join(traceback.format_exception(error))
    sys.stderr.write(f"{safe(text)}\n")
