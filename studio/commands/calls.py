"""`rlm calls`: the sub-calls of a run."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .. import flags
from ..consoles import put
from ..invocation import Invocation, command
from ..safe_text import safe_json

if TYPE_CHECKING:
    from ...graph.library import Call


@command
def calls(invocation: Invocation, thread: flags.Thread) -> None:
    """List what a run's code asked models, and what they answered.

    The table clips prompts and answers; --json has them whole. REUSED calls were answered from the journal and cost
    nothing again.

    [bold]Examples[/bold]

      rlm calls 1f2e3d4c
      rlm calls 1f2e3d4c --json | jq -r '.[] | select(.error) | .prompt'
    """
    from ..reading import from_library

    invocation.need_runs(thread)
    found = from_library(invocation, lambda library: library.calls(thread))
    if invocation.json:
        put(safe_json([call.to_json() for call in found]))
        return
    from ..tables import Column, print_table

    columns = [
        Column("TURN", right=True),
        Column("MODEL", limit=30),
        Column("TOKENS", right=True),
        Column("TIME", right=True),
        Column("REUSED"),
        Column("PROMPT", wide=True),
        Column("ANSWER", wide=True),
    ]
    print_table(columns, _rows(found))


def _rows(found: "list[Call]") -> Iterator[tuple[str, ...]]:
    for call in found:
        one: dict[str, Any] = call.to_json()
        failed = f"FAILED: {one['error']}" if one["error"] else ""
        yield (
            str(one["turn"]),
            one["model"],
            f"{one['tokens']:,}",
            f"{one['seconds']:.1f} s",
            "yes" if one["reused"] else "",
            one["prompt"],
            failed or one["answer"] or "",
        )
