"""The tables whose rows carry a checksum: their columns, keys and references, said once.

The journal, the checkpointer, the index of runs, forks, checksums, migrations, `rlm gc` and `rlm verify` take columns
from here. To add one: append it to `added` under the number of the new format, and the statement that creates it to
`FORMATS` in `schema.py`. Copies, checksums and checks then include it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

Verb = Literal["INSERT", "INSERT OR IGNORE", "INSERT OR REPLACE"]


@dataclass(frozen=True)
class Table:
    """A table with one row checksum, in the column `seal`, over all the other columns."""

    name: str
    key: tuple[str, ...]
    """The columns that name a row. All but `thread_id` name it within its thread."""
    added: tuple[tuple[int, tuple[str, ...]], ...]
    """The other columns by the format that brought them, in the order in which checksums cover them."""
    referring: tuple[str, ...] = ()
    """The columns that refer to texts and blobs, by a hash or with hashes inside a body."""
    bodies: tuple[str, ...] = ()
    """The columns that hold serialized values."""

    @property
    def key_in_thread(self) -> tuple[str, ...]:
        """The columns that name a row within its thread."""
        return tuple(column for column in self.key if column != "thread_id")

    @cache  # noqa: B019 (tables are constants)
    def columns(self, version: int | None = None) -> tuple[str, ...]:
        """Return the columns of the given format (by default the latest), in the order of the checksum."""
        return (
            *self.key,
            *(column for since, columns in self.added if version is None or since <= version for column in columns),
        )

    @cache  # noqa: B019
    def select(self) -> str:
        """Return the columns for a SELECT, in the order of `columns`, serialized values as bytes."""
        return ", ".join(f"CAST({name} AS BLOB)" if name in self.bodies else name for name in self.columns())

    @cache  # noqa: B019
    def insert(self, *columns: str, verb: Verb = "INSERT") -> str:
        """Return the statement that inserts a row with these columns, each from the parameter of its name.

        Raises ValueError for a column that the table does not have.
        """
        if unknown := set(columns) - set(self.columns()):
            raise ValueError(f"table {self.name} has no column {', '.join(sorted(unknown))}")
        return f"{verb} INTO {self.name} ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})"

    def copy(self, changed: Mapping[str, str], *, without: Collection[str] = ()) -> str:
        """Return the beginning of a statement that copies rows, up to the WHERE.

        `changed` has the SQL expressions of columns that differ in the copy. Columns in `without` get their defaults.
        """
        columns = [column for column in self.columns() if column not in without]
        values = [changed.get(column, column) for column in columns]
        return f"INSERT INTO {self.name} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {self.name}"


# LangGraph's tables, as its saver creates them.
CHECKPOINTS = Table(
    "checkpoints",
    key=("thread_id", "checkpoint_ns", "checkpoint_id"),
    added=((2, ("parent_checkpoint_id", "type", "checkpoint", "metadata")),),
    referring=("checkpoint", "metadata"),
    bodies=("checkpoint", "metadata"),
)
WRITES = Table(
    "writes",
    key=("thread_id", "checkpoint_ns", "checkpoint_id", "task_id", "idx"),
    added=((2, ("task_path", "channel", "type", "value")),),
    referring=("value",),
    bodies=("value",),
)

_UNCERTAIN = (
    *("uncertain_calls", "uncertain_input", "uncertain_output", "uncertain_tokens", "uncertain_cost"),
    "uncertain_input_cost",
)
_ADDED_USAGE = ("cached_tokens", "cache_write_tokens", "thought_tokens", "streamed_calls", "streamed_output")
CALLS = Table(
    "calls",
    key=("thread_id", "key"),
    added=(
        (1, ("seq", "kind", "turn", "depth", "model", "prompt", "status", "answer", "error_kind", "error", "attempts")),
        (1, ("input_tokens", "output_tokens", "cost", "seconds", "reused", "child_thread", "created")),
        (2, ("settled",)),
        (4, _UNCERTAIN),
        (
            5,
            ("request", "parameters", "messages", "thoughts", "queued", "attempt_log", "line", *_ADDED_USAGE, "places"),
        ),
    ),
    referring=("prompt", "answer", "messages", "thoughts", "parameters"),
)
CALL_USAGE = ("attempts", "input_tokens", "output_tokens", "cost", "seconds", *_UNCERTAIN, *_ADDED_USAGE)
"""The columns of `CALLS` that say what a call took. They stay with the row that paid."""

STEPS = Table(
    "steps",
    key=("thread_id", "step"),
    added=((1, ("checkpoint_id", "kind", "turn", "summary", "created")), (2, ("settled",))),
)
THREADS = Table(
    "threads",
    key=("thread_id",),
    added=(
        (1, ("question", "input", "start", "model", "parent", "limits", "status", "error", "turns", "seconds")),
        (1, ("created", "updated")),
        (2, ("horizon",)),
    ),
    referring=("start",),
)
CHILDREN = Table("children", key=("thread_id",), added=((3, ("caller", "call", "depth")),))

TURNS = Table(
    "turns",
    key=("thread_id", "turn"),
    added=(
        (5, ("summary", "flags", "status", "asked", "planned", "began", "ended", "computed")),
        (5, ("calls", "failed", "cut", "reused", "input_tokens", "output_tokens", "cost", "first_call", "last_call")),
    ),
)
EXECUTIONS = Table(
    "executions",
    key=("thread_id", "number"),
    added=((5, ("reason", "begun", "ended", "outcome", "detail")),),
)

TABLES = (CHECKPOINTS, WRITES, CALLS, STEPS, THREADS, CHILDREN, TURNS, EXECUTIONS)
