"""`rlm delete`: take a run away for good."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .. import flags
from ..consoles import put, say
from ..invocation import Invocation, command
from ..safe_text import safe_json, safe_line
from ..stopping import STOPPED

if TYPE_CHECKING:
    from ...nodes.hands import Stores
    from ...state.deleting import Deleted

YesFlag = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask. Default: ask when there is somebody at a terminal to answer")
]


@command
def delete(invocation: Invocation, thread: flags.Thread, yes: YesFlag = False) -> None:
    """Delete a run for good, with the runs that its code started.

    Its forks stay as they are, and keep the answers that it had recorded. `rlm gc` then frees the texts, variables and
    input that no other run needs. A run that is being run now is not deleted: exit status 5.

    [bold]Examples[/bold]

      rlm delete 1f2e3d4c
      rlm delete contracts --yes && rlm gc
    """
    from ..reading import from_stores

    invocation.need_runs(thread)
    thread, about = from_stores(invocation, lambda stores: _looked_up(stores, thread))
    if not yes and _at_terminal():
        say(about, whole=True)
        if not _agreed():
            say("Nothing was deleted.")
            raise typer.Exit(STOPPED)
    from ...graph.housekeeping import delete_runs

    deleted = from_stores(invocation, lambda stores: delete_runs(stores, thread))
    if invocation.json:
        put(safe_json({"thread_id": thread, "deleted": deleted.threads, "forks": deleted.forks}))
    else:
        _say(deleted)


async def _looked_up(stores: "Stores", thread: str) -> tuple[str, str]:
    """The run's whole name, and what it is in one line."""
    from ...graph.housekeeping import named
    from ...graph.library import Library
    from ..display.wording import counted

    name = await named(stores, thread)
    for run in await Library(stores).runs():
        if run["thread_id"] == name:
            parts = [safe_line(name), run["status"], counted(run["turns"], "turn"), safe_line(run["question"], 100)]
            return name, " · ".join(parts)
    return name, safe_line(name)


def _agreed() -> bool:
    try:
        return typer.confirm("Delete it for good?", err=True)
    except typer.Abort:
        say("")
        return False


def _say(deleted: "Deleted") -> None:
    first, *children = [safe_line(name) for name in deleted.threads]
    also = f" and the {len(children)} runs that it had started" if len(children) > 1 else ""
    also = f" and the run that it had started, {children[0]}" if len(children) == 1 else also
    say(f"Deleted {first}{also}.")
    if deleted.forks:
        names = ", ".join(safe_line(name) for name in deleted.forks[:5]) + (", …" if len(deleted.forks) > 5 else "")
        say(f"What it had recorded stays for its forks: {names}.")
    say("`rlm gc` frees what no other run needs.")


def _at_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
