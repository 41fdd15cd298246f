"""`rlm list`: the runs of a home."""

from typing import Any

from ..consoles import put, say
from ..invocation import Invocation, command
from ..safe_text import safe, safe_json


@command
def list_runs(invocation: Invocation) -> None:
    """List the runs, the one touched last first.

    A status of busy means that a process is running it now; stopped, failed and budget go on with `rlm resume`.

    [bold]Examples[/bold]

      rlm list
      rlm list --json | jq -r '.[] | select(.status == "failed") | .thread_id'
    """
    from ..reading import from_library

    runs: list[dict[str, Any]] = []
    if invocation.has_runs:
        runs = from_library(invocation, lambda library: library.runs())
    if invocation.json:
        put(safe_json(runs))
        return
    if not runs:
        say(f"No runs are saved in {safe(str(invocation.home))}. Start with `rlm demo`.")
        return
    _print(runs)


def _print(runs: list[dict[str, Any]]) -> None:
    from ..display.wording import dollars
    from ..summary import short_id
    from ..tables import Column, ago, print_table

    forks = any(run["parent"] for run in runs)
    columns = [
        Column("THREAD", limit=60),
        *([Column("FORK OF", limit=60)] if forks else []),
        Column("STATUS"),
        Column("TURNS", right=True),
        Column("CALLS", right=True),
        Column("COST", right=True),
        Column("UPDATED"),
        Column("QUESTION", wide=True),
    ]
    shorts = [short_id(run["thread_id"]) for run in runs]
    rows = [
        (
            short if shorts.count(short) == 1 else run["thread_id"],
            *([short_id(run["parent"]) if run["parent"] else ""] if forks else []),
            run["status"],
            f"{run['turns']:,}",
            f"{run['model_calls']:,}",
            dollars(run["cost_usd"]) or "?",
            ago(run["updated"]),
            run["question"],
        )
        for run, short in zip(runs, shorts, strict=True)
    ]
    print_table(columns, rows, status_column=2 if forks else 1)
