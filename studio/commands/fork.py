"""The `rlm fork` command, which makes a new run from a step of another one, with changes if any are given."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ..cli import options
from ..cli.agreeing import writes
from ..cli.common import command, thread_or_last
from ..cli.files import GivenFiles
from ..invocation import Invocation
from ..terminal.console import put, say
from ..terminal.escape import safe, safe_json

if TYPE_CHECKING:
    from ...graph.run import Run

_CHANGE = "What is different"

StepFlag = Annotated[
    int,
    typer.Option("--step", metavar="N", help="The step: the fork has the state after it. `rlm steps` lists them."),
]
CodeFlag = Annotated[
    str | None,
    typer.Option(
        "--code",
        metavar="FILE",
        help="Python that runs instead of the code that is about to; - for stdin. N is the plan or review step "
        "before it. Default: the model's code",
        rich_help_panel=_CHANGE,
        show_default=False,
    ),
]
SetFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=JSON",
        help="Set a variable of the REPL, as in --set limit=10 or --set 'city=\"Rome\"'. May be repeated.",
        rich_help_panel=_CHANGE,
        show_default=False,
    ),
]
QuestionFlag = Annotated[
    str | None,
    typer.Option(
        "--question",
        metavar="TEXT",
        help="Ask something else from here on; of an answered run, with its REPL. Default: the same question",
        rich_help_panel=_CHANGE,
        show_default=False,
    ),
]
AnswerFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--answer",
        metavar="CALL=FILE",
        help="Give a sub-call another answer, a text or JSON if it has a schema; - for stdin. CALL is a key of "
        "`rlm calls`, N a step in mid-cell. May be repeated.",
        rich_help_panel=_CHANGE,
        show_default=False,
    ),
]
FreshFlag = Annotated[
    bool,
    typer.Option(
        "--fresh",
        help="Use no answer that was recorded after step N. Default: reuse those of unchanged calls",
        rich_help_panel=_CHANGE,
    ),
]
NameFlag = Annotated[
    str | None,
    typer.Option("--thread", metavar="NAME", help="Name the fork. Default: after its question", show_default=False),
]
NoRunFlag = Annotated[bool, typer.Option("--no-run", help="Only make the fork. Default: run it at once")]


@command
@writes
def fork(
    invocation: Invocation,
    thread: options.Thread = None,
    *,
    step: StepFlag,
    code: CodeFlag = None,
    set_: SetFlag = None,
    question: QuestionFlag = None,
    answer: AnswerFlag = None,
    fresh: FreshFlag = False,
    name: NameFlag = None,
    no_run: NoRunFlag = False,
    other: options.ChangeFlags,
    tracing: options.Tracing = None,
    output: options.Output = None,
    files: options.Files = None,
    detach: options.Detach = False,
) -> None:
    """Make a new run that begins as a copy of another one up to a step, and run it from there.

    The original run is only read, and may be running. Answers recorded by it, or by the runs that it was forked from,
    are reused at no cost wherever a call is unchanged, turns of the root model included. The REPL comes back with its
    variables. A limit, a model or a server given here replaces the run's own.

    [bold]Examples[/bold]

      rlm fork contracts --step 14
      rlm fork contracts --step 14 --set threshold=0.8 --thread strict
      rlm fork contracts --step 14 --model openai:gpt-5
      rlm fork contracts --step 12 --code better.py --max-cost 2
      rlm fork contracts --step 18 --question "And which of them name a penalty?"
      rlm fork contracts --step 9 --answer 2:5be1c09f=corrected.txt
    """
    thread = thread_or_last(invocation, thread)
    changes: dict[str, Any] = {
        **_changes(code, set_ or [], answer or []),
        "question": question,
        "fresh": fresh,
        **other,
    }
    if no_run and detach:
        _refuse("--no-run makes a fork that nothing runs, so it has nothing to detach.", "Give one of them.")
    if no_run:
        _only_make(invocation, thread, step, name, changes)
        return
    from ..cli.notices import chosen
    from ..cli.run_loop import CliRun, OnEvent, execute

    async def go_on(runner: Any, on_event: OnEvent) -> Any:
        made = await runner.fork(thread, step, into=name, on_event=on_event, **changes)
        about = await runner.queries.about(made.thread_id)
        cli_run.unsandboxed = bool(about["settings"].get("unsandboxed"))
        on_event({"event": "notice", "text": f"Forked {about['parent']} at step {step}."})
        return await runner.resume(made.thread_id, on_event=on_event)

    cli_run = CliRun(invocation, name, go_on, output, tracing=chosen(tracing), files=files, detach=detach)
    execute(cli_run)


def _only_make(invocation: Invocation, thread: str, step: int, into: str | None, changes: dict[str, Any]) -> None:
    import asyncio

    from ...graph.runner import Runner
    from ..cli.summary import command_line
    from ..terminal.escape import short_id

    async def make() -> "Run":
        async with Runner.open(invocation.home) as runner:
            return await runner.fork(thread, step, into=into, **changes)

    made = asyncio.run(make())
    if invocation.json:
        put(safe_json(made.to_json()))
        return
    put(safe(made.thread_id))
    short = short_id(made.thread_id)
    say(f"Go on: {command_line(invocation, 'resume', short)}", whole=True)
    look = [command_line(invocation, word, short) for word in ("show", "vars")]
    say(f"Look: {' · '.join(look)}", whole=True)


def _changes(code: str | None, variables: list[str], answers: list[str]) -> dict[str, Any]:
    """Read the changes that are given as flags, before anything is opened. Raises UsageError."""
    read = GivenFiles()
    text = None
    if code is not None:
        from ...graph.fork_edits import check_code

        text = read("--code", code)
        check_code(text, f"--code {code}")
    return {
        "code": text,
        "set": _by_name("--set", variables, _json, "--set NAME=JSON, as in --set limit=10"),
        # Editors end a file with a newline; models do not end an answer with one.
        "answers": _by_name(
            "--answer",
            answers,
            lambda file: read("--answer", file).removesuffix("\n"),
            "--answer CALL=FILE, with a key of `rlm calls`",
        ),
    }


def _by_name(flag: str, given: list[str], value: Callable[[str], Any], form: str) -> dict[str, Any]:
    """Return the values given as `NAME=VALUE`, by name. Raises UsageError for another form and for a repeated name."""
    found: dict[str, Any] = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or not name.strip():
            _refuse(f"{flag} {one}: that is no NAME=VALUE.", f"Write {form}.")
        if name.strip() in found:
            _refuse(f"{flag} gives {name.strip()} twice.", "Give each once.")
        found[name.strip()] = value(text)
    return found


def _json(text: str) -> Any:
    def constant(word: str) -> NoReturn:
        raise ValueError(f"{word} is no JSON")

    try:
        return json.loads(text, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        _refuse(
            f"--set: {text} is not JSON: {error}.", "Text needs quotes inside of the shell's: --set 'city=\"Rome\"'"
        )


def _refuse(message: str, hint: str) -> NoReturn:
    from ...state.errors import UsageError

    raise UsageError(message, hint=hint)
