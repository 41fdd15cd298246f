"""What is lost with a damaged checkpoint: which steps can no longer be opened.

A step is opened from its own checkpoint and what tasks wrote on top of it. Its growing lists come from the line of
checkpoints before it, back to the one that has them whole.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import get_type_hints

from langgraph.channels.delta import DeltaChannel

from ..run_state import RunState
from .report import Problem, ranges

GROWING = frozenset(
    name
    for name, hint in get_type_hints(RunState, include_extras=True).items()
    if any(isinstance(part, DeltaChannel) for part in getattr(hint, "__metadata__", ()))
)
"""The channels that are saved as what was added to them."""


@dataclass
class _Checkpoint:
    parent: str | None
    whole: bool
    """Whether it has all growing lists whole."""


@dataclass
class Line:
    """A thread's checkpoints by id, and what is wrong with them."""

    checkpoints: dict[str, _Checkpoint] = field(default_factory=dict[str, _Checkpoint])
    own: dict[str, list[Problem]] = field(default_factory=lambda: defaultdict[str, list[Problem]](list))
    """What keeps a checkpoint itself from being opened."""
    passed: dict[str, list[Problem]] = field(default_factory=lambda: defaultdict[str, list[Problem]](list))
    """What keeps later ones from being opened through it."""

    def add(self, name: str, parent: str | None, *, whole: bool) -> None:
        """Enter a checkpoint."""
        self.checkpoints[name] = _Checkpoint(parent, whole)

    def damaged(self, name: str, problem: Problem) -> None:
        """A checkpoint is damaged or missing."""
        self.own[name].append(problem)
        self.passed[name].append(problem)

    def write_damaged(self, name: str, problem: Problem, *, growing: bool) -> None:
        """Something that a task wrote on top of a checkpoint is damaged; `growing`: to a growing list."""
        self.own[name].append(problem)
        if growing:
            self.passed[name].append(problem)

    def orphans(self) -> set[str]:
        """Checkpoints that others name as the one before them, and that are not there."""
        parents = {checkpoint.parent for checkpoint in self.checkpoints.values() if checkpoint.parent is not None}
        return parents - self.checkpoints.keys()

    def settle(self, steps: dict[int, str]) -> list[int]:
        """Enter into every problem which of the steps need its record. Return those that can be opened."""
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
            problem.needed_by.append(f"step{'s' if len(found) > 1 else ''} {ranges(found)}")
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
