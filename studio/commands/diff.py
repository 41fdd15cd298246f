"""`rlm diff`: what differs between two steps."""

from typing import Annotated

import typer

from .. import flags
from ..consoles import put
from ..invocation import Invocation, command
from ..safe_text import safe_json

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
    invocation: Invocation, thread: flags.Thread, step: Step, step2: OtherStep = None, full: FullFlag = False
) -> None:
    """Show what differs between two steps: variables, turns with their code and output, question and answer.

    Variables are compared by what is saved of them: no value is loaded, so a change deep inside one is told, but not
    where. Either step may be one of another run, such as a fork.

    [bold]Examples[/bold]

      rlm diff contracts 8 14
      rlm diff contracts 18 strict@18
      rlm diff contracts@18 strict@18 --json | jq .variables.changed
    """
    places = _places(thread, step, step2)
    from ..reading import from_runner

    for name, _ in places:
        invocation.need_runs(name)
    found = from_runner(invocation, lambda runner: runner.library.compare(*places, runner.graph))
    if invocation.json:
        put(safe_json(found))
        return
    from ..comparison import print_comparison

    print_comparison(found, full=full)


def _places(thread: str, step: str, step2: str | None) -> tuple[tuple[str, int], tuple[str, int]]:
    from ...state.errors import UsageError

    # Two arguments: each names its run.
    texts = (step, step2) if step2 is not None else (thread, step)
    default = thread if step2 is not None else ""
    found: list[tuple[str, int]] = []
    for text in texts:
        name, _, number = text.rpartition("@")
        name = name or default
        if not name or not (number.isascii() and number.isdecimal()):
            raise UsageError(f"{text} names no step.", hint="`rlm diff --help` shows how to name two.")
        found.append((name, int(number)))
    return found[0], found[1]
