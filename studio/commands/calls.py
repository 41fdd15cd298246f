"""The `rlm calls` command, which lists the sub-calls of a run."""

import json
from collections.abc import AsyncIterator, Iterator
from enum import StrEnum
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...state.errors import UsageError
from ..cli import options
from ..cli.common import command, from_library, from_stores, thread_or_last
from ..invocation import Invocation
from ..terminal.console import put
from ..terminal.escape import safe_json, short_id

if TYPE_CHECKING:
    from ...graph.calls import Call
    from ...graph.found_calls import FoundCall
    from ...graph.queries import RunQueries

_LEAST_KEY, _LEAST_OF_SOME = 10, 20
"""Characters of a key that are shown at least; more where other calls are not listed, whose keys may begin alike."""
_BEGINNING = 1_000
"""Characters of a text that are read for a cell of the table."""

TreeFlag = Annotated[
    bool, typer.Option("--tree", help="List those of its sub-RLMs too, and of theirs. Default: the run's own")
]
SearchOption = Annotated[
    str | None,
    typer.Option("--search", metavar="WORDS", help="List those in which all these words are. Default: all"),
]
TurnFlag = Annotated[
    int | None, typer.Option("--turn", metavar="N", min=0, help="Only those that this turn made", show_default=False)
]
LineFlag = Annotated[
    int | None,
    typer.Option("--line", metavar="N", min=1, help="Only those that this line of code made", show_default=False),
]
FailedFlag = Annotated[bool, typer.Option("--failed", help="Only those that failed")]
ModelFlag = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="Only those of this model", show_default=False)
]


class Sort(StrEnum):
    """The amount by which calls are sorted."""

    cost = "cost"
    tokens = "tokens"
    time = "time"
    queue = "queue"


SortFlag = Annotated[
    Sort | None, typer.Option("--sort", help="The largest first. Default: as they were made", show_default=False)
]
MostFlag = Annotated[
    int | None, typer.Option("--most", metavar="N", min=1, help="Only the first N. Default: all", show_default=False)
]


@command
def calls(
    invocation: Invocation,
    thread: options.Thread = None,
    tree: TreeFlag = False,
    search: SearchOption = None,
    turn: TurnFlag = None,
    line: LineFlag = None,
    failed: FailedFlag = False,
    model: ModelFlag = None,
    sort: SortFlag = None,
    most: MostFlag = None,
) -> None:
    """List the sub-calls of a run: what its code asked models, and what they answered.

    The table shortens keys, prompts and answers; --json prints them whole. REUSED calls were answered from the journal
    and cost nothing again. Calls of the model "person" were decided by a reviewer, or answered with
    `rlm fork --answer`, which takes a KEY.

    SCHEMA is what the answer of a call had to match, after its size.

    A call that a sub-RLM answers names its thread; its TOKENS are those of the sub-RLM and of all sub-RLMs below it.

    --search finds words in answers, in errors, and in what prompts have beside the passages that are cut from the
    input; also within longer words. What is in double quotes belongs together.

    [bold]Examples[/bold]

      rlm calls
      rlm calls --search 'notice "30 days"'
      rlm calls which-contracts-end-3f2a --tree
      rlm calls which-contracts-end-3f2a --sort cost --most 10
      rlm calls which-contracts-end-3f2a --turn 2 --failed
      rlm calls which-contracts-end-3f2a --json | jq -r '.[] | select(.error) | .prompt'
    """
    from ...state.call_pages import Asking, CallFilter

    if tree and sort:
        raise UsageError(
            "--tree lists the calls of a sub-RLM after the one that it answers: --sort does not go with it."
        )
    if search is not None and (failed or sort or any(one is not None for one in (turn, line, model, most))):
        raise UsageError(
            "--search lists all calls that have the words: no other choice of calls goes with it.",
            hint="`--json | jq` chooses among them.",
        )
    thread = thread_or_last(invocation, thread)
    if search is not None:
        _search(invocation, thread, search, tree=tree)
        return
    chosen = CallFilter(turn, line, model, "failed" if failed else None)
    asking = Asking(chosen, sort.value if sort else "made")

    def listed(library: "RunQueries", characters: int | None = None) -> AsyncIterator["Call"]:
        return _first(library.each_call(thread, asking, below=tree, characters=characters), most)

    if invocation.json:
        from_library(invocation, lambda library: _print_json(listed(library), tree=tree))
    else:
        rows = from_library(invocation, lambda library: _rows(listed(library, _BEGINNING)))
        _print_table(rows, tree=tree, least=_LEAST_KEY if most is None and chosen == CallFilter() else _LEAST_OF_SOME)


