"""Checks the rows of one thread: checksums, readability, completeness, and what is lost with each damaged one.

A step is loaded from its own checkpoint and the writes on top of it. Its growing lists are rebuilt from the line of
checkpoints before it, back to the one that holds them whole.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast, get_type_hints

from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ..call_records import SCHEMA
from ..db.checksums import checksum_mismatch_sql
from ..db.corruption import Row, Unreadable, from_both_ends, is_damage, rows_of, until_damage
from ..db.lineage import LINE
from ..db.tables import CALLS, CHECKPOINTS, CHILDREN, STEPS, THREADS, WRITES, Table
from ..errors import CHANGED, MISSING
from ..input.context import ContextRef
from ..run_state import RunState
from ..wording import plural
from .delete import shown_name
from .references import CITATIONS, Reference, hashes_in, references_in
from .report import Problem, ranges
from .verify_context import Checking, size_of, unreadable
from .verify_shown import check_shown

GROWING = frozenset(
    name
    for name, hint in get_type_hints(RunState, include_extras=True).items()
    if any(isinstance(part, DeltaChannel) for part in getattr(hint, "__metadata__", ()))
)
"""The channels that are saved as additions."""


@dataclass
class _Checkpoint:
    parent: str | None
    whole: bool
    """True when it holds all growing lists whole."""


@dataclass
class Line:
    """A thread's checkpoints by id, and the problems with them."""

    checkpoints: dict[str, _Checkpoint] = field(default_factory=dict[str, _Checkpoint])
    own: dict[str, list[Problem]] = field(default_factory=lambda: defaultdict[str, list[Problem]](list))
    """Problems that prevent a checkpoint itself from being loaded."""
    passed: dict[str, list[Problem]] = field(default_factory=lambda: defaultdict[str, list[Problem]](list))
    """Problems that prevent later checkpoints from being loaded through it."""

    def add(self, name: str, parent: str | None, *, whole: bool) -> None:
        """Add a checkpoint."""
        self.checkpoints[name] = _Checkpoint(parent, whole)

    def damaged(self, name: str, problem: Problem) -> None:
        """Add a checkpoint's problem: it is damaged or missing."""
        self.own[name].append(problem)
        self.passed[name].append(problem)

    def write_damaged(self, name: str, problem: Problem, *, growing: bool) -> None:
        """Add a problem with a write on top of a checkpoint; `growing`: to a growing list."""
        self.own[name].append(problem)
        if growing:
            self.passed[name].append(problem)

    def orphans(self) -> set[str]:
        """Return the checkpoints that others name as their parents and that do not exist."""
        parents = {checkpoint.parent for checkpoint in self.checkpoints.values() if checkpoint.parent is not None}
        return parents - self.checkpoints.keys()

    def settle(self, steps: dict[int, str]) -> list[int]:
        """Add to every problem the steps that need its record. Return the steps that can be loaded."""
        if not self.own:
            return list(steps)
        needing: dict[int, list[int]] = defaultdict(list)
        problems: dict[int, Problem] = {}
        whole: list[int] = []
        for step, name in steps.items():
            found = self._in_the_way(name)
            if not found:
                whole.append(step)
            for problem in found:
                problems[id(problem)] = problem
                needing[id(problem)].append(step)
        for key, problem in problems.items():
            found = needing[key]
            problem.needed_by.append(f"{plural(len(found), 'step')} {ranges(found)}")
        return whole

    def _in_the_way(self, name: str) -> list[Problem]:
        found = list(self.own.get(name, ()))
        seen = {name}
        checkpoint = self.checkpoints.get(name)
        while checkpoint and not checkpoint.whole and checkpoint.parent and checkpoint.parent not in seen:
            seen.add(checkpoint.parent)
            found += self.passed.get(checkpoint.parent, ())
            checkpoint = self.checkpoints.get(checkpoint.parent)
        return found


