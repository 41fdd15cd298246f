"""The report of `rlm verify`, and counts of stored records and their bytes."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass
class Tally:
    """A number of records and their bytes."""

    records: int = 0
    """The number of records."""
    bytes: int = 0
    """Their size together."""

    def add(self, size: int) -> None:
        """Count one record of `size` bytes."""
        self.records += 1
        self.bytes += size

    def to_json(self) -> dict[str, int]:
        """Return the counts as `--json` prints them."""
        return {"records": self.records, "bytes": self.bytes}


Kind = Literal[
    "thread",
    "child",
    "step",
    "checkpoint",
    "write",
    "call",
    "turn",
    "execution",
    "text",
    "snapshot",
    "piece",
    "input",
    "database",
    "citation",
]
"""Kinds of records: `child` links a run to the call that it answers, `write` is a task's write on top of a checkpoint,
`turn` and `execution` are rows by which a run is shown, `piece` is a chunk of a variable, `database` the file itself,
`citation` a passage that an answer cites.
"""
Part = Literal["steps", "turns", "calls", "variables"]


@dataclass
class Problem:
    """A damaged record."""

    kind: Kind
    """The kind of record."""
    name: str
    """Its name: of a run, a step, a call, or a hash."""
    fault: str
    """The fault: `is missing`, `has changed on disk`, …"""
    where: str
    """The table or the file."""
    needed_by: list[str] = field(default_factory=list[str])
    """The things that are lost because of it."""

    def to_json(self) -> dict[str, Any]:
        """Return the problem as `rlm verify --json` prints it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "problem": self.fault,
            "where": self.where,
            "needed_by": self.needed_by,
        }


@dataclass
class Report:
    """The records that were checked, the damaged ones, and how much of the run is whole."""

    thread_id: str
    """The run."""
    checked: dict[Kind, Tally] = field(default_factory=lambda: defaultdict[Kind, Tally](Tally))
    """The records that were read, by kind."""
    problems: list[Problem] = field(default_factory=list[Problem])
    """The damaged ones."""
    whole: dict[Part, tuple[int, int]] = field(default_factory=dict[Part, tuple[int, int]])
    """The number of whole items and of all items: steps that can be opened, turns and calls with all their texts,
    variables of the last snapshot.
    """
    last_whole_step: int | None = None
    """The last step that can be opened."""

    @property
    def ok(self) -> bool:
        """True when nothing is damaged."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return the document that `rlm verify --json` prints."""
        return {
            "thread_id": self.thread_id,
            "ok": self.ok,
            "checked": {kind: tally.to_json() for kind, tally in self.checked.items()},
            "problems": [problem.to_json() for problem in self.problems],
            "whole": {part: {"whole": whole, "of": of} for part, (whole, of) in self.whole.items()},
        }


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as text, such as `3` or `3–5, 9`."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in spans)
