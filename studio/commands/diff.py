"""The `rlm diff` command, which compares two steps."""

from typing import Annotated, NoReturn

import typer

from ...state.errors import UsageError, cli_command
from ..cli import options
from ..cli.common import command, from_saved_runs, thread_or_last
from ..invocation import Invocation
from ..terminal.console import put
from ..terminal.escape import safe_json

_Place = tuple[str | None, int]
"""A thread and a step of it. None in place of the thread: the run touched last."""


Step = Annotated[
    str,
    typer.Argument(metavar="STEP", help="A step of the run; THREAD@STEP: of another one.", show_default=False),
]
OtherStep = Annotated[
    str | None,
    typer.Argument(
        metavar="STEP2", help="The step it is compared with; THREAD@STEP: of another one.", show_default=False
    ),
]
FullFlag = Annotated[bool, typer.Option("--full", help="Show code and output whole. Default: their first lines")]


@command
def diff(
    invocation: Invocation,
    thread: options.Thread = None,
    *,
    step: Step,
    step2: OtherStep = None,
    full: FullFlag = False,
) -> None:
    """Show what differs between two steps: variables, turns with their code and output, question and answer.

    Variables are compared in their saved form: no value is loaded, so a change deep inside one is reported, but not its
    place. Either step may belong to another run, such as a fork.

    [bold]Examples[/bold]

      rlm diff 8 14
      rlm diff contracts 8 14
      rlm diff contracts 18 strict@18
      rlm diff contracts@18 strict@18 --json | jq .variables.changed
    """
    before, after = _places([word for word in (thread, step, step2) if word is not None])
    last = None if before[0] and after[0] else thread_or_last(invocation, None)
    places = [(name or last or "", number) for name, number in (before, after)]
    for name, _ in places:
        invocation.need_runs(name)
    found = from_saved_runs(invocation, lambda runs: runs.queries.compare(places[0], places[1], runs.checkpoints))
    if invocation.json:
        put(safe_json(found))
        return
    from ..render.diff import print_comparison

    print_comparison(found, full=full)


def _places(words: list[str]) -> tuple[_Place, _Place]:
    """Return the two steps that the words name: THREAD comes first, and may be left out. Raises UsageError."""
    if len(words) == 3:
        thread, *steps = words
        first, second = (_place(text, thread) for text in steps)
        return first, second
    first, second = (_place(text, None) for text in words)
    if first[0] is not None and second[0] is None:
        # Ambiguous: it may mean the same run, or the run touched last, as it does when the order is reversed.
        same = cli_command("diff", first[0], str(first[1]), str(second[1]))
        _refuse(f"It is not clear of which run step {second[1]} is.", f"Of the same one: {same}")
    return first, second


def _place(text: str, thread: str | None) -> _Place:
    name, _, number = text.rpartition("@")
    if not (number.isascii() and number.isdecimal()):
        _refuse(f"{text} names no step.")
    return name or thread, int(number)


def _refuse(message: str, hint: str = "`rlm diff --help` shows how to name two steps.") -> NoReturn:
    raise UsageError(message, hint=hint)
