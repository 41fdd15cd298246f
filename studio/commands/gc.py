"""The `rlm gc` command, which frees what no run needs."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from ..cli.agreeing import writes
from ..cli.common import command
from ..cli.signals import STOPPED
from ..invocation import Invocation
from ..terminal.console import put, say
from ..terminal.escape import safe, safe_json, safe_line
from ..terminal.printed_commands import command_line, pasteable

if TYPE_CHECKING:
    from ...state.maintenance.gc import Collected

DryRunFlag = Annotated[bool, typer.Option("--dry-run", help="Say what would be freed, and free nothing.")]
ExtractedFlag = Annotated[
    bool,
    typer.Option(
        "--extracted",
        help="Free all texts extracted from documents, and search indexes. Default: those not used for 30 days",
    ),
]

OlderThanOption = Annotated[
    str | None,
    typer.Option(
        "--older-than",
        metavar="AGE",
        help="First delete the runs that were not touched for so long, with their sub-RLMs: 90d, 12h, 2w. Runs that "
        "wait for approval, run, or are damaged are kept. Default: no run is deleted",
        show_default=False,
    ),
]

_MOST_NAMED = 5
_MOST_LISTED = 20
_KEPT = {
    "waiting": "waiting for approval",
    "running": "run by a process, or by one that runs a fork of it",
    "damaged": "damaged, so that its age is not known",
}
_NAMES = {
    "texts": "text",
    "recipes": "recipe of a text",
    "snapshots": "snapshot",
    "pieces": "piece of a variable",
    "blobs": "file",
    "extracted": "file of extracted text",
    "search": "search index",
    "logs": "log of a run that is gone",
    "leftovers": "leftover of a process that died",
}


@command
@writes
def gc(
    invocation: Invocation,
    older_than: OlderThanOption = None,
    dry_run: DryRunFlag = False,
    extracted: ExtractedFlag = False,
) -> None:
    """Free the texts, variables and input that no run needs any more, and give the space back to the disk.

    The texts that were extracted from documents, and search indexes, are kept for the next question over the same
    files, and freed when they were not used for 30 days.

    May be used at any time, even while runs are executed: while another process has the home open, everything that was
    needed within the last hour, or since the oldest running process was started, is kept. While a record that may refer
    to others cannot be read, only leftovers of dead processes are freed, and the exit status is 1.

    No run is deleted without --older-than. With it, runs go one after another, the oldest first; Ctrl-C ends that
    between two of them. Forks of a deleted run keep the answers that it had recorded.

    [bold]Examples[/bold]

      rlm gc --dry-run
      rlm delete which-contracts-end-3f2a && rlm gc
      rlm gc --older-than 90d --dry-run
      rlm gc --extracted
      rlm gc --json | jq .freed
    """
    from ...state.maintenance.gc import Collected

    seconds = _seconds(older_than)
    try:
        nothing = Collected(dry_run=dry_run)
        collected = _collect(invocation, seconds, dry_run, extracted) if invocation.has_runs else nothing
    except KeyboardInterrupt:
        stopped = "Stopped. What was deleted or freed until then is gone; the same command does the rest."
        say(pasteable(stopped, invocation), whole=True)
        raise typer.Exit(STOPPED) from None
    if invocation.json:
        put(safe_json(collected.to_json()))
    elif not invocation.has_runs:
        say(f"No runs are saved in {safe(str(invocation.home))}.")
    else:
        _print(collected, invocation)
    raise typer.Exit(1 if collected.unreadable else 0)


def _seconds(older_than: str | None) -> float | None:
    """Return the age in seconds. Raises UsageError."""
    from ...state.errors import UsageError
    from ...state.maintenance.retention import parse_age

    if older_than is None:
        return None
    try:
        return parse_age(older_than)
    except ValueError as error:
        raise UsageError(
            f"--older-than: {error}.",
            hint="A dry run lists what would be deleted: `rlm gc --older-than 90d --dry-run`.",
        ) from error


def _collect(invocation: Invocation, older_than: float | None, dry_run: bool, extracted: bool) -> "Collected":
    from dataclasses import replace

    from ...graph.maintenance import bring_up_to_date, collect_garbage
    from ...graph.retention import delete_old_runs
    from ...state.maintenance.retention import OldRuns
    from ...state.open_home import open_stores
    from ...state.wording import counted
    from ..progress.counter import Counting

    home = invocation.home.absolute()

    async def work() -> "Collected":
        await bring_up_to_date(home)
        old = OldRuns()
        if older_than is not None:
            # Closed before anything is freed: then that process may free all that is not needed.
            async with open_stores(home) as stores:
                old = await delete_old_runs(stores, older_than, dry_run=dry_run, on_progress=on_run)
        collected = await collect_garbage(home, dry_run=dry_run, extracted=extracted, on_progress=on_progress)
        return replace(collected, old=old)

    with Counting("Looking at what the runs need") as display:

        def on_run(runs: int) -> None:
            display.update(lambda: f"Looking for old runs: {counted(runs, 'run')}")

        def on_progress(records: int) -> None:
            display.update(lambda: f"Looking at what the runs need: {counted(records, 'record')}")

        return asyncio.run(work())


def _print(collected: "Collected", invocation: Invocation) -> None:
    from ...state.wording import counted, megabytes

    _print_old(collected)
    freed = {kind: tally for kind, tally in collected.freed.items() if tally.records}
    size = sum(tally.bytes for tally in freed.values())
    parts = [counted(tally.records, _NAMES[kind]) for kind, tally in freed.items()]
    verb = "Would free" if collected.dry_run else "Freed"
    put(f"{verb} {', '.join(parts)}: {megabytes(size)}." if parts else f"{verb} nothing: every record is needed.")
    if collected.recent.records:
        recent = f"{counted(collected.recent.records, 'record')}, {megabytes(collected.recent.bytes)}"
        put(f"Kept, because another process has the home open and may be about to need them: {recent}.")
    if collected.foreign.records:
        kept = f"{counted(collected.foreign.records, 'file')}, {megabytes(collected.foreign.bytes)}"
        put(
            f"Kept, because this database was not made with the folder of blobs: {kept}. If the database that they "
            "belong to is lost, delete the folder blobs yourself."
        )
    if collected.file_after < collected.file_before:
        put(f"The database went from {megabytes(collected.file_before)} to {megabytes(collected.file_after)}.")
    for thread, why in collected.unreadable.items():
        where = "" if thread == "*" else f"{safe_line(thread)}: "
        say(f"Error: {where}{safe_line(why)}", style="bold red")
    if collected.unreadable:
        say("What it refers to is not known, so all texts, variables and inputs stay.")
        # `*` is the database itself. A deleted run that forks need cannot be looked up by its name.
        names = [name for name in collected.unreadable if name != "*" and not name.endswith(", deleted")]
        _say_what_frees(names, invocation)


def _print_old(collected: "Collected") -> None:
    """Print the old runs that were deleted, and those that are kept, by their names."""
    from ...state.wording import counted, listed

    old = collected.old
    if old.deleted:
        verb = "Would delete" if collected.dry_run else "Deleted"
        names = listed([safe_line(name) for name in old.deleted], _MOST_LISTED)
        put(f"{verb} {counted(len(old.deleted), 'old run')}: {names}.")
    for reason, why in _KEPT.items():
        kept = [safe_line(name) for name, found in old.kept.items() if found == reason]
        if kept:
            put(f"Kept, {why}: {listed(kept, _MOST_LISTED)}.")


def _say_what_frees(threads: list[str], invocation: Invocation) -> None:
    """Print the commands that help with runs whose records cannot be read."""
    for thread in threads[:_MOST_NAMED]:
        say(f"What is lost: {command_line(invocation, 'verify', thread)}", whole=True)
        say(f"To take the run away: {command_line(invocation, 'delete', thread)}", whole=True)
    if threads:
        say(pasteable("Then `rlm gc` frees.", invocation), whole=True)