async def _first(calls: AsyncIterator["Call"], most: int | None) -> AsyncIterator["Call"]:
    """Yield the first `most` calls."""
    left = most
    async for call in calls:
        yield call
        if left is not None:
            left -= 1
            if not left:
                return


async def _print_json(calls: AsyncIterator["Call"], *, tree: bool) -> None:
    """Print the calls as one list, each once it is read: all of them together may not fit into memory."""
    before = ""
    async for call in calls:
        one = {**call.to_json(), **({"thread_id": call.thread_id} if tree else {})}
        put(f"{before}," if before else "[")
        before = indent(safe_json(one), "  ")
    put(f"{before}\n]" if before else "[]")


async def _rows(calls: AsyncIterator["Call"]) -> list[dict[str, str]]:
    """Return the cells of the table by column; of texts only as much as a cell may show."""
    return [_row(call) async for call in calls]


def _row(call: "Call") -> dict[str, str]:
    one: dict[str, Any] = call.to_json()
    failed = f"{'' if one['child_thread'] and call.row.status == 'asked' else 'FAILED: '}{one['error']}"
    return {
        "THREAD": short_id(call.thread_id),
        "DEPTH": str(one["depth"]),
        "KEY": one["key"],
        "TURN": str(one["turn"]),
        "MODEL": one["model"],
        "TOKENS": f"{one['tokens']:,}",
        "TIME": f"{one['seconds']:.1f} s",
        "REUSED": "yes" if one["reused"] else "",
        "SUB-RLM": short_id(one["child_thread"] or ""),
        "SCHEMA": _schema(call),
        "PROMPT": one["prompt"],
        "ANSWER": failed if one["error"] else one["answer"] or "",
    }


def _print_table(rows: list[dict[str, str]], *, tree: bool, least: int) -> None:
    from ..terminal.tables import Column, print_table

    keys = _short_keys([row["KEY"] for row in rows], least)
    columns = [
        *([Column("THREAD", limit=60), Column("DEPTH", right=True)] if tree else []),
        Column("KEY", limit=60),
        Column("TURN", right=True),
        Column("MODEL", limit=30),
        Column("TOKENS", right=True),
        Column("TIME", right=True),
        Column("REUSED"),
        *([Column("SUB-RLM", limit=60)] if any(row["SUB-RLM"] for row in rows) else []),
        *([Column("SCHEMA", wide=True)] if any(row["SCHEMA"] for row in rows) else []),
        Column("PROMPT", wide=True),
        Column("ANSWER", wide=True),
    ]
    cells = ({**row, "KEY": keys[row["KEY"]]} for row in rows)
    print_table(columns, ([row[column.title] for column in columns] for row in cells))


def _search(invocation: Invocation, thread: str, words: str, *, tree: bool) -> None:
    from ...graph.found_calls import found_calls

    found = from_stores(invocation, lambda stores: found_calls(stores, thread, words, below=tree))
    if invocation.json:
        put(safe_json([{**one.to_json(), **({"thread_id": one.call.thread_id} if tree else {})} for one in found]))
        return
    from ..terminal.tables import Column, print_table

    columns = [
        *([Column("THREAD", limit=60), Column("DEPTH", right=True)] if tree else []),
        Column("KEY", limit=60),
        Column("TURN", right=True),
        Column("MODEL", limit=30),
        Column("IN"),
        Column("FOUND", wide=True),
    ]
    print_table(columns, _found_rows(found, tree=tree))


def _found_rows(found: "list[FoundCall]", *, tree: bool) -> Iterator[tuple[str, ...]]:
    keys = _short_keys([one.call.row.key for one in found], _LEAST_OF_SOME)
    for one in found:
        row = one.call.row
        for hit in one.hits:
            yield (
                *((short_id(one.call.thread_id), str(row.depth)) if tree else ()),
                keys[row.key],
                str(row.turn),
                row.model,
                hit.where,
                hit.snippet.text,
            )


def _schema(call: "Call") -> str:
    """Return the schema of a call as the table shows it: its size, and as much of it as fits."""
    from ...state.call_records import SCHEMA

    if call.schema is None:
        return "not kept" if SCHEMA in call.row.parameters else ""
    text = json.dumps(call.schema, ensure_ascii=False)
    return f"{len(text):,} characters: {text[:_BEGINNING]}"


def _short_keys(keys: list[str], least: int) -> dict[str, str]:
    """Return the beginning of each key that no other key shares. Commands accept it in place of the key."""
    ordered = sorted(set(keys))
    neighbours = zip(["", *ordered], ordered, [*ordered[1:], ""], strict=False)
    return {
        key: key[: max(least, _shared(key, before) + 1, _shared(key, after) + 1)] for before, key, after in neighbours
    }


def _shared(one: str, other: str) -> int:
    """Return the length of the common prefix."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))
