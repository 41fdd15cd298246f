"""The `rlm stop` command, which stops a run of any process."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...state.errors import UsageError, cli_command
from ..cli.agreeing import writes
from ..cli.common import command, from_stores
from ..cli.options import complete_threads
from ..cli.signals import STOPPED
from ..invocation import Invocation
from ..terminal.console import put, say
from ..terminal.escape import safe_json, safe_line, short_id
from ..terminal.printed_commands import command_line

if TYPE_CHECKING:
    from ...graph.queries import RunQueries
    from ...state.stop_requests import StopRequests
    from ...state.stores import Stores
    from ..cli.waiting import Remarks

_WhichRun = Annotated[
    str | None,
    typer.Argument(
        metavar="THREAD",
        help="The run: its name, or the first characters of it (4 or more). Default: the one that is running, if there "
        "is only one",
        autocompletion=complete_threads,
        show_default=False,
    ),
]
_WaitFlag = Annotated[
    bool, typer.Option("--wait", help="Return once no process runs it. Default: once the request is saved")
]
_AllFlag = Annotated[
    bool, typer.Option("--all", help="Stop every running run of the home; a batch then begins no other question")
]
_STOPPING = "stopping"
_MOST_NAMED = 5


@command
@writes
def stop(
    invocation: Invocation, thread: _WhichRun = None, wait: _WaitFlag = False, everything: _AllFlag = False
) -> None:
    """Stop a run, whichever process executes it: another terminal, a detached one, or the Agent Server.

    The request is saved in the home, and the process sees it within a second: it cancels what is in flight, as Ctrl-C
    does, and what is saved stays. `rlm resume` continues the run, and pays for nothing twice. A sub-RLM is a part of
    the run that called it: its name stops the whole tree.

    The exit status is 0, also with --wait, and 2 when there is no such run or no process runs it. A process that was
    suspended stops the run when it wakes up.

    [bold]Examples[/bold]

      rlm stop
      rlm stop contracts --wait
      rlm stop --all
    """
    if thread is not None and everything:
        raise UsageError("--all stops every running run, so it takes no name.", hint="Give either.")
    if thread is not None:
        invocation.need_runs(thread)
    elif not invocation.has_runs:
        raise _nothing_runs(invocation)
    stops = from_stores(
        invocation, lambda stores: _stopped(stores, invocation, thread, wait=wait, everything=everything)
    )
    if invocation.json:
        documents: list[dict[str, Any]] = [{"thread_id": one.name, "status": one.status} for one in stops]
        put(safe_json(documents if everything else documents[0]))
    elif wait:
        _say_what_became_of(stops, invocation)
    if wait and any(one.status == _STOPPING for one in stops):
        if not invocation.json:
            say("No longer waiting; the request stays.")
        raise typer.Exit(STOPPED)


@dataclass
class _Stop:
    """A run that was asked to stop, and its status."""

    name: str
    status: str = _STOPPING


async def _stopped(
    stores: "Stores", invocation: Invocation, thread: str | None, *, wait: bool, everything: bool
) -> list[_Stop]:
    """Enter the requests, and wait until they were met if that is wanted. Raises UsageError when nothing is running."""
    from ...graph.queries import RunQueries
    from ...state.stop_requests import StopRequests
    from ..cli.waiting import uninterrupted

    requests, queries = StopRequests(stores.database, stores.leases), RunQueries(stores)
    if everything:
        names = await requests.enter_for_all()
        if not names:
            raise _nothing_runs(invocation)
    else:
        name = await _only_one(requests, invocation) if thread is None else await queries.resolve(thread)
        invocation.thread = name
        if not await requests.enter(name):
            raise await _not_running(queries, name)
        names = [name]
    stops = [_Stop(name) for name in names]
    await uninterrupted(_followed(stores, stops, wait=wait))
    return stops


async def _only_one(requests: "StopRequests", invocation: Invocation) -> str:
    """Return the run that is running. Raises UsageError when there is none, or more than one."""
    names = await requests.running()
    if not names:
        raise _nothing_runs(invocation)
    if len(names) > 1:
        shown = ", ".join(safe_line(name) for name in names[:_MOST_NAMED]) + (", …" if names[_MOST_NAMED:] else "")
        raise UsageError(f"{len(names):,} runs are running: {shown}.", hint="Name one, or stop all: `rlm stop --all`.")
    return names[0]


def _nothing_runs(invocation: Invocation) -> UsageError:
    return UsageError(f"No run of {invocation.home} is running.", hint="`rlm list` shows the runs there are.")


async def _not_running(queries: "RunQueries", name: str) -> UsageError:
    status = (await queries.about(name))["status"]
    hints = {
        "answered": f"Its answer: {cli_command('resume', name)}",
        "paused": f"It waits for a reviewer: {cli_command('review', name)}",
        "damaged": f"{cli_command('verify', name)} says what is damaged.",
    }
    return UsageError(
        f"No process runs {name}; its status is {status}.",
        hint=hints.get(status, f"Go on: {cli_command('resume', name)}"),
    )


async def _followed(stores: "Stores", stops: list[_Stop], *, wait: bool) -> None:
    """Say who was asked; with `wait`, wait until no process executes the runs, and enter their statuses."""
    from ...graph.queries import RunQueries
    from ...graph.stopping import wait_until_idle
    from ..cli.waiting import Remarks

    remarks = Remarks(asked_to_stop=True)
    tops = await _say_asked(stores, [one.name for one in stops], remarks)
    for one, top in zip(stops, tops, strict=True):
        if wait:
            # The whole tree ends, of which a sub-RLM may have its answer already.
            await wait_until_idle(stores, top, remarks.look)
            one.status = (await RunQueries(stores).about(one.name))["status"]


async def _say_asked(stores: "Stores", names: list[str], remarks: "Remarks") -> list[str]:
    """Say which process was asked to stop which runs. Return the runs at the top of their trees."""
    from ...graph.stopping import Holder, holder_of
    from ...state.wording import listed
    from ..cli.waiting import process_named

    tops = [await stores.threads.top_of(name) for name in names]
    asked: dict[str, tuple[Holder, list[str]]] = {}
    for name, top in zip(names, tops, strict=True):
        if top != name:
            say(f"{safe_line(name)} is a part of {safe_line(top)}, which is stopped as a whole.", whole=True)
        if holder := await holder_of(stores, top):
            asked.setdefault(process_named(holder), (holder, []))[1].append(safe_line(top))
    for process, (holder, its) in asked.items():
        say(f"{process} was asked to stop {listed(its, _MOST_NAMED)}.", whole=True)
        remarks.look(holder)
    return tops


def _say_what_became_of(stops: list[_Stop], invocation: Invocation) -> None:
    stops = [one for one in stops if one.status != _STOPPING]
    if len(stops) > _MOST_NAMED:
        counts = Counter(one.status for one in stops)
        say(f"{len(stops):,} runs: {', '.join(f'{n:,} {status}' for status, n in counts.most_common())}", style="bold")
        say(f"Look: {command_line(invocation, 'list')}", whole=True)
        return
    for one in stops:
        name = short_id(one.name)
        next_command = "review" if one.status == "paused" else "resume"
        say(f"{safe_line(one.name)}: {one.status}", style="bold")
        say(
            f"{'Its answer' if one.status == 'answered' else 'Go on'}: {command_line(invocation, next_command, name)}",
            whole=True,
        )
