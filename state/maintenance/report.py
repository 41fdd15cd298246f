"""The report of `rlm verify`, with counts of stored records and their bytes."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass
class Tally:
    """So many records, with so many bytes in them."""

    records: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count one record of `size` bytes."""
        self.records += 1
        self.bytes += size

    def to_json(self) -> dict[str, int]:
        """As `--json` prints it."""
        return {"records": self.records, "bytes": self.bytes}


Kind = Literal[
    "thread", "child", "step", "checkpoint", "write", "call", "text", "snapshot", "piece", "input", "database"
]
"""Kinds of records: `child` says which call a run answers, `write` is what a task wrote on top of a checkpoint, `piece`
one of a variable's, `database` the file itself."""
Part = Literal["steps", "turns", "calls", "variables"]


@dataclass
class Problem:
    """A damaged record."""

    kind: Kind
    name: str
    fault: str
    """What is wrong with it: `is missing`, `has changed on disk`, …"""
    where: str
    """The table or the file."""
    needed_by: list[str] = field(default_factory=list[str])
    """What is lost with it."""

    def to_json(self) -> dict[str, Any]:
        """As `rlm verify --json` prints it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "problem": self.fault,
            "where": self.where,
            "needed_by": self.needed_by,
        }


@dataclass
class Report:
    """What was checked, what of it is damaged, and how much of the run is whole all the same."""

    thread_id: str
    checked: dict[Kind, Tally] = field(default_factory=lambda: defaultdict[Kind, Tally](Tally))
    problems: list[Problem] = field(default_factory=list[Problem])
    whole: dict[Part, tuple[int, int]] = field(default_factory=dict[Part, tuple[int, int]])
    """How many, and of how many: steps that can be opened, turns and calls with all their texts, variables of the
    last snapshot."""
    last_whole_step: int | None = None
    """The last step that can be opened."""

    @property
    def ok(self) -> bool:
        """Whether all of it is what was saved."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """The document that `rlm verify --json` prints."""
        return {
            "thread_id": self.thread_id,
            "ok": self.ok,
            "checked": {kind: tally.to_json() for kind, tally in self.checked.items()},
            "problems": [problem.to_json() for problem in self.problems],
            "whole": {part: {"whole": whole, "of": of} for part, (whole, of) in self.whole.items()},
        }


def ranges(numbers: Iterable[int]) -> str:
    """`3`, `3–5, 9`."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in spans)