_LISTED = "its entry in the list of steps"
_SERDE = JsonPlusSerializer(allowed_msgpack_modules=None)


class CheckedRows:
    """The rows of a thread under verification. Their references are added to the check's needs."""

    def __init__(self, checking: Checking, thread_id: str) -> None:
        self._checking = checking
        self._connection = checking.connection
        self._thread_id = thread_id
        self._own = thread_id == checking.report.thread_id
        self._place = "" if self._own else f" of {shown_name(thread_id)}"
        self._steps: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._lost_steps: set[int] = set()
        self._list_damaged = False
        self._line = Line()
        self.calls: set[str] = set()
        self.lost_calls: set[str] = set()
        self.children: list[str] = []
        """Threads that its calls have started."""
        self.context: ContextRef | None = None
        """Its input."""
        self.cited: set[str] = set()
        """The lists of what its answers cite."""

    def check(self) -> None:
        """Check all rows."""
        self.check_entry()
        self.check_steps()
        self._check_checkpoints()
        self._check_writes()
        self._check_order()
        whole = self._line.settle(self._steps)
        if self._own:
            self._checking.report.whole["steps"] = (len(whole), len(self._steps) + len(self._lost_steps))
            self._checking.report.last_whole_step = max(whole, default=None)
        self.check_calls()
        check_shown(self._checking, self._thread_id, self._place)
        self._check_children()
        self._check_origins()

    def check_entry(self) -> None:
        """Check the thread's row in the index of runs."""
        name, needs = shown_name(self._thread_id), ["the run's settings, limits and status"]
        select = f"{_select(THREADS)} WHERE thread_id = ?"
        try:
            row = self._connection.execute(select, (self._thread_id,)).fetchone()
            # A run started through LangGraph directly is not in the index; one that was leased is.
            leased = self._connection.execute("SELECT 1 FROM leases WHERE thread_id = ?", (self._thread_id,)).fetchone()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._checking.problem("thread", name, unreadable(error), "table threads", needs)
            return
        if row is None:
            if leased:
                self._checking.problem("thread", name, MISSING, "table threads", needs)
            return
        damaged, values = _named(THREADS, row)
        self._checking.count("thread", size_of(values.values()))
        if damaged:
            self._checking.problem("thread", name, CHANGED, "table threads", needs)
        else:
            self._note(json.loads(values["start"]))

    def check_steps(self) -> None:
        """Check its rows in the list of steps."""
        select = f"{_select(STEPS)} WHERE thread_id = ?"
        rows, why = from_both_ends(self._connection, select, "step", (self._thread_id,))
        for row in rows:
            damaged, values = _named(STEPS, row)
            number, checkpoint_id = values["step"], values["checkpoint_id"]
            self._checking.count("step", size_of(values.values()))
            if damaged:
                self._lost_step(number, CHANGED)
            else:
                self._steps[number] = checkpoint_id
                self._numbers[checkpoint_id] = number
        self._list_damaged = why is not None
        if why:
            self._checking.problem("step", f"the list of steps{self._place}", unreadable(why), "table steps", [_LISTED])
        for number in range(1, max(self._steps, default=0)):
            if not why and number not in self._steps and number not in self._lost_steps:
                self._lost_step(number, MISSING)

    def _lost_step(self, number: int, fault: str) -> None:
        self._lost_steps.add(number)
        self._checking.problem("step", f"step {number}{self._place}", fault, "table steps", [_LISTED])

    def _check_checkpoints(self) -> None:
        for row in rows_of(self._connection, CHECKPOINTS, _columns(CHECKPOINTS), self._thread_id):
            if isinstance(row, Unreadable):
                namespace, name = row.key
                self._lost_checkpoint(namespace, name, unreadable(row.why))
                continue
            damaged, values = _named(CHECKPOINTS, row)
            namespace, name = values["checkpoint_ns"], values["checkpoint_id"]
            self._checking.count("checkpoint", size_of(values.values()))
            stored = (values["type"], values["checkpoint"], values["metadata"])
            value: Any
            value, fault = (None, CHANGED) if damaged else _understood(*stored)
            if fault:
                self._lost_checkpoint(namespace, name, fault)
                continue
            channels = value.get("channel_values") or {}
            if not namespace:
                self._line.add(name, values["parent_checkpoint_id"], whole=channels.keys() >= GROWING)
            self._note(channels)

    def _lost_checkpoint(self, namespace: str, name: str, fault: str) -> None:
        problem = self._checking.problem("checkpoint", self._named(name), fault, "table checkpoints")
        if not namespace:
            # Its parent is not known either.
            self._line.add(name, None, whole=True)
            self._line.damaged(name, problem)

    def _check_writes(self) -> None:
        for row in rows_of(self._connection, WRITES, _columns(WRITES), self._thread_id):
            if isinstance(row, Unreadable):
                namespace, name, _, _ = row.key
                self._lost_write(namespace, name, None, unreadable(row.why))
                continue
            damaged, values = _named(WRITES, row)
            namespace, name, channel = values["checkpoint_ns"], values["checkpoint_id"], values["channel"]
            self._checking.count("write", size_of(values.values()))
            value, fault = (None, CHANGED) if damaged else _understood(values["type"], values["value"])
            if fault:
                self._lost_write(namespace, name, channel, fault)
            else:
                self._note(value)

    def _lost_write(self, namespace: str, name: str, channel: str | None, fault: str) -> None:
        what = f"{channel or 'what'}, written after {self._named(name)}"
        problem = self._checking.problem("write", what, fault, "table writes")
        if not namespace:
            self._line.write_damaged(name, problem, growing=channel is None or channel in GROWING)

    def _check_order(self) -> None:
        """Report checkpoints that are named by steps or others and missing, and those that no step names."""
        missing = {name for name in self._steps.values() if name not in self._line.checkpoints}
        for name in sorted(missing | self._line.orphans()):
            problem = self._checking.problem("checkpoint", self._named(name), MISSING, "table checkpoints")
            self._line.damaged(name, problem)
        if self._steps and not self._lost_steps and not self._list_damaged:
            for name in sorted(self._line.checkpoints.keys() - self._numbers.keys() - missing):
                what = f"the step of checkpoint {name}{self._place}"
                self._checking.problem("step", what, MISSING, "table steps", [_LISTED])

    def check_calls(self, horizon: int | None = None) -> None:
        """Check its calls; with a `horizon`, only those that a fork sees: settled, and not after it."""
        for row in rows_of(self._connection, CALLS, _columns(CALLS), self._thread_id):
            if isinstance(row, Unreadable):
                self._lost_call(str(row.key[0]), unreadable(row.why))
                continue
            damaged, values = _named(CALLS, row)
            key, child = values["key"], values["child_thread"]
            late = horizon is not None and (values["status"] == "asked" or (values["settled"] or 0) > horizon)
            if late and not damaged:
                continue
            self.calls.add(key)
            self._checking.count("call", size_of(values.values()))
            if damaged:
                self._lost_call(key, CHANGED)
                continue
            for part in CALLS.referring:
                for name in sorted(_texts_in(part, values[part])):
                    # Only a person reads the schema again.
                    what, lost = ("schema", None) if part == "parameters" else (part, key)
                    reference = Reference("text", name, f"the {what} of call {key}")
                    self._checking.needs.add(reference, call=lost if self._own else None, place=self._place)
            if child and horizon is None:
                self.children.append(child)

    def _lost_call(self, key: str, fault: str) -> None:
        self.calls.add(key)
        self.lost_calls.add(key)
        needs = [f"the answer of call {key}{self._place}: it would be asked for, and paid, again"]
        self._checking.problem("call", f"{key}{self._place}", fault, "table calls", needs)

    def _check_children(self) -> None:
        """Check the row that links the thread to its caller, if any, and the rows of the threads that it started."""
        called = set(self.children)
        # Includes those whose calls are damaged.
        listed, _ = until_damage(
            self._connection, "SELECT thread_id FROM children WHERE caller = ?", (self._thread_id,)
        )
        self.children = list(dict.fromkeys([*self.children, *(name for [name] in listed)]))
        # A child's own row was checked with its caller.
        for name in [self._thread_id, *self.children] if self._own else self.children:
            self._check_child(name, called=name in called)

    def _check_child(self, name: str, *, called: bool) -> None:
        select = f"{_select(CHILDREN)} WHERE thread_id = ?"
        started = "SELECT 1 FROM threads WHERE thread_id = ?"
        fault: str | None = None
        try:
            row = self._connection.execute(select, (name,)).fetchone()
            if row is None and called and self._connection.execute(started, (name,)).fetchone():
                fault = MISSING
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            row, fault = None, unreadable(error)
        if row is not None:
            damaged, values = _named(CHILDREN, row)
            self._checking.count("child", size_of(values.values()))
            fault = CHANGED if damaged else None
        if fault:
            needs = [f"which call of which run {shown_name(name)} answers, and so whose budget it spends"]
            self._checking.problem("child", shown_name(name), fault, "table children", needs)

    def _check_origins(self) -> None:
        """Check what the thread needs of those that it was forked from: recorded answers, and their order."""
        for name, horizon in self._origins():
            origin = CheckedRows(self._checking, name)
            origin.check_entry()
            origin.check_steps()
            origin.check_calls(horizon)

    def _origins(self) -> Iterator[tuple[str, int]]:
        try:
            line = f"{LINE} SELECT thread_id, horizon FROM line WHERE generation > 0"
            yield from self._connection.execute(line, (self._thread_id,)).fetchall()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            needs = ["answers recorded by the runs that it was forked from"]
            self._checking.problem("thread", shown_name(self._thread_id), unreadable(error), "table threads", needs)

    @property
    def place(self) -> str:
        """Empty for the thread itself, else a phrase that names the other thread."""
        return self._place

    def _note(self, value: Any) -> None:
        if isinstance(value, dict) and (context := cast(dict[str, Any], value).get("context_ref")):
            self.context = context
        for reference in references_in(value):
            if reference.what == CITATIONS:
                self.cited.add(reference.name)
            self._checking.needs.add(reference, place=self._place)

    def _named(self, checkpoint_id: str) -> str:
        number = self._numbers.get(checkpoint_id)
        return f"step {number}{self._place}" if number else f"checkpoint {checkpoint_id}{self._place}"


def _texts_in(part: str, value: str | None) -> set[str]:
    """Return the hashes of the texts that a column of a call refers to. Options of models may look like hashes."""
    if part == "parameters" and value:
        value = str(json.loads(value).get(SCHEMA))
    return hashes_in((value or "").encode())


def _columns(table: Table) -> str:
    """Return the columns of a table for a SELECT, and whether the row's checksum does not match."""
    return f"{table.select()}, {checksum_mismatch_sql(table)}"


def _select(table: Table) -> str:
    return f"SELECT {_columns(table)} FROM {table.name}"


def _named(table: Table, row: Row) -> tuple[bool, dict[str, Any]]:
    """Return whether a row is damaged, and its values by column."""
    *values, damaged = row
    return bool(damaged), dict(zip(table.columns(), values, strict=True))


def _understood(kind: str, body: bytes, metadata: bytes | None = None) -> tuple[Any, str | None]:
    """Return a stored value, and why this version cannot decode it although it is what was saved (or None)."""
    try:
        json.loads(metadata or b"{}")
        return _SERDE.loads_typed((kind, body)), None
    except Exception as error:
        return None, f"cannot be understood ({type(error).__name__}: {error})"
