"""`rlm calls`: the sub-calls of a run."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .. import flags
from ..consoles import put
from ..invocation import Invocation, command
from ..safe_text import safe_json

if TYPE_CHECKING:
    from ...graph.library import Call

_LEAST_KEY = 10


@command
def calls(invocation: Invocation, thread: flags.Thread) -> None:
    """List what a run's code asked models, and what they answered.

    The table clips keys, prompts and answers; --json has them whole. REUSED calls were answered from the journal and
    cost nothing again. Those of the model "person" got their answers by `rlm fork --answer`, which takes a KEY.

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
        Column("KEY", limit=60),
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
    keys = _short_keys([call.row.key for call in found])
    for call in found:
        one: dict[str, Any] = call.to_json()
        failed = f"FAILED: {one['error']}" if one["error"] else ""
        yield (
            keys[one["key"]],
            str(one["turn"]),
            one["model"],
            f"{one['tokens']:,}",
            f"{one['seconds']:.1f} s",
            "yes" if one["reused"] else "",
            one["prompt"],
            failed or one["answer"] or "",
        )


def _short_keys(keys: list[str]) -> dict[str, str]:
    """As much of each key as no other one begins with: commands take that for the call."""
    ordered = sorted(set(keys))
    neighbours = zip(["", *ordered], ordered, [*ordered[1:], ""], strict=False)
    return {
        key: key[: max(_LEAST_KEY, _shared(key, before) + 1, _shared(key, after) + 1)]
        for before, key, after in neighbours
    }


def _shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))
