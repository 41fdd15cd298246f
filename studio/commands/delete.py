"""The `rlm delete` command, which deletes a run permanently."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ..cli.agreeing import writes
from ..cli.common import command, from_stores, last_touched, thread_or_last
from ..cli.options import complete_threads
from ..cli.signals import STOPPED
from ..invocation import Invocation
from ..terminal.console import at_terminal, put, say
from ..terminal.escape import safe_json, safe_line
from ..terminal.printed_commands import pasteable
from ..terminal.tables import Forest

if TYPE_CHECKING:
    from ...state.maintenance.delete import Deleted
    from ...state.stores import Stores

_WhichRun = Annotated[
    str | None,
    typer.Argument(
        metavar="THREAD",
        help="The run: its name, or the first characters of it (4 or more). Default: the one touched last, if "
        "somebody at a terminal agrees",
        autocompletion=complete_threads,
        show_default=False,
    ),
]
YesFlag = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask. Default: ask when there is somebody at a terminal to answer")
]


@command
@writes
def delete(invocation: Invocation, thread: _WhichRun = None, yes: YesFlag = False) -> None:
    """Delete a run permanently, with its sub-RLMs.

    A sub-RLM may be deleted alone: the run that called it keeps the answer. Forks are not deleted, and keep the
    answers that the run had recorded. `rlm gc` then frees the texts, variables and input that no other run needs. A
    run that a process is running is not deleted: exit status 5.

    [bold]Examples[/bold]

      rlm delete which-contracts-end-3f2a
      rlm delete contracts --yes && rlm gc
    """
    if thread is None and (yes or not at_terminal()):
        _refuse(invocation)
    thread = thread_or_last(invocation, thread)
    found = from_stores(invocation, lambda stores: _looked_up(stores, thread))
    if not yes and at_terminal():
        say(found.about, whole=True)
        if not _agreed():
            say("Nothing was deleted.")
            raise typer.Exit(STOPPED)
    from ...graph.maintenance import delete_runs
    from ...state.db.reserve import reserve_given_up

    # On a full disk the file cannot even be opened for writing without it.
    with reserve_given_up(invocation.home):
        deleted = from_stores(invocation, lambda stores: delete_runs(stores, found.name))
    if invocation.json:
        put(safe_json({"thread_id": found.name, "deleted": deleted.threads, "forks": deleted.forks}))
    else:
        _say(deleted, found, invocation)


def _refuse(invocation: Invocation) -> NoReturn:
    """Raise UsageError: without a question to a user, a run is only deleted by its name."""
    from ...state.errors import UsageError, cli_command

    name = last_touched(invocation).thread_id
    raise UsageError(
        "delete needs the name of the run where no question can be asked.",
        hint=f"The one touched last: {cli_command('delete', name, '--yes')}",
    )


@dataclass(frozen=True)
class _Found:
    """A run to delete: its whole name, a line about it, and the run that called it, if one did."""

    name: str
    about: str
    caller: str | None = None
    answered: bool = False
    """True when the caller has its answer."""


async def _looked_up(stores: "Stores", thread: str) -> _Found:
    from ...graph.maintenance import named
    from ...graph.queries import RunQueries
    from ...state.wording import counted

    name = await named(stores, thread)
    runs = await RunQueries(stores).runs_with_callers()
    for run, caller in runs:
        if run["thread_id"] == name:
            below = Forest({one["thread_id"]: caller for one, caller in runs}).count_below(name)
            parts = [safe_line(name), run["status"], counted(run["turns"], "turn")]
            parts += [counted(below, "sub-RLM")] if below else []
            about = " · ".join([*parts, safe_line(run["question"], 100)])
            return _Found(name, about, caller, caller is not None and await _has_answer(stores, caller, name))
    return _Found(name, safe_line(name))


async def _has_answer(stores: "Stores", caller: str, child: str) -> bool:
    rows = await stores.journal.rows(caller)
    return any(row.child_thread == child and row.status == "answered" for row in rows)


def _agreed() -> bool:
    try:
        return typer.confirm("Delete it for good?", err=True)
    except typer.Abort:
        say("")
        return False


def _say(deleted: "Deleted", found: _Found, invocation: Invocation) -> None:
    from ...state.wording import counted

    first, *children = [safe_line(name) for name in deleted.threads]
    also = f" and its {counted(len(children), 'sub-RLM')}" if len(children) > 1 else ""
    also = f" and its sub-RLM {children[0]}" if len(children) == 1 else also
    say(f"Deleted {first}{also}.")
    if found.caller:
        kept = "keeps the answer" if found.answered else "starts another one for its call, if it is resumed"
        say(f"It was a sub-RLM of {safe_line(found.caller)}, which {kept}.")
    if deleted.forks:
        names = ", ".join(safe_line(name) for name in deleted.forks[:5]) + (", …" if len(deleted.forks) > 5 else "")
        say(f"What it had recorded stays for its forks: {names}.")
    say(pasteable("`rlm gc` frees what no other run needs.", invocation), whole=True)
