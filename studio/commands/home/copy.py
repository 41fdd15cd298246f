"""The `rlm home copy` command, which copies a home to another folder."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ....state.errors import UsageError
from ...cli.common import command
from ...cli.signals import STOPPED
from ...invocation import Invocation
from ...terminal.console import put, say
from ...terminal.escape import safe_json, safe_line

if TYPE_CHECKING:
    from ....state.maintenance.copying import Copied

From = Annotated[Path, typer.Argument(metavar="FROM", help="The home to copy. It is only read.", show_default=False)]
To = Annotated[
    Path, typer.Argument(metavar="TO", help="The folder of the copy, which must not exist.", show_default=False)
]
ScrubFlag = Annotated[
    bool,
    typer.Option(
        "--scrub",
        help="Take secrets out of the copy: the values of variables named like secrets (…_API_KEY, …TOKEN…), and those "
        "in addresses of servers",
    ),
]
SecretFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="env:NAME",
        help="With --scrub: also the value of this variable. May be repeated",
        show_default=False,
    ),
]
_MOST_NAMED = 10


@command
def copy(invocation: Invocation, source: From, target: To, scrub: ScrubFlag = False, secret: SecretFlag = None) -> None:
    """Copy a home to another folder, also while its runs are executed, and check every byte of the copy.

    The copy has what was saved when it was begun. It is a home of its own: its runs are not being executed, and a run
    is resumed in it as in the original. With --scrub, secrets are replaced by marks in all texts, variables, inputs and
    rows of the copy; the original is not changed. Calls whose prompts had a secret are asked again in a replay.

    Exit status 0 when everything in the copy is intact, else 1.

    [bold]Examples[/bold]

      rlm home copy .rlm ../backup
      rlm home copy .rlm for-a-colleague --scrub --secret env:CUSTOMER
    """
    from ....graph.maintenance import copy_home
    from ....state.wording import megabytes
    from ...progress.counter import Counting

    secrets = _secrets(scrub=scrub, given=secret or [])
    source, target = source.expanduser().absolute(), target.expanduser().absolute()
    with Counting("Copying") as display:

        def on_progress(what: str, records: int, size: int) -> None:
            display.update(lambda: f"Copying: {records:,} {what}" + (f", {megabytes(size)}" if size else ""))

        try:
            copied = asyncio.run(copy_home(source, target, secrets=secrets, on_progress=on_progress))
        except KeyboardInterrupt:
            say("Stopped; nothing was copied.")
            raise typer.Exit(STOPPED) from None
    if invocation.json:
        put(safe_json({"from": str(source), "to": str(target), **copied.to_json()}))
    else:
        _print(copied, target)
    raise typer.Exit(0 if copied.ok else 1)


def _secrets(*, scrub: bool, given: list[str]) -> set[str] | None:
    """Return the secrets to take out; None without `--scrub`. Raises UsageError."""
    if not scrub:
        if given:
            raise UsageError("--secret says what --scrub takes out.", hint="Give --scrub, too.")
        return None
    from ....state.environment_secrets import secrets_of_environment

    found = secrets_of_environment()
    for one in given:
        variable = one.removeprefix("env:")
        if variable == one or not os.environ.get(variable, "").strip():
            raise UsageError(
                f"--secret {one} names no variable that is set." if variable != one else "--secret takes env:NAME.",
                hint="Put the secret into a variable, and name that: a command line is seen by others.",
            )
        found.add(os.environ[variable].strip())
    return found


def _print(copied: "Copied", target: Path) -> None:
    from ....state.wording import counted, megabytes

    size = copied.database + copied.blobs.bytes
    put(
        f"Copied {counted(len(copied.threads), 'run')} and {counted(copied.blobs.records, 'file')}, {megabytes(size)}, "
        f"to {safe_line(os.path.normpath(target))}."
    )
    if scrubbed := copied.scrubbed:
        places = ", ".join(f"{kind} {count:,}" for kind, count in sorted(scrubbed.places.items())) or "nowhere"
        put(f"Scrubbed: {counted(scrubbed.secrets, 'secret')} looked for, found in: {places}.")
        for name in scrubbed.dropped:
            put(f"Left out, because it could not be scrubbed: {safe_line(name)}.")
        for name in scrubbed.left:
            say(f"Error: a secret is left in {safe_line(name)}. Do not hand the copy on.", style="bold red")
    if not copied.problems:
        put("Every record of it is intact.")
        return
    say(f"{counted(len(copied.problems), 'record')} of it are damaged, as they may be in the original:")
    for thread, problem in copied.problems[:_MOST_NAMED]:
        say(f"  {safe_line(thread)}: {problem.kind} {safe_line(problem.name)} {safe_line(problem.fault)}")
