"""The `rlm list` command, which lists the runs of a home."""

from collections import Counter
from typing import Annotated, Any

import typer

from ..cli.common import command, from_library
from ..invocation import Invocation
from ..terminal.console import put, say
from ..terminal.escape import safe, safe_json, safe_line
from ..terminal.printed_commands import pasteable

AllFlag = Annotated[
    bool,
    typer.Option("--all", help="Show sub-RLMs too, below the run that called them. Default: only how many there are"),
]
WaitingFlag = Annotated[
    bool, typer.Option("--waiting", help="Show runs that wait for a reviewer. Default: runs of every status")
]
RunningFlag = Annotated[
    bool, typer.Option("--running", help="Show runs that a process is running now. Default: runs of every status")
]
_DOING = {"paused": "waits for a reviewer", "busy": "is being run by a process"}


@command
def list_runs(
    invocation: Invocation, everything: AllFlag = False, waiting: WaitingFlag = False, running: RunningFlag = False
) -> None:
    """List the runs, the one touched last first.

    A busy run is being run by a process now. Runs with the status stopped, failed or budget are resumed with
    `rlm resume`. A paused run waits for a reviewer and is continued with `rlm review`. The sub-RLMs that a run's code
    has started are runs too: --all and --json list them. With --waiting and --running both, runs of either kind are
    shown.

    [bold]Examples[/bold]

      rlm list
      rlm list --all
      rlm list --running --waiting
      rlm list --json | jq -r '.[] | select(.status == "failed") | .thread_id'
    """
    runs: list[tuple[dict[str, Any], str | None]] = []
    if invocation.has_runs:
        runs = from_library(invocation, lambda library: library.runs_with_callers())
    statuses = {"paused": waiting, "busy": running}
    if found := bool(runs) and any(statuses.values()):
        runs = [(run, caller) for run, caller in runs if statuses.get(run["status"])]
    if invocation.json:
        put(safe_json([run for run, _ in runs]))
        return
    if found and not runs:
        say(f"No run {' or '.join(_DOING[status] for status, shown in statuses.items() if shown)}.")
        return
    if not runs:
        start = pasteable("Start with `rlm demo`.", invocation)
        say(f"No runs are saved in {safe(str(invocation.home))}. {start}", whole=True)
        return
    _print(runs, everything=everything)
    _say_what_waits(invocation, runs)


def _say_what_waits(invocation: Invocation, runs: list[tuple[dict[str, Any], str | None]]) -> None:
    """Report the runs that wait for a reviewer. A sub-RLM that waits is decided through the run at its top."""
    from ..cli.summary import decide_line

    waiting = [run["thread_id"] for run, caller in runs if run["status"] == "paused" and caller is None]
    if waiting:
        many = f"{len(waiting):,} runs wait" if len(waiting) > 1 else "One run waits"
        say(f"{many} for approval. {decide_line(invocation, waiting[0])}", whole=True)


def _print(runs: list[tuple[dict[str, Any], str | None]], *, everything: bool) -> None:
    from ..progress.text import dollars
    from ..terminal.escape import short_id
    from ..terminal.tables import Column, Forest, ago, print_table

    forest = Forest({run["thread_id"]: caller for run, caller in runs})
    by_name = {run["thread_id"]: run for run, _ in runs}
    origins = {run["thread_id"]: run["parent"] for run, caller in runs if run["parent"] and caller is None}
    counts = {name: forest.count_below(name) for name in forest.roots}
    forks, trees = bool(origins), any(counts.values()) and not everything
    columns = [
        Column("THREAD", limit=60, safe=True),
        *([Column("FORK OF", limit=60)] if forks else []),
        Column("STATUS"),
        Column("TURNS", right=True),
        Column("CALLS", right=True),
        *([Column("SUB-RLMS", right=True)] if trees else []),
        Column("COST", right=True),
        Column("UPDATED"),
        Column("QUESTION", wide=True),
    ]
    shorts = Counter(short_id(name) for name in by_name)
    rows = [
        (
            guides + (short if shorts[short := short_id(name)] == 1 else safe_line(name)),
            *([short_id(origins[name]) if name in origins else ""] if forks else []),
            (run := by_name[name])["status"],
            f"{run['turns']:,}",
            f"{run['model_calls']:,}",
            *([f"+{counts[name]:,}" if counts[name] else ""] if trees else []),
            dollars(run["cost_usd"]) or "?",
            ago(run["updated"]),
            run["question"],
        )
        for guides, name in (forest.drawn() if everything else [("", name) for name in forest.roots])
    ]
    print_table(columns, rows, status_column=2 if forks else 1)
