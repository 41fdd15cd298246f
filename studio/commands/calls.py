"""The `rlm calls` command, which lists the sub-calls of a run."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..cli import options
from ..cli.common import command, from_library, from_stores, thread_or_last
from ..invocation import Invocation
from ..terminal.console import put
from ..terminal.escape import safe_json

if TYPE_CHECKING:
    from ...graph.calls import Call
    from ...graph.found_calls import FoundCall

_LEAST_KEY = 10

TreeFlag = Annotated[
    bool, typer.Option("--tree", help="List those of its sub-RLMs too, and of theirs. Default: the run's own")
]
SearchOption = Annotated[
    str | None,
    typer.Option("--search", metavar="WORDS", help="List those in which all these words are. Default: all"),
]


@command
def calls(
    invocation: Invocation,
    thread: options.Thread = None,
    tree: TreeFlag = False,
    search: SearchOption = None,
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
      rlm calls which-contracts-end-3f2a --json | jq -r '.[] | select(.error) | .prompt'
    """
    thread = thread_or_last(invocation, thread)
    if search is not None:
        _search(invocation, thread, search, tree=tree)
        return
    found = from_library(invocation, lambda library: library.calls(thread, below=tree))
    if invocation.json:
        put(safe_json([{**call.to_json(), **({"thread_id": call.thread_id} if tree else {})} for call in found]))
        return
    from ...state.call_records import SCHEMA
    from ..terminal.tables import Column, print_table

    children = any(call.row.child_thread for call in found)
    typed = any(SCHEMA in call.row.parameters for call in found)
    columns = [
        *([Column("THREAD", limit=60), Column("DEPTH", right=True)] if tree else []),
        Column("KEY", limit=60),
        Column("TURN", right=True),
        Column("MODEL", limit=30),
        Column("TOKENS", right=True),
        Column("TIME", right=True),
        Column("REUSED"),
        *([Column("SUB-RLM", limit=60)] if children else []),
        *([Column("SCHEMA", wide=True)] if typed else []),
        Column("PROMPT", wide=True),
        Column("ANSWER", wide=True),
    ]
    print_table(columns, _rows(found, tree=tree, children=children, typed=typed))


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
    from ..terminal.escape import short_id

    keys = _short_keys([one.call.row.key for one in found])
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


def _rows(found: "list[Call]", *, tree: bool, children: bool, typed: bool) -> Iterator[tuple[str, ...]]:
    from ..terminal.escape import short_id

    keys = _short_keys([call.row.key for call in found])
    for call in found:
        one: dict[str, Any] = call.to_json()
        failed = f"{'' if one['child_thread'] and call.row.status == 'asked' else 'FAILED: '}{one['error']}"
        yield (
            *((short_id(call.thread_id), str(one["depth"])) if tree else ()),
            keys[one["key"]],
            str(one["turn"]),
            one["model"],
            f"{one['tokens']:,}",
            f"{one['seconds']:.1f} s",
            "yes" if one["reused"] else "",
            *([short_id(one["child_thread"] or "")] if children else []),
            *([_schema(call)] if typed else []),
            one["prompt"],
            failed if one["error"] else one["answer"] or "",
        )


def _schema(call: "Call") -> str:
    """Return the schema of a call as the table shows it: its size, and as much of it as fits."""
    from ...state.call_records import SCHEMA

    if call.schema is None:
        return "not kept" if SCHEMA in call.row.parameters else ""
    text = json.dumps(call.schema, ensure_ascii=False)
    return f"{len(text):,} characters: {text}"


def _short_keys(keys: list[str]) -> dict[str, str]:
    """Return the beginning of each key that no other key shares. Commands accept it in place of the key."""
    ordered = sorted(set(keys))
    neighbours = zip(["", *ordered], ordered, [*ordered[1:], ""], strict=False)
    return {
        key: key[: max(_LEAST_KEY, _shared(key, before) + 1, _shared(key, after) + 1)]
        for before, key, after in neighbours
    }


def _shared(one: str, other: str) -> int:
    """Return the length of the common prefix."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))
